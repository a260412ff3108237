import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkpointPath, checkpointsIn, latestCheckpoint, rotateCheckpoints } from "./checkpoints.ts";
import { lockFolder } from "./lock.ts";
import { problemOf, writeSealedFolder } from "./sealed-folder.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-checkpoint-"))));
afterEach(() => rmSync(folder, { recursive: true }));

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
  test("the newest whole one is taken, and the others are told of", async () => {
    for (const step of [9, 10, 100]) await save(step);
    appendFileSync(join(checkpointPath(folder, 100), "model.safetensors"), "x");
    const skipped: string[] = [];
    const latest = await latestCheckpoint(folder, ({ step }, problem) => skipped.push(`${step}: ${problem}`));
    expect(latest).toEqual({ path: checkpointPath(folder, 10), step: 10 });
    expect(skipped).toEqual(["100: model.safetensors has 24 bytes instead of 23"]);
    expect(await latestCheckpoint(join(folder, "nowhere"))).toBeUndefined();
  });

  test("the oldest make room, but those to keep; leftovers of unfinished saves go", async () => {
    for (const step of [1, 2, 3, 4]) await save(step);
    mkdirSync(`${checkpointPath(folder, 5)}.0123abcd.tmp`);
    await rotateCheckpoints(folder, { limit: 2, keep: [checkpointPath(folder, 1)] });
    expect((await checkpointsIn(folder)).map(({ step }) => step)).toEqual([1, 4]);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});

describe("a lock", () => {
  test("keeps a second run out, and lets it in afterwards", async () => {
    const release = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toThrow(`in use by another run: process ${process.pid} on ${hostname()}`);
    await release();
    await (
      await lockFolder(folder)
    )();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of a process that has ended, or that was never written whole, is taken over", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    for (const ended of [pid, process.pid]) {
      writeFileSync(join(folder, ".gpugrad.lock"), JSON.stringify({ pid: ended, host: hostname(), since: "then" }));
      await (
        await lockFolder(folder)
      )();
    }
    writeFileSync(join(folder, ".gpugrad.lock"), "");
    await (
      await lockFolder(folder)
    )();
  });
});
