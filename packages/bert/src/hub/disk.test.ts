import type * as fs from "node:fs/promises";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { writeFileAside } from "@gpugrad/nn";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { blobIdOf, startFakeHub } from "../../test/fake-hub.ts";
import type { HubError } from "./errors.ts";
import { fetchFromHub } from "./open.ts";

/** What was done to files, in order; and what the disk refuses. */
const disk = vi.hoisted(() => ({ done: [] as string[], refuse: "", free: Infinity }));
const refusal = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: no, ${syscall}`), { code, syscall });
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof fs>();
  const refused = (syscall: string) => disk.refuse.endsWith(` ${syscall}`);
  const refuse = (syscall: string) => Promise.reject(refusal(disk.refuse.split(" ")[0]!, syscall));
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => {
      if (args[1] === "r+" && refused("open")) return refuse("open");
      const handle = await real.open(...args);
      const [sync, write] = [handle.sync.bind(handle), handle.write.bind(handle)];
      handle.sync = () => (disk.done.push("sync"), refused("fsync") ? refuse("fsync") : sync());
      handle.write = ((...what: Parameters<typeof write>) =>
        refused("write") ? refuse("write") : write(...what)) as typeof write;
      return handle;
    },
    rename: (from: string, to: string) => (disk.done.push(`rename ${basename(to)}`), real.rename(from, to)),
    mkdir: (...args: Parameters<typeof real.mkdir>) =>
      refused("mkdir") || (refused("inner-mkdir") && args.length === 1) ? refuse("mkdir") : real.mkdir(...args),
    statfs: async (path: string) => {
      const { blocks, bavail } = await real.statfs(path);
      return { blocks, bavail: disk.free === Infinity ? bavail : disk.free, bsize: disk.free === Infinity ? 4096 : 1 };
    },
  };
});

const content = Buffer.from('{"hidden_size": 8}\n');
let hub: Awaited<ReturnType<typeof startFakeHub>>;
let cacheDir: string;
beforeEach(async () => {
  hub = await startFakeHub({ "config.json": content });
  cacheDir = await mkdtemp(join(tmpdir(), "hub-disk-"));
  Object.assign(disk, { done: [], refuse: "", free: Infinity });
});
afterEach(() => {
  disk.refuse = "";
  hub.close();
  return rm(cacheDir, { recursive: true });
});
const get = () =>
  fetchFromHub({ repo: "a/b", path: "config.json", endpoint: hub.endpoint, cacheDir, token: false, retryMs: 1, onProgress: () => undefined }); // prettier-ignore
const failure = (promise: Promise<unknown>) => promise.then(() => expect.unreachable(), (e: HubError) => e); // prettier-ignore
const downloads = () => hub.requests.filter(({ url }) => url.includes("/resolve/")).length;

describe("what is written", () => {
  it("is on disk before it gets its name", async () => {
    await get();
    expect(disk.done.slice(0, 2)).toEqual(["sync", `rename ${blobIdOf(content)}`]);
    expect(disk.done.slice(-2)).toEqual(["sync", "rename main"]);
    disk.done = [];
    await writeFileAside(join(cacheDir, "note"), "new");
    expect(disk.done).toEqual(["sync", "rename note"]);
  });

  it("is the old file where the disk refuses the new one", async () => {
    await writeFileAside(join(cacheDir, "note"), "old");
    for (const refuse of ["EIO fsync", "ENOSPC write"]) {
      Object.assign(disk, { done: [], refuse });
      await expect(writeFileAside(join(cacheDir, "note"), "new")).rejects.toThrow(refuse.split(" ")[0]);
      expect(disk.done.filter((what) => what.startsWith("rename"))).toEqual([]);
      expect([await readdir(cacheDir), await readFile(join(cacheDir, "note"), "utf8")]).toEqual([["note"], "old"]);
    }
  });
});

it("an error while a file is written is the one that is reported, even if the partial file is gone", async () => {
  const pieces = async function* () {
    yield Buffer.from("half");
    for (const name of await readdir(cacheDir)) await rm(join(cacheDir, name));
    throw new Error("no more");
  };
  await expect(writeFileAside(join(cacheDir, "note"), pieces())).rejects.toThrow("no more");
});

describe("a disk that refuses", () => {
  it.each([
    ["ENOSPC write", /: the disk is full \(ENOSPC\)\. Free some space, or set HF_HOME, HF_HUB_CACHE or cacheDir/],
    ["EDQUOT write", /the disk is full \(EDQUOT\)/],
    ["EROFS mkdir", /the cache can't be written: EROFS: .*Choose another: set HF_HOME, HF_HUB_CACHE or cacheDir/],
    ["EACCES mkdir", /the cache can't be written: EACCES/],
    ["EACCES inner-mkdir", /the cache can't be written: EACCES/],
    ["EIO fsync", /the cache can't be written: EIO/],
  ])("%s: is not called the network, nor tried again", async (refuse, message) => {
    disk.refuse = refuse;
    const error = await failure(get());
    expect([error.name, error.code, error.message.startsWith(cacheDir)]).toEqual(["HubError", "disk", true]);
    expect(error.message).toMatch(message);
    expect(downloads()).toBe(refuse.endsWith("mkdir") ? 0 : 1);
    disk.refuse = "";
    expect(await readFile(await get())).toEqual(content);
  });

  it("and that does not open what was begun: nothing touches it any more", async () => {
    const [begun, ended] = [vi.spyOn(globalThis, "setInterval"), vi.spyOn(globalThis, "clearInterval")];
    disk.refuse = "EMFILE open";
    expect((await failure(get())).message).toContain("EMFILE");
    const timers = begun.mock.results.map(({ value }) => value as unknown);
    const stopped = ended.mock.calls.map(([timer]) => timer as unknown);
    vi.restoreAllMocks();
    expect(timers.length).toBeGreaterThan(0);
    expect(timers.filter((timer) => !stopped.includes(timer))).toEqual([]);
  });

  it("has no room for the file: nothing is fetched", async () => {
    disk.free = content.length - 1;
    const error = await failure(get());
    expect([error.code, downloads()]).toEqual(["disk", 0]);
    expect(error.message).toMatch(/the disk is full: config\.json needs .* more, .* are free/);
    disk.free = content.length;
    await get();
  });
});
