import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"; // prettier-ignore
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { blobIdOf, fakeCommit, startFakeHub } from "../../test/fake-hub.ts";
import type { HubError } from "./errors.ts";
import { isInnerPath, repoId } from "./names.ts";
import { clearOldCommits, fetchFolder, fetchFromHub, listHubFiles } from "./open.ts";

const config = Buffer.from('{"hidden_size": 8}\n');
const entry = { type: "file", path: "config.json", size: config.length, oid: blobIdOf(config) };
const storage = "models--some--model";

let hub: Awaited<ReturnType<typeof startFakeHub>>;
let root: string;
let options: {
  repo: string;
  endpoint: string;
  cacheDir: string;
  token: string;
  retryMs: number;
  onProgress: () => void;
};
beforeEach(async () => {
  hub = await startFakeHub({ "config.json": config });
  root = await mkdtemp(join(tmpdir(), "hub-hostile-"));
  const rest = { token: "hf_secret", retryMs: 1, onProgress: () => undefined };
  options = { repo: "some/model", endpoint: hub.endpoint, cacheDir: join(root, "cache", "hub"), ...rest };
});
afterEach(() => {
  hub.close();
  return rm(root, { recursive: true });
});

const get = (more: object = {}) => fetchFromHub({ path: "config.json", ...options, ...more });
const failure = async (promise: Promise<unknown>): Promise<HubError> => {
  const error = await promise.then(
    () => expect.unreachable(),
    (e: HubError) => e,
  );
  expect(error.name).toMatch(/^(Hub|Gpugrad)Error$/);
  return error;
};
/** Everything below the folder that the cache lies in. */
const written = () => readdirSync(root, { recursive: true, withFileTypes: true }).filter((e) => !e.isDirectory());
const inCache = (...path: string[]) => join(options.cacheDir, storage, ...path);
function put(path: string, content: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe("what a Hub answers", () => {
  it.each([
    "../../../../outside",
    "..",
    "/etc",
    "",
    "abc",
    fakeCommit.toUpperCase(),
    `${fakeCommit}/../x`,
    `${fakeCommit}\n`,
    null,
    5,
    [[fakeCommit]],
    { toString: "x" },
    undefined,
  ])("is not a commit: %j", async (sha) => {
    hub.lies.revision = { sha };
    const error = await failure(get());
    expect(error.code).toBe("bad-answer");
    expect(error.message).toMatch(/^some\/model: http.*"sha" is .*Is HF_ENDPOINT/);
    expect(written()).toEqual([]);
  });

  it.each([
    ["a path with ..", [{ ...entry, path: "a/../../x" }]],
    ["an absolute path", [{ ...entry, path: "/etc/passwd" }]],
    ["a backslash", [{ ...entry, path: "..\\..\\x" }]],
    ["a drive", [{ ...entry, path: "C:x" }]],
    ["a NUL", [{ ...entry, path: "a\0b" }]],
    ["half a character", [{ ...entry, path: "a\ud800" }]],
    ["an empty part", [{ ...entry, path: "a//b" }]],
    ["a path that is a number", [{ ...entry, path: 7 }]],
    ["a hash that is a path", [{ ...entry, oid: "../../../x" }]],
    ["a hash that is null", [{ ...entry, oid: null }]],
    ["a hash of LFS that is a path", [{ ...entry, lfs: { oid: "../x", size: 19 } }]],
    ["a negative size", [{ ...entry, size: -1 }]],
    ["a size that is a word", [{ ...entry, size: "19" }]],
    ["a size that is not a whole number", [{ ...entry, size: 1.5 }]],
    ["an object", { path: "config.json" }],
    ["a list of numbers", [1, 2]],
    ["null", [null]],
    ["no JSON", "<html>sign in to the network</html>"],
    ["JSON that is cut off", '[{"type": "file", "pa'],
    ["JSON that is deep", "[".repeat(200_000)],
    ["deep entries", `[${"[".repeat(100_000)}${"]".repeat(100_000)}]`],
  ])("lists files by %s", async (_, files) => {
    hub.lies.files = files;
    for (const work of [get, () => listHubFiles(options), () => fetchFolder("some/model", options)]) {
      const error = await failure(work());
      expect([error.code, error.message.length < 1000]).toEqual(["bad-answer", true]);
    }
    expect(written()).toEqual([]);
  });

  it("has no end", async () => {
    hub.lies.answer = (request, response) => {
      if (!request.url!.includes("/tree/")) return false;
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, " ")));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
      return true;
    };
    expect((await failure(listHubFiles(options))).message).toMatch(/it is longer than 32 MiB/);
  });

  it("has pages in a circle, or elsewhere: the token stays here", async () => {
    const elsewhere = await startFakeHub({});
    let page = 0;
    hub.lies.answer = (request, response) => {
      if (request.url!.includes("/tree/"))
        response.setHeader("Link", `<${elsewhere.endpoint}/steal?cursor=${Math.min(++page, 3)}>; rel="next"`);
      return false;
    };
    expect((await failure(listHubFiles(options))).message).toMatch(/its pages go in a circle/);
    expect(page).toBe(4);
    expect(elsewhere.requests).toEqual([]);
    elsewhere.close();
  });

  it("redirects without end, or elsewhere without the token", async () => {
    const elsewhere = await startFakeHub({ "config.json": config });
    const to = (location: string) => {
      hub.lies.answer = (request, response) => {
        response.writeHead(302, { Location: location.replace("$", request.url!) }).end();
        return true;
      };
    };
    to("$");
    expect((await failure(get())).message).toMatch(/redirects without end/);
    expect(hub.requests.length).toBeLessThan(30);
    to(`${elsewhere.endpoint}$`);
    await get();
    expect(elsewhere.requests.map((r) => r.authorization)).toEqual(elsewhere.requests.map(() => undefined));
    elsewhere.close();
  });

  it("is a file longer, or shorter, than was said", async () => {
    hub.lies.files = [{ ...entry, size: 5 }];
    expect((await failure(get())).message).toMatch(/arrived damaged 3 times: more than 5 bytes came/);
    hub.lies.files = [{ ...entry, size: 5000 }];
    expect((await failure(get())).message).toMatch(/the connection ended after 19 of 5000 bytes/);
  });

  it("is cut at 1,000 bytes, for ever: a bounded number of requests", async () => {
    const long = Buffer.alloc(40_000, "x");
    hub.lies.files = [{ ...entry, size: long.length, oid: blobIdOf(long) }];
    hub.lies.answer = (request, response) => {
      if (!request.url!.includes("/resolve/")) return false;
      const start = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
      response.writeHead(start > 0 ? 206 : 200).end(long.subarray(start, start + 1000));
      return true;
    };
    const error = await failure(get());
    expect([error.code, hub.requests.length < 12]).toEqual(["network", true]);
    for (let i = 0; i < 2; i++) await failure(get());
    const ranges = hub.requests.flatMap(({ range }) => range ?? []);
    expect(ranges).toContain("bytes=6000-"); // what had arrived is kept
    expect(new Set(ranges).size).toBe(ranges.length);
  });

  it("continues elsewhere than it was asked to: the file starts over", async () => {
    let asked = 0;
    hub.lies.answer = (request, response) => {
      if (!request.url!.includes("/resolve/")) return false;
      if (++asked === 1) response.writeHead(200).end(config.subarray(0, 10));
      else response.writeHead(206, { "Content-Range": "bytes 0-18/19" }).end(config);
      return true;
    };
    expect(readFileSync(await get(), "utf8")).toBe(config.toString());
    expect(asked).toBe(2);
  });
});

