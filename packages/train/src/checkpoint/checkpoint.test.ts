import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  checkpointPath,
  checkpointsIn,
  latestCheckpoint,
  problemOfCheckpoint,
  rotateCheckpoints,
} from "./checkpoints.ts";
import { OutputFolder } from "./output-folder.ts";
import { problemOf, writeSealedFolder } from "./sealed-folder.ts";

vi.mock("node:fs/promises", { spy: true });

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-checkpoint-"))));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Writes a checkpoint of two small files. */
const save = (step: number): Promise<void> =>
  writeSealedFolder(checkpointPath(folder, step), (aside) => {
    writeFileSync(join(aside, "model.safetensors"), `weights after ${step} steps`);
    writeFileSync(join(aside, "trainer_state.json"), JSON.stringify({ step }));
    return Promise.resolve();
  });

describe("a sealed folder", () => {
  test("is whole, and takes the place of an old one", async () => {
    await save(1);
    expect(await problemOf(checkpointPath(folder, 1))).toBeUndefined();
    await save(1);
    expect(await problemOf(checkpointPath(folder, 1))).toBeUndefined();
    expect(readdirSync(folder)).toEqual(["checkpoint-1"]);
  });

  test("a save that fails leaves nothing behind, and the old one as it was", async () => {
    await save(1);
    const failing = writeSealedFolder(checkpointPath(folder, 1), (aside) => {
      writeFileSync(join(aside, "model.safetensors"), "half");
      throw new Error("no space left on device");
    });
    await expect(failing).rejects.toThrow("no space left");
    expect(readdirSync(folder)).toEqual(["checkpoint-1"]);
    expect(readFileSync(join(folder, "checkpoint-1", "model.safetensors"), "utf8")).toBe("weights after 1 steps");
  });

  test("is on disk, file by file, before it takes its name; the old one is there until then", async () => {
    const actual = await vi.importActual<typeof fs>("node:fs/promises");
    const done: string[] = [];
    const shown = (path: unknown): string => basename(String(path)).replace(/\.[0-9a-f]{8}\.tmp$/, ".tmp");
    vi.mocked(fs.open).mockImplementation(async (path, flags) => {
      const handle = await actual.open(path, flags);
      const sync = handle.sync.bind(handle);
      handle.sync = () => (done.push(`sync ${shown(path)}`), sync());
      return handle;
    });
    vi.mocked(fs.writeFile).mockImplementation((path, content) => {
      done.push(`write ${shown(path)}`);
      return actual.writeFile(path, content);
    });
    vi.mocked(fs.rename).mockImplementation((from, to) => {
      done.push(`${shown(from)} -> ${shown(to)}`);
      return actual.rename(from, to);
    });
    vi.mocked(fs.rm).mockImplementation((path, options) => {
      done.push(`delete ${shown(path)}`);
      return actual.rm(path, options);
    });
    await save(1);
    const written = [
      "sync model.safetensors",
      "sync trainer_state.json",
      "sync checkpoint-1.tmp",
      "write checksums.json",
      "sync checksums.json",
      "sync checkpoint-1.tmp",
    ];
    const output = `sync ${basename(folder)}`;
    expect(done.filter((step) => !/^checkpoint-1 ->/.test(step))).toEqual([...written, "checkpoint-1.tmp -> checkpoint-1", output]); // prettier-ignore
    done.length = 0;
    await save(1);
    expect(done).toEqual([...written, "checkpoint-1 -> checkpoint-1.tmp", "checkpoint-1.tmp -> checkpoint-1", "delete checkpoint-1.tmp", output]); // prettier-ignore
  });

  test("that can't take its name leaves the old one in place", async () => {
    await save(1);
    const actual = await vi.importActual<typeof fs>("node:fs/promises");
    let renames = 0;
    vi.mocked(fs.rename).mockImplementation((from, to) => {
      if (++renames === 2) return Promise.reject(new Error("I/O error"));
      return actual.rename(from, to);
    });
    await expect(save(1)).rejects.toThrow("I/O error");
    expect(readdirSync(folder)).toEqual(["checkpoint-1"]);
    expect(await problemOf(checkpointPath(folder, 1))).toBeUndefined();
  });

  test("may have folders, whose files are sealed, too", async () => {
    const path = join(folder, "sealed");
    await writeSealedFolder(path, (aside) => {
      mkdirSync(join(aside, "words", "rare"), { recursive: true });
      writeFileSync(join(aside, "words", "rare", "list.txt"), "xylem");
      return Promise.resolve();
    });
    expect(await problemOf(path)).toBeUndefined();
    writeFileSync(join(path, "words", "rare", "list.txt"), "xylon");
    expect(await problemOf(path)).toBe("words/rare/list.txt was changed: its checksum differs");
  });

  const sha256 = "0".repeat(64);
  test.each([
    [{ files: {} }, "lists no files"],
    [{}, "has no table of files"],
    [[], "has no table of files"],
    [null, "has no table of files"],
    [5, "has no table of files"],
    [{ files: [] }, "has no table of files"],
    [{ files: "model.safetensors" }, "has no table of files"],
    [{ files: { "model.safetensors": {} } }, 'has no valid size of "model.safetensors"'],
    [{ files: { "model.safetensors": null } }, 'has no size and checksum of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: "21", sha256 } } }, 'has no valid size of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: -1, sha256 } } }, 'has no valid size of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: 2.5, sha256 } } }, 'has no valid size of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: 21 } } }, 'has no valid SHA-256 of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: 21, sha256: "" } } }, 'has no valid SHA-256 of "model.safetensors"'],
    [{ files: { "model.safetensors": { size: 21, sha256: [sha256] } } }, 'has no valid SHA-256 of "model.safetensors"'],
    [{ files: { "../model": { size: 1, sha256 } } }, 'lists "../model", which isn\'t a file of this folder'],
    [{ files: { "/etc/hostname": { size: 1, sha256 } } }, 'lists "/etc/hostname", which'],
    [{ files: { "a/../../b": { size: 1, sha256 } } }, 'lists "a/../../b", which'],
    [{ files: { "..\\b": { size: 1, sha256 } } }, 'lists "..\\\\b", which'],
    [{ files: { ".": { size: 1, sha256 } } }, 'lists ".", which'],
    [{ files: { "": { size: 1, sha256 } } }, 'lists "", which'],
    [{ files: { "checksums.json": { size: 1, sha256 } } }, 'lists "checksums.json", which'],
  ])("isn't whole when its seal is %j", async (seal, problem) => {
    await save(1);
    writeFileSync(join(checkpointPath(folder, 1), "checksums.json"), JSON.stringify(seal));
    expect(await problemOf(checkpointPath(folder, 1))).toContain(`checksums.json ${problem}`);
  });

  test("isn't whole with a file that its seal doesn't list, with a link, or with a folder in a file's place", async () => {
    await save(1);
    const path = checkpointPath(folder, 1);
    writeFileSync(join(path, ".DS_Store"), "a file manager's");
    expect(await problemOf(path)).toBeUndefined();
    writeFileSync(join(path, "optimizer.json"), "{}");
    expect(await problemOf(path)).toBe("checksums.json doesn't list optimizer.json");
    renameSync(join(path, "optimizer.json"), join(folder, "optimizer.json"));
    const model = join(path, "model.safetensors");
    renameSync(model, join(folder, "elsewhere"));
    symlinkSync(join(folder, "elsewhere"), model);
    expect(await problemOf(path)).toBe("model.safetensors is a link");
    rmSync(model);
    mkdirSync(model);
    expect(await problemOf(path)).toBe("model.safetensors is not a file");
  });

  test("says what is wrong with it", async () => {
    await save(1);
    const path = checkpointPath(folder, 1);
    const model = join(path, "model.safetensors");
    writeFileSync(model, "weights after 9 steps");
    expect(await problemOf(path)).toBe("model.safetensors was changed: its checksum differs");
    truncateSync(model, 3);
    expect(await problemOf(path)).toBe("model.safetensors has 3 bytes instead of 21");
    rmSync(model);
    expect(await problemOf(path)).toBe("model.safetensors is missing");
    writeFileSync(join(path, "checksums.json"), "{");
    expect(await problemOf(path)).toBe("checksums.json can't be read");
    rmSync(join(path, "checksums.json"));
    expect(await problemOf(path)).toBe("checksums.json is missing: it was never finished");
  });
});

