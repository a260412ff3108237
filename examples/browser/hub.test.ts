// Files of a repository in a real browser: Cache Storage, one commit, what is cached.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";
import { blobIdOf, startFakeHub } from "../../packages/bert/test/fake-hub.ts";
import type * as bert from "../../packages/bert/src/hub/hub.browser.ts";
import { wgsl } from "../../scripts/vite-wgsl.ts";

interface Page {
  bert: typeof bert;
}

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

test.skipIf(!executablePath)(
  "a page opens a repository at one commit, keeps it, and clears old ones (needs chromium: apt-get install chromium)",
  async () => {
    const entry = fileURLToPath(new URL("../../packages/bert/src/hub/hub.browser.ts", import.meta.url));
    const built = await build({
      configFile: false,
      logLevel: "warn",
      plugins: [wgsl],
      build: { write: false, target: "es2022", lib: { entry, formats: ["es"], fileName: "bert" } },
    });
    const chunks = ([built].flat()[0] as Rollup.RollupOutput).output.filter((file) => file.type === "chunk");

    let version = 0;
    const commits = ["1".repeat(40), "2".repeat(40)];
    const contents = [Buffer.from('{"version": 1}'), Buffer.from('{"version": 2}')];
    const hub = await startFakeHub({});
    hub.lies.answer = ({ url = "" }, response) => {
      const script = chunks.find(({ fileName }) => url === `/${fileName}`);
      const at = commits.findIndex((commit) => url.includes(commit));
      if (url === "/")
        response
          .setHeader("Content-Type", "text/html")
          .end(`<!doctype html><script type="module">import * as bert from "/bert.js"; window.bert = bert</script>`);
      else if (script) response.setHeader("Content-Type", "text/javascript").end(script.code);
      else if (url.includes("/revision/")) response.end(JSON.stringify({ sha: commits[version] }));
      else if (url.includes("/paths-info/"))
        response.end(JSON.stringify([{ type: "file", path: "config.json", size: 14, oid: blobIdOf(contents[at]!) }]));
      else if (url.endsWith("/config.json")) response.end(contents[at]);
      else response.writeHead(404).end();
      return true;
    };
    const asked = () => hub.requests.splice(0).map(({ url }) => url.split("/").at(-1));
    const browser = await chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      /** Loads the page again, and opens the repository's configuration there. */
      const versionOf = async (offline = false): Promise<number> => {
        await page.goto(hub.endpoint);
        await page.waitForFunction(() => "bert" in window);
        return page.evaluate(
          async ({ endpoint, offline }) => {
            const { openFolder } = (window as unknown as Page).bert;
            const folder = await openFolder("me/model", { endpoint, offline });
            const source = (await folder.open("config.json"))!;
            const text = new TextDecoder().decode(await source.read(0, source.size));
            return (JSON.parse(text) as { version: number }).version;
          },
          { endpoint: hub.endpoint, offline },
        );
      };
      expect(await versionOf()).toBe(1);
      asked();
      expect([await versionOf(), asked().includes("config.json")]).toEqual([1, false]);
      version = 1;
      expect([await versionOf(true), await versionOf(), await versionOf(true)]).toEqual([1, 2, 2]);
      const cleared = await page.evaluate(async (endpoint) => {
        const { clearOldCommits } = (window as unknown as Page).bert;
        const old = await clearOldCommits({ repo: "me/model", endpoint });
        return { old, kept: (await (await caches.open("gpugrad")).keys()).length };
      }, hub.endpoint);
      expect(cleared).toEqual({ old: [commits[0]], kept: 3 }); // the branch, a snapshot, its content
      expect(await versionOf(true)).toBe(2);
    } finally {
      await browser.close();
      hub.close();
    }
  },
);
