import { createHash } from "node:crypto";
import { readJson, type Folder } from "@gpugrad/nn";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { blobIdOf, startFakeHub } from "../../test/fake-hub.ts";
import { clearOldCommits, openFolder } from "./hub.browser.ts";
import type { DownloadProgress } from "../opener.ts";

const weights = Buffer.alloc(
  9_000_000,
  Uint8Array.from({ length: 251 }, (_, i) => (i * 7) % 251),
); // more than a piece
const weightsHash = createHash("sha256").update(weights).digest("hex");
const commits = ["1".repeat(40), "2".repeat(40)] as const;
/** What the owner pushed: the configuration changes, the weights of the second version are those of the first. */
const versions = commits.map((_, i) => ({ "config.json": Buffer.from(`{"version": ${i + 1}}`), "weights.bin": weights })); // prettier-ignore

let store: Map<string, Response>;
let hub: Awaited<ReturnType<typeof startFakeHub>>;
let now: number;
let progress: DownloadProgress[];
/** Bytes after which an answer with weights breaks off. */
let cuts: number[];
beforeEach(async () => {
  store = new Map();
  [now, progress, cuts] = [0, [], []];
  hub = await startFakeHub({});
  hub.lies.answer = (request, response) => {
    const { url = "" } = request;
    if (url.includes("/revision/")) return (response.end(JSON.stringify({ sha: commits[now] })), true);
    const files = versions[commits.findIndex((commit) => url.includes(commit))] ?? {};
    if (url.includes("/paths-info/")) {
      const entries = Object.entries<Buffer>(files).map(([path, content]) =>
        path.endsWith(".bin")
          ? { type: "file", path, size: 130, oid: "0", lfs: { oid: weightsHash, size: content.length } } // prettier-ignore
          : { type: "file", path, size: content.length, oid: blobIdOf(content) },
      );
      response.end(JSON.stringify(entries));
      return true;
    }
    const content = files[url.split("/").at(-1) as keyof typeof files] as Buffer | undefined;
    if (!content) return (response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end(), true);
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const cut = url.endsWith(".bin") ? cuts.shift() : undefined;
    response.writeHead(start > 0 ? 206 : 200, { "Content-Length": content.length - start });
    if (cut === undefined) response.end(content.subarray(start));
    else response.write(content.subarray(start, start + cut), () => setTimeout(() => response.destroy(), 50));
    return true;
  };
  vi.stubGlobal("caches", {
    open: () =>
      Promise.resolve({
        match: (key: string) => Promise.resolve(store.get(key)?.clone()),
        put: (key: string, response: Response) => Promise.resolve(void store.set(key, response)),
        delete: (key: string) => Promise.resolve(store.delete(key)),
        keys: () => Promise.resolve([...store.keys()].map((url) => new Request(url))),
      }),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  hub.close();
});

/** A module of its own has seen no file, as a page that is loaded again. */
async function pageOpens(more: object = {}): Promise<Folder> {
  vi.resetModules();
  const platform = await import("./hub.browser.ts");
  return platform.openFolder("me/model", {
    endpoint: hub.endpoint,
    retryMs: 1,
    onProgress: (p) => progress.push(p),
    ...more,
  });
}
const versionOf = async (folder: Folder) => (await readJson(folder, "config.json"))?.["version"];
const bytesOf = async (folder: Folder) => {
  const source = (await folder.open("weights.bin"))!;
  return Buffer.from(await source.read(0, source.size));
};
const asked = () => hub.requests.splice(0).map(({ url, range }) => `${url.split("/").at(-1)}${range ?? ""}`);

describe("a repository in a browser", () => {
  it("is opened at one commit, and again at the newest; what is there is not fetched again", async () => {
    const first = await pageOpens();
    expect(await versionOf(first)).toBe(1);
    now = 1; // the owner pushes
    expect((await bytesOf(first)).equals(versions[0]!["weights.bin"])).toBe(true);
    expect(hub.requests.some(({ url }) => url.includes(commits[1]))).toBe(false);
    expect(progress.at(-1)).toMatchObject({ file: "weights.bin", loaded: 9_000_000, status: "done" });

    asked();
    const second = await pageOpens();
    expect([await versionOf(second), (await bytesOf(second)).length]).toEqual([2, 9_000_000]);
    expect(asked().filter((name) => !/expand|[12]$/.test(name))).toEqual(["config.json"]); // the weights are the same

    const third = await pageOpens();
    expect([await versionOf(third), (await bytesOf(third)).length]).toEqual([2, 9_000_000]);
    expect(asked()).toEqual(["main?expand=sha"]);
    expect(await third.open("tokenizer.json")).toBeUndefined();
  });

  it("is used offline as far as it is cached", async () => {
    await versionOf(await pageOpens());
    asked();
    const offline = await pageOpens({ offline: true });
    expect([await versionOf(offline), await offline.open("weights.bin")]).toEqual([1, undefined]);
    expect(asked()).toEqual([]);
    await expect(versionOf(await pageOpens({ offline: true, revision: "v2" }))).rejects.toMatchObject({ code: "offline" }); // prettier-ignore

    hub.lies.answer = (_, response) => (response.writeHead(503, { "Retry-After": "0" }).end(), true);
    expect(await versionOf(await pageOpens())).toBe(1);
    expect(progress.at(-1)).toMatchObject({ status: "note", message: expect.stringMatching(/503.*Continuing with the files in the browser's cache/) as unknown }); // prettier-ignore
  });

  it("continues a download that broke off, also on the next page", async () => {
    cuts = [8_700_000, 0, 0, 0, 0, 0, 0];
    await expect(bytesOf(await pageOpens())).rejects.toMatchObject({ name: "HubError", code: "network" });
    expect([...store.keys()].filter((key) => !key.includes("?from="))).toEqual([]); // nothing that looks whole
    asked();
    expect((await bytesOf(await pageOpens())).equals(weights)).toBe(true);
    const [range] = asked().flatMap((name) => /bytes=\d+/.exec(name)?.[0] ?? []);
    expect(Number(/\d+/.exec(range!)![0])).toBeGreaterThanOrEqual(8_388_608);
    expect([...store.keys()].filter((key) => key.includes("?from="))).toEqual([]);
  });

  it("fetches again what is damaged in the cache, and keeps nothing that arrives damaged", async () => {
    await bytesOf(await pageOpens());
    const [blob] = [...store.keys()].filter((key) => key.includes("/blobs/"));
    const bad = Buffer.from(weights);
    bad[5]! ^= 1;
    store.set(blob!, new Response(new Uint8Array(bad)));
    await expect(bytesOf(await pageOpens({ offline: true }))).rejects.toMatchObject({ code: "damaged" });
    expect((await bytesOf(await pageOpens())).equals(weights)).toBe(true);

    store.clear();
    const answer = hub.lies.answer!;
    hub.lies.answer = (request, response) =>
      request.url!.endsWith(".bin") ? (response.end(Buffer.alloc(weights.length)), true) : answer(request, response);
    await expect(bytesOf(await pageOpens())).rejects.toMatchObject({ code: "damaged" });
    expect([...store.keys()]).toEqual([]);
  });

  it("loses old commits when asked to", async () => {
    await versionOf(await pageOpens());
    now = 1;
    const folder = await pageOpens();
    await versionOf(folder);
    await bytesOf(folder);
    store.set(`${hub.endpoint}/me/model/resolve/main/config.json`, new Response("{}")); // of an earlier version
    store.set(`${hub.endpoint}/me/other/blobs/${"a".repeat(40)}`, new Response("of another repository"));
    const before = store.size;
    expect(await clearOldCommits({ repo: "me/model", endpoint: hub.endpoint })).toEqual([commits[0]]);
    expect(before - store.size).toBe(3); // the old configuration, its pointer, and the earlier version's
    const again = await pageOpens({ offline: true });
    expect([await versionOf(again), (await bytesOf(again)).length]).toEqual([2, 9_000_000]);
  });

  it("works without Cache Storage, and with a full one", async () => {
    vi.stubGlobal("caches", undefined);
    expect(await versionOf(await pageOpens())).toBe(1);
    const full = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
    vi.stubGlobal("caches", { open: () => Promise.resolve({ match: () => Promise.resolve(), put: full, delete: full, keys: () => Promise.resolve([]) }) }); // prettier-ignore
    expect((await bytesOf(await pageOpens())).equals(weights)).toBe(true);
  });

  it("a file that the repository does not list comes from its address, and is not kept", async () => {
    const answer = hub.lies.answer!;
    hub.lies.answer = (request, response) =>
      request.url!.endsWith("extra.bin")
        ? (response.end(weights.subarray(0, 300_000)), true)
        : answer(request, response);
    const source = (await (await pageOpens()).open("extra.bin"))!;
    expect(Buffer.from(await source.read(0, source.size)).equals(weights.subarray(0, 300_000))).toBe(true);
    const reported = progress.filter(({ file }) => file === "extra.bin");
    expect(reported.length).toBeGreaterThan(0);
    for (const { loaded, total, repo, status } of reported)
      expect([repo, status]).toEqual(["me/model", loaded === total ? "done" : "downloading"]);
    expect([...store.keys()].filter((key) => key.includes("extra"))).toEqual([]);
    const quiet = await pageOpens({ onProgress: undefined });
    expect((await quiet.open("extra.bin"))!.size).toBe(300_000);
  });

  it("says what is wrong; an address is opened as it is", async () => {
    await expect(openFolder("../me/model")).resolves.toBeDefined(); // an address of the page's own site
    await expect(openFolder("me/model/x")).rejects.toThrow(/not the id of a repository/);
    await expect(clearOldCommits({ repo: "../me/model" })).rejects.toThrow(/not the id of a repository/);
    const at = await openFolder(`${hub.endpoint}/me/model/resolve/${commits[1]}/`);
    expect([await versionOf(at), await at.open("none")]).toEqual([2, undefined]);
    hub.lies.answer = (_, response) => (response.end('{"sha": "../../x"}'), true);
    await expect(versionOf(await pageOpens())).rejects.toMatchObject({ code: "bad-answer" });
  });
});