describe("checkpoints", () => {
  test("the newest whole one is used, and the others are named", async () => {
    for (const step of [9, 10, 100]) await save(step);
    appendFileSync(join(checkpointPath(folder, 100), "model.safetensors"), "x");
    const skipped: string[] = [];
    const latest = await latestCheckpoint(folder, ({ step }, problem) => skipped.push(`${step}: ${problem}`));
    expect(latest).toEqual({ path: checkpointPath(folder, 10), step: 10 });
    expect(skipped).toEqual(["100: model.safetensors has 24 bytes instead of 23"]);
    expect(await latestCheckpoint(join(folder, "nowhere"))).toBeUndefined();
  });

  test("that are sealed, but lack what a run needs, are not checkpoints", async () => {
    await save(1);
    await writeSealedFolder(checkpointPath(folder, 2), (aside) =>
      fs.writeFile(join(aside, "trainer_state.json"), "{}"),
    );
    await writeSealedFolder(checkpointPath(folder, 3), (aside) => fs.writeFile(join(aside, "model.safetensors"), ""));
    expect(await problemOfCheckpoint(checkpointPath(folder, 2))).toBe("it has no model.safetensors: it isn't a checkpoint"); // prettier-ignore
    expect(await problemOfCheckpoint(checkpointPath(folder, 3))).toBe("it has no trainer_state.json: it isn't a checkpoint"); // prettier-ignore
    expect((await latestCheckpoint(folder))?.step).toBe(1);
  });

  test("auto: the newest whole one, or none; true: an error where there is none", async () => {
    const output = await OutputFolder.open(folder);
    const skipped: string[] = [];
    const find = (wanted: true | "auto") => output.find(wanted, (path) => skipped.push(basename(path)));
    expect(await find("auto")).toBeUndefined();
    await save(2);
    rmSync(join(checkpointPath(folder, 2), "model.safetensors"));
    expect(await find("auto")).toBeUndefined();
    await expect(find(true)).rejects.toThrow("no whole checkpoint to resume from");
    await save(1);
    expect(await find("auto")).toBe(checkpointPath(folder, 1));
    expect(skipped).toEqual(["checkpoint-2", "checkpoint-2", "checkpoint-2"]);
    await output.release();
  });

  test("the best one is found by its name, wherever the folder was when it was written", async () => {
    await save(3);
    const output = await OutputFolder.open(join(folder, "new"));
    const from = checkpointPath(folder, 5);
    expect(await output.findBest("/home/jane/run/checkpoint-3", from)).toBe(checkpointPath(folder, 3));
    expect(await output.findBest("checkpoint-3", from)).toBe(checkpointPath(folder, 3));
    expect(await output.findBest("/home/jane/run/checkpoint-4", from)).toBeUndefined();
    for (const other of [folder, `${folder}/checkpoint-3/..`, "", "C:\\\\checkpoint-3\\\\x"])
      expect(await output.findBest(other, from)).toBeUndefined();
    await output.release();
  });

  test("the oldest make room, but those to keep; leftovers of unfinished saves go", async () => {
    for (const step of [1, 2, 3, 4]) await save(step);
    mkdirSync(`${checkpointPath(folder, 5)}.0123abcd.tmp`);
    await rotateCheckpoints(folder, { limit: 2, keep: [checkpointPath(folder, 1)] });
    expect((await checkpointsIn(folder)).map(({ step }) => step)).toEqual([1, 4]);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});