describe("names that become paths", () => {
  it("stay below the folder that they are joined to", () => {
    for (const path of ["a", "a/b.json", "a b/ü😀", "%2e%2e/x", "..a/b..", "a/.b", "aux.py", "x?y"])
      expect([path, isInnerPath(path, false)]).toEqual([path, true]);
    for (const path of [
      "",
      "/",
      "a/",
      "/a",
      "..",
      ".",
      "a/../b",
      "a/./b",
      "a//b",
      "\\a",
      "a\\..\\b",
      "c:a",
      "a\0",
      "a\nb",
      "\ud800",
      5,
      null,
    ])
      // prettier-ignore
      expect([path, isInnerPath(path, false)]).toEqual([path, false]);
    for (const path of ["aux", "a/NUL.txt", "com1", "LPT9.x", "a.", "a ", "a?b", "a:b", "con .txt"])
      expect([path, isInnerPath(path, true)]).toEqual([path, false]);
    expect(isInnerPath("console/auxiliary.txt", true)).toBe(true);
  });

  it("are ids of repositories, and revisions", async () => {
    for (const id of ["imdb", "google-bert/bert-base-uncased", "a_b/c.d-e"]) expect(repoId(id)).toBe(id);
    for (const id of [
      "",
      ".",
      "..",
      "../x",
      "a/b/c",
      "a/..",
      "/a",
      "a/",
      "a--b/c",
      "a/b.git",
      "a\\b",
      "a/b?x",
      "a/b#x",
      "a b",
      "-a/b",
      "a/b.",
      "https://huggingface.co/a/b",
      "x".repeat(97),
    ])
      // prettier-ignore
      expect(() => repoId(id), id).toThrow(/not the id of a repository/);
    for (const revision of ["../../x", "/x", "a\\b", "", "x/../../y"])
      expect((await failure(get({ revision }))).message).toMatch(/not the name of a branch, a tag or a commit/);
    for (const path of ["../x", "/etc/passwd", "a\0"])
      expect((await failure(get({ path }))).message).toMatch(/not a path inside of a repository/);
    expect((await failure(get({ endpoint: "huggingface.co" }))).message).toMatch(/HF_ENDPOINT.*not an http/);
    expect((await failure(get({ token: "hf_a\nb" }))).code).toBe("unauthorized");
    expect(hub.requests).toEqual([]);
  });
});

