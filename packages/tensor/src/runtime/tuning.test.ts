import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { destroy, init } from "./init.ts";
import { tuningFile, writeTuning } from "./tuning-file.ts";
import { adapterKey, TUNING_VERSION, type Tuning } from "./tuning.ts";

describe("a tuning", () => {
  let folder: string;
  let tuning: Tuning;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gpugrad-tuning-"));
    vi.stubEnv("GPUGRAD_CACHE", folder);
    const { adapter } = await init();
    await destroy();
    tuning = { version: TUNING_VERSION, adapter: adapterKey(adapter), choices: { "matmul 8×8×8 f32": "naive" } };
  });
  afterEach(destroy);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });

  test("is none where none was measured", async () => {
    expect((await init()).tuning.size).toBe(0);
  });
  test("is handed in, as in browsers", async () => {
    expect((await init({ tuning })).tuning.get("matmul 8×8×8 f32")).toBe("naive");
  });
  test("is handed in on a device that runs, and taken away again", async () => {
    const device = await init();
    await init({ tuning });
    expect(device.tuning.get("matmul 8×8×8 f32")).toBe("naive");
    await init();
    expect(device.tuning.size).toBe(1);
    await init({ tuning: false });
    expect(device.tuning.size).toBe(0);
  });
  test("of another version, or adapter, is ignored", async () => {
    expect((await init({ tuning: { ...tuning, version: 0 } })).tuning.size).toBe(0);
    await destroy();
    expect((await init({ tuning: { ...tuning, adapter: "another" } })).tuning.size).toBe(0);
  });
  test("is read from the cache folder, unless that is switched off", async () => {
    await writeTuning(tuning);
    expect((await init()).tuning.get("matmul 8×8×8 f32")).toBe("naive");
    await destroy();
    expect((await init({ tuning: false })).tuning.size).toBe(0);
    await destroy();
    vi.stubEnv("GPUGRAD_TUNING", "off");
    expect((await init()).tuning.size).toBe(0);
    vi.stubEnv("GPUGRAD_TUNING", "");
  });
  test("that can't be read is ignored", async () => {
    await writeFile(tuningFile(tuning.adapter), "{");
    expect((await init()).tuning.size).toBe(0);
  });
});
