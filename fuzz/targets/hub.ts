import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFolder, readJson } from "@gpugrad/bert";
import { fetchFolder } from "../../packages/bert/src/hub/open.ts";
import { bundle, unbundle, type Target } from "../target.ts";

const config = '{"model_type":"bert"}';
const oid = createHash("sha1").update(`blob ${config.length}\0${config}`).digest("hex");
const listing = JSON.stringify([{ type: "file", path: "config.json", size: config.length, oid }]);

/** What the Hub answers: about the repository, its files, and with a file; status and headers come first, as JSON. */
export const hubAnswers: Target = {
  name: "hub-answers",
  seeds: [
    bundle({
      revision: JSON.stringify({ _id: "1", id: "a/b", sha: "c0ffee".padEnd(40, "0") }),
      files: listing,
      resolve: config,
      status: JSON.stringify({ revision: 200, files: 200, resolve: 200 }),
      headers: JSON.stringify({ "content-type": "application/json" }),
    }),
  ],
  dictionary: ['"sha":"../../x"', '"path":"../x"', '"path":"/x"', '"type":"directory"', '"lfs":{"oid":"x","size":1,"pointerSize":1}', '"link":"<https://example.org/>; rel=\\"next\\""', "302", "429", "503", '"location":"x"'], // prettier-ignore
  async read(input) {
    const answers = unbundle(input);
    const object = (name: string): Record<string, unknown> => {
      try {
        return (JSON.parse(Buffer.from(answers[name] ?? []).toString()) ?? {}) as Record<string, unknown>;
      } catch {
        return {}; // of the test's own making, and not of the Hub's
      }
    };
    const cacheDir = mkdtempSync(join(tmpdir(), "gpugrad-fuzz-"));
    const { fetch } = globalThis;
    globalThis.fetch = (url) => {
      const address = url instanceof Request ? url.url : String(url);
      const kind = address.includes("/resolve/")
        ? "resolve"
        : /\/(tree|paths-info)\//.test(address)
          ? "files"
          : "revision";
      const status = Number(object("status")[kind]);
      const headers = new Headers();
      for (const [name, value] of Object.entries(object("headers"))) {
        try {
          headers.set(name, String(value));
        } catch {
          continue; // HTTP could not carry it
        }
      }
      headers.delete("retry-after"); // it would only be waited for
      const allowsBody =
        Number.isInteger(status) && status >= 200 && status <= 599 && ![204, 205, 304].includes(status);
      return Promise.resolve(new Response(allowsBody ? Buffer.from(answers[kind] ?? []) : null, { status: allowsBody ? status : 204, headers })); // prettier-ignore
    };
    const options = {
      endpoint: "http://hub.invalid",
      cacheDir,
      token: false as const,
      retryMs: 0,
      onProgress: () => undefined,
    };
    try {
      const folder = await openFolder("a/b", options);
      await readJson(folder, "config.json").catch(rethrowUnlessOwn);
      await fetchFolder("a/b", options);
    } finally {
      globalThis.fetch = fetch;
      rmSync(cacheDir, { recursive: true, force: true });
    }
  },
};

/** Both ways of asking are to be tried; the first may be refused. */
function rethrowUnlessOwn(error: unknown): void {
  if (!(error instanceof Error && ["HubError", "GpugradError"].includes(error.name))) throw error;
}
