import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { destroy, device, init, outcomeOf } from "./init.ts";
import { trialFile } from "./tuning-file.ts";
import { adapterKey } from "./tuning.ts";

let folder: string;
beforeAll(async () => void (await init()));
afterAll(destroy);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpugrad-trials-"));
  vi.stubEnv("GPUGRAD_CACHE", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** Makes a trial of `code`; gives what came of it, and whether it was made. */
async function attempt(code: string, { adapter = device().adapter, fails = false } = {}) {
  let made = false;
  const run = async (): Promise<void> => {
    made = true;
    if (fails) throw new Error("wrong numbers");
    await Promise.resolve();
  };
  const { problem } = await outcomeOf({ name: "sums", code, run }, { adapter });
  return { problem, made };
}

test("what was passed is not tried again, unless code or driver differ", async () => {
  const passed = { problem: undefined, made: true };
  expect(await attempt("kernel")).toEqual(passed);
  expect(await attempt("kernel")).toEqual({ ...passed, made: false });
  const newer = { ...device().adapter, description: "the same with another driver" };
  expect(await attempt("kernel", { adapter: newer })).toEqual(passed);
  expect(await attempt("kernel")).toEqual({ ...passed, made: false });
  expect(await attempt("another kernel")).toEqual(passed);
  expect(await attempt("kernel")).toEqual(passed);
});

test("another version of Dawn is tried", async () => {
  await attempt("kernel");
  const file = trialFile(adapterKey(device().adapter), "sums");
  const kept = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...kept, dawn: "0.0.0" }));
  expect((await attempt("kernel")).made).toBe(true);
});

test("what failed is tried at each start", async () => {
  const failed = { problem: "wrong numbers", made: true };
  expect(await attempt("kernel", { fails: true })).toEqual(failed);
  expect(await attempt("kernel", { fails: true })).toEqual(failed);
  expect(await readdir(folder)).toEqual([]);
});

test("GPUGRAD_TRIALS=off neither reads nor keeps", async () => {
  vi.stubEnv("GPUGRAD_TRIALS", "off");
  expect((await attempt("kernel")).made).toBe(true);
  expect(await readdir(folder)).toEqual([]);
  vi.stubEnv("GPUGRAD_TRIALS", "");
  await attempt("kernel");
  vi.stubEnv("GPUGRAD_TRIALS", "off");
  expect((await attempt("kernel")).made).toBe(true);
});

test("a damaged file is ignored with one warning, and replaced", async () => {
  const file = trialFile(adapterKey(device().adapter), "sums");
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  await writeFile(file, '{ "adapter": ');
  expect((await attempt("kernel")).made).toBe(true);
  expect((await attempt("kernel")).made).toBe(false);
  await writeFile(file, "null");
  expect((await attempt("kernel")).made).toBe(true);
  expect(written.mock.calls).toEqual([[`gpugrad: ${file} is damaged, so it is ignored. It can be deleted.\n`]]);
});

test("a folder that can't be written costs a trial, no more", async () => {
  vi.stubEnv("GPUGRAD_CACHE", join(folder, "file", "below"));
  await writeFile(join(folder, "file"), "");
  expect(await attempt("kernel")).toEqual({ problem: undefined, made: true });
  expect(await attempt("kernel")).toEqual({ problem: undefined, made: true });
});

test("what a trial counts is kept, beside what others found", async () => {
  const { adapter } = device();
  const counting = (name: string, count: number) =>
    outcomeOf({ name, code: "kernel", run: () => Promise.resolve(count) }, { adapter });
  expect(await counting("places", 264)).toEqual({ found: 264 });
  expect(await counting("others", 7)).toEqual({ found: 7 });
  expect(await counting("places", 1)).toEqual({ found: 264 });
});
