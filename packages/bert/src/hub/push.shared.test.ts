import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { shared } from "../../test/shared.ts";
import type { HubError } from "./errors.ts";
import type { DownloadProgress } from "../opener.ts";
import { createRepo, pushToHub, type PushOptions } from "./push.ts";

interface LocalHub {
  url: string;
  state: string;
  faults: { status: number; statusEvery: number; only: string };
  log: { method: string; host: string; url: string; status: number }[];
  close: () => Promise<void>;
}

const serve = shared("hub/serve.mjs");
const token = "hf_writer0123456789";

const realFetch = globalThis.fetch;
/** A network that breaks after the first piece of each file. */
const breakingPuts: typeof fetch = async (url, init) => {
  if (init?.method !== "PUT") return realFetch(url, init);
  for await (const _ of (init.body as Blob).stream() as AsyncIterable<Uint8Array>) break;
  throw new TypeError("fetch failed", { cause: new Error("socket hang up") });
};

/** Against a stand-in for the Hub that takes uploads as the real one does. */
describe.skipIf(!serve)("pushToHub", () => {
  let hub: LocalHub;
  let folder: string;
  let options: PushOptions;
  let progress: DownloadProgress[];
  let count = 0;

  beforeAll(async () => {
    const { startHub } = (await import(pathToFileURL(serve!).href)) as { startHub: (o: object) => Promise<LocalHub> };
    const root = await mkdtemp(join(tmpdir(), "hub-root-"));
    hub = await startHub({ root, multipartAbove: 100_000, partSize: 40_000 });
  });
  afterAll(() => hub.close());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "push-"));
    progress = [];
    options = {
      repo: `developer/model-${++count}`,
      token,
      endpoint: hub.url,
      retryMs: 5,
      onProgress: (p) => progress.push(p),
    };
    await write("config.json", JSON.stringify({ model_type: "bert", _name_or_path: join(folder, "base") }));
    await write("model.safetensors", randomBytes(3000));
    await write("vocab.txt", "[PAD]\n/tmp\n");
    hub.log.length = 0;
  });
  afterEach(() => {
    vi.restoreAllMocks();
    Object.assign(hub.faults, { status: 0, statusEvery: 1, only: "" });
    return rm(folder, { recursive: true });
  });

  async function write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  const there = (path: string) => readFile(join(hub.state, "models", options.repo, path));
  const puts = () => hub.log.filter(({ method }) => method === "PUT").length;
  const failure = (promise: Promise<unknown>): Promise<HubError> =>
    promise.then(
      () => expect.unreachable(),
      (e: HubError) => e,
    );

  it("makes the repository, and sends again only what has changed", async () => {
    const first = await pushToHub(folder, { ...options, private: true, commitMessage: "End of training" });
    expect(first.sent).toEqual(["config.json", "model.safetensors", "vocab.txt"]);
    expect(first.url).toBe(`${hub.url}/${options.repo}`);
    expect(await there("model.safetensors")).toEqual(await readFile(join(folder, "model.safetensors")));
    const headers = { Authorization: `Bearer ${token}` };
    const info = (await (await fetch(`${hub.url}/api/models/${options.repo}`, { headers })).json()) as object;
    expect(info).toMatchObject({ private: true, sha: first.commit });
    const commits = (await (
      await fetch(`${hub.url}/api/models/${options.repo}/commits/main`, { headers })
    ).json()) as object[];
    expect(commits[0]).toMatchObject({ title: "End of training" });

    const second = await pushToHub(folder, options);
    expect(second).toMatchObject({ commit: undefined, sent: [], unchanged: first.sent });
    await write("vocab.txt", "[PAD]\n[UNK]\n");
    expect((await pushToHub(folder, options)).sent).toEqual(["vocab.txt"]);
    expect(puts()).toBe(1);
    expect((await there("vocab.txt")).toString()).toContain("[UNK]");
  });

  it("sends bytes once that several files have", async () => {
    await write("last-checkpoint/model.safetensors", await readFile(join(folder, "model.safetensors")));
    await write("last-checkpoint/optimizer.safetensors", randomBytes(3000));
    const { sent } = await pushToHub(folder, { ...options, ignore: () => false });
    const checkpoint = ["model", "optimizer"].map((name) => `last-checkpoint/${name}.safetensors`);
    expect(sent).toEqual(["config.json", ...checkpoint, "model.safetensors", "vocab.txt"]); // by their whole paths
    expect(puts()).toBe(2);
    for (const path of sent.slice(1))
      expect([path, await there(path)]).toEqual([path, await readFile(join(folder, path))]);
  });

  it("sends no token and no local path", async () => {
    await write("training_args.json", JSON.stringify({ output_dir: folder, hub_token: token, seed: 42 }));
    await write("trainer_state.json", JSON.stringify({ best_model_checkpoint: join(folder, "checkpoint-3") }));
    await write("notes.md", `made in ${folder}/here`);
    await write("log.txt", `with ${token}`);
    await write("runs/a/events.out.tfevents.1", Buffer.from(`\0\x01${JSON.stringify(folder)}\0`));
    await write("checkpoint-3/optimizer.safetensors", "moments");
    await write("optimizer.safetensors", "moments");
    await write("_cache/part", "x");
    const { leftOut } = await pushToHub(folder, options);
    expect(leftOut.map(({ path, reason }) => `${path}: ${reason}`)).toEqual([
      "log.txt: it holds the token",
      "notes.md: it names the local folder",
      "runs/a/events.out.tfevents.1: it names the local folder",
    ]);
    expect(progress.filter(({ status }) => status === "note").map(({ message }) => message)).toContain(
      "log.txt is not uploaded: it holds the token",
    );
    expect(JSON.parse(String(await there("training_args.json")))).toEqual({
      output_dir: folder.split("/").at(-1),
      seed: 42,
    });
    expect(JSON.parse(String(await there("trainer_state.json")))).toEqual({ best_model_checkpoint: "checkpoint-3" });
    expect(JSON.parse(String(await there("config.json")))).toEqual({ model_type: "bert", _name_or_path: "base" });
    const home = join(hub.state, "models", options.repo);
    const names = (await readdir(home, { recursive: true })).sort();
    expect(names).toEqual([".gitattributes", "config.json", "model.safetensors", "trainer_state.json", "training_args.json", "vocab.txt"]); // prettier-ignore
    for (const name of names) {
      const text = await readFile(join(home, name), "latin1");
      expect([name, text.includes(folder), text.includes(token)]).toEqual([name, false, false]);
    }
  });

  it("says before it sends what it is; files that may hold texts are left out unless they are asked for", async () => {
    await write("predictions.csv", "text,label\ngood,1\n");
    const { leftOut, sent } = await pushToHub(folder, options);
    expect(leftOut).toEqual([{ path: "predictions.csv", reason: expect.stringMatching(/texts: true/) as string }]);
    expect(sent).not.toContain("predictions.csv");
    const first = progress.findIndex(({ status }) => status === "uploading");
    const messages = progress.slice(0, first).map(({ message }) => message);
    expect(messages).toContain(
      `${hub.url}/${options.repo}: uploading 3 files, 4 kB: config.json (1 kB), model.safetensors (3 kB), vocab.txt (1 kB)`,
    );
    const announced: unknown[] = [];
    const announce = (message: string, paths: readonly string[]) => announced.push(message, paths);
    expect((await pushToHub(folder, { ...options, texts: true, announce })).sent).toEqual(["predictions.csv"]);
    expect(announced).toEqual([
      `${hub.url}/${options.repo}: uploading 1 file, 1 kB: predictions.csv (1 kB)`,
      ["predictions.csv"],
    ]);
  });

  it("names forty files at most, and counts the others", async () => {
    for (let i = 10; i < 50; i++) await write(`part-${i}.json`, "{}");
    await pushToHub(folder, { ...options, texts: true });
    const message = progress.find(({ message }) => message?.includes(": uploading 43 files, "))?.message;
    expect(message).toMatch(/config\.json \(1 kB\), .*, part-47\.json \(1 kB\), and 3 more$/);
    expect(message).not.toContain("part-48");
  });

  it("refuses invalid names before it sends a request", async () => {
    for (const repo of ["https://huggingface.co/me/x", "../x", "me/x/y", "/tmp/x", "me/x.git"])
      await expect(pushToHub(folder, { ...options, repo })).rejects.toThrow(/not the id of a repository to upload to/);
    await expect(pushToHub(folder, { ...options, pathInRepo: "../x" })).rejects.toThrow(/not a path inside/);
    await expect(pushToHub(folder, { ...options, revision: "../x" })).rejects.toThrow(/not the name of a branch/);
  });

  it("sends large files in parts, a part again when its connection breaks, and counts what has gone out", async () => {
    await write("model.safetensors", randomBytes(110_000));
    let breaks = 2;
    vi.spyOn(globalThis, "fetch").mockImplementation((url, init) =>
      init?.method === "PUT" && breaks-- > 0 ? breakingPuts(url, init) : realFetch(url, init),
    );
    await pushToHub(folder, options);
    expect(await there("model.safetensors")).toEqual(await readFile(join(folder, "model.safetensors")));
    expect(puts()).toBe(3);
    const counts = progress.filter(({ file }) => file === "model.safetensors").map(({ loaded }) => loaded);
    expect(Math.max(...counts)).toBe(110_000);
    expect(progress.at(-1)).toMatchObject({
      file: "model.safetensors",
      loaded: 110_000,
      total: 110_000,
      status: "done",
    });
  });

  it("continues where an upload broke off: a large file that had arrived is not sent again", async () => {
    Object.assign(hub.faults, { status: 403, only: "/commit/" });
    expect((await failure(pushToHub(folder, options))).code).toBe("forbidden");
    Object.assign(hub.faults, { status: 0, only: "" });
    await pushToHub(folder, options);
    expect(puts()).toBe(1);
    expect(await there("model.safetensors")).toHaveLength(3000);
  });

  it("waits for a busy hub", async () => {
    Object.assign(hub.faults, { status: 503, statusEvery: 4 });
    await pushToHub(folder, options);
    expect(hub.log.filter(({ status }) => status === 503).length).toBeGreaterThan(0);
    expect(await there("vocab.txt")).toHaveLength(11);
  });

  it("pushes to a branch, into a folder, and finds the user's name", async () => {
    const name = options.repo.split("/")[1]!;
    const pushed = await pushToHub(folder, { ...options, repo: name, revision: "wip", pathInRepo: "last-checkpoint" });
    expect(pushed).toMatchObject({ repo: options.repo, url: `${hub.url}/${options.repo}/tree/wip` });
    const onBranch = await fetch(`${hub.url}/${options.repo}/resolve/wip/last-checkpoint/vocab.txt`);
    expect(await onBranch.text()).toBe("[PAD]\n/tmp\n");
    expect((await fetch(`${hub.url}/${options.repo}/resolve/main/last-checkpoint/vocab.txt`)).status).toBe(404);
  });

  it("says what the Hub refuses, and what to do", async () => {
    const cases: [Partial<PushOptions>, string, RegExp][] = [
      [{ token: false }, "unauthorized", /no token to upload with\. Make one .*\/settings\/tokens, then set HF_TOKEN/],
      [{ token: "hf_bad" }, "unauthorized", /does not accept the token/],
      [{ token: "hf_reader" }, "forbidden", /the token may not write there .*read-only.*write permission/],
      [{ endpoint: "http://127.0.0.1:9" }, "network", /cannot reach http:\/\/127\.0\.0\.1:9: .*\(tried 8 times\)\. Check the network and HF_ENDPOINT\.$/],
    ]; // prettier-ignore
    for (const [more, code, message] of cases) {
      const error = await failure(pushToHub(folder, { ...options, ...more }));
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    }
    await pushToHub(folder, options);
    const early = await failure(createRepo({ ...options, token: "hf_reader" })); // of a repository that is there
    expect([early.code, early.message]).toEqual(["forbidden", expect.stringMatching(/the token may not write there/)]);
    expect(await createRepo(options)).toBe(options.repo);
    await write("model.safetensors", randomBytes(200_000));
    vi.spyOn(globalThis, "fetch").mockImplementation(breakingPuts);
    progress.length = 0;
    expect((await failure(pushToHub(folder, options))).message).toMatch(/socket hang up \(tried 8 times\)/);
    expect(progress.at(-1)).toMatchObject({ file: "model.safetensors", status: "failed" });
    expect(progress.some(({ status }) => status === "done")).toBe(false); // although every part went out once
    vi.restoreAllMocks();
    const nothing = await failure(pushToHub(join(folder, "none"), options));
    expect(nothing.message).toMatch(/none: no such folder\.$/);
  });
});