describe("what lies in the cache", () => {
  it("is not a commit: refs are read again", async () => {
    const ref = put(inCache("refs", "main"), "../../../../outside");
    put(join(root, "outside", "config.json"), "{}");
    expect((await failure(get({ offline: true }))).code).toBe("offline");
    expect(await get()).toBe(inCache("snapshots", fakeCommit, "config.json"));
    expect(readFileSync(ref, "utf8")).toBe(fakeCommit);
  });

  it("is a commit with the end of a line, as an editor leaves it", async () => {
    await get();
    put(inCache("refs", "main"), `${fakeCommit}\n`);
    expect(await get({ offline: true })).toBe(inCache("snapshots", fakeCommit, "config.json"));
  });

  it("links to files outside: they are neither trusted, nor written, nor deleted", async () => {
    const victim = put(join(root, "victim", entry.oid), "somebody's file");
    const pointer = inCache("snapshots", fakeCommit, "config.json");
    mkdirSync(dirname(pointer), { recursive: true });
    symlinkSync(victim, pointer);
    put(inCache("refs", "main"), fakeCommit);
    expect((await failure(get({ offline: true }))).message).toMatch(/a link that leads out of the cache/);
    mkdirSync(inCache("blobs"));
    symlinkSync(victim, inCache("blobs", entry.oid));
    symlinkSync(victim, inCache("blobs", `${entry.oid}.0.incomplete`)); // as if it had been left by a dead process
    expect(readFileSync(await get(), "utf8")).toBe(config.toString());
    expect(readFileSync(victim, "utf8")).toBe("somebody's file");
  });

  it.each([
    ["a link", symlinkSync],
    ["another name of a file", linkSync],
  ])("%s as a part of a download: nothing is taken from there", async (_, link) => {
    const outside = put(join(root, "outside"), config.toString().slice(0, 5));
    mkdirSync(inCache("blobs"), { recursive: true });
    link(outside, inCache("blobs", `${entry.oid}.0.incomplete`));
    utimesSync(outside, 0, 0);
    expect(readFileSync(await get(), "utf8")).toBe(config.toString());
    expect(hub.requests.at(-1)!.range).toBeUndefined();
    expect(readFileSync(outside, "utf8")).toBe(config.toString().slice(0, 5));
  });

  it.each([".", "refs", "blobs", "snapshots", `snapshots/${fakeCommit}`])(
    "%s links to a folder outside",
    async (name) => {
      const outside = join(root, "outside");
      put(join(outside, "kept"), "somebody's file");
      mkdirSync(dirname(inCache(name)), { recursive: true });
      symlinkSync(outside, inCache(name));
      const error = await failure(get());
      expect([error.code, error.message]).toEqual([
        "disk",
        expect.stringMatching(/a link that leads out of the cache: nothing is written there\. Delete it/),
      ]);
      expect(readdirSync(outside)).toEqual(["kept"]);
    },
  );

  it("loses old commits when asked to, and nothing else", async () => {
    await get();
    const old = "f".repeat(40);
    const blob = put(inCache("blobs", "e".repeat(40)), "old");
    mkdirSync(inCache("snapshots", old));
    symlinkSync(blob, inCache("snapshots", old, "config.json"));
    const outside = put(join(root, "outside", "kept"), "somebody's file");
    symlinkSync(dirname(outside), inCache("snapshots", "d".repeat(40)));
    put(inCache("snapshots", "notes", "of mine.txt"), "no commit");
    const deleted = await clearOldCommits(options);
    expect(deleted.sort()).toEqual(["d".repeat(40), old]);
    expect(readdirSync(inCache("snapshots"))).toEqual([fakeCommit, "notes"]);
    expect(readdirSync(inCache("blobs"))).toEqual([entry.oid]);
    expect(existsSync(outside)).toBe(true);
    expect(readFileSync(await get({ offline: true }), "utf8")).toBe(config.toString());
    expect(await clearOldCommits(options)).toEqual([]);
    expect(await clearOldCommits({ ...options, repo: "a/never-fetched" })).toEqual([]);
  });
});
