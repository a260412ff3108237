import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { GpugradError } from "@gpugrad/tensor";
import { DataError } from "@gpugrad/train";
import { splitMix64 } from "../packages/train/src/random.ts";
import { minimize } from "./minimize.ts";
import { MAX_BYTES, mutate } from "./mutate.ts";
import { outcomeOf } from "./outcome.ts";
import { bundle, textOf, unbundle, type Target } from "./target.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const outcome = (read: Target["read"]) => outcomeOf({ name: "x", seeds: [], dictionary: [], read }, bytes("input"));

test("errors of the project are not failures, all others are", async () => {
  for (const error of [new GpugradError("a"), new DataError("b")]) {
    expect(await outcome(() => Promise.reject(error))).toBeUndefined();
    expect(
      await outcome(() => {
        throw error;
      }),
    ).toBeUndefined();
  }
  for (const error of [new TypeError("x is 5"), new RangeError("x is 5"), new Error("x is 5")]) {
    expect(await outcome(() => Promise.reject(error))).toMatchObject({ kind: "error" });
  }
});

test("a promise that nobody awaits, a long run and a large one are failures", async () => {
  expect(await outcome(() => void Promise.reject(new DataError("lost")))).toMatchObject({ kind: "rejection" });
  expect(
    await outcome(() => {
      for (const start = process.cpuUsage(); process.cpuUsage(start).user < 2.5e6;);
    }),
  ).toMatchObject({ kind: "hang" });
  let held: Uint8Array | undefined;
  expect(await outcome(() => void (held = new Uint8Array(700 << 20).fill(1)))).toMatchObject({ kind: "memory" });
  expect(held!.length).toBe(700 << 20);
});

test("minimizing leaves what the failure needs", async () => {
  const fails = (input: Uint8Array) => Promise.resolve(/a.*b/s.test(textOf(input)));
  const noise = "xyz".repeat(300);
  expect(textOf(await minimize(bytes(`${noise}a${noise}b${noise}`), fails))).toBe("ab");
});

test("mutations of one seed are the same, of several differ, and stay small", () => {
  const start = bytes('{"text":"a","label":[1,2,{"x":null}]}');
  const of = (seed: number) => textOf(mutate(start, splitMix64(seed), ["word"], bytes("other")));
  const all = Array.from({ length: 500 }, (_, seed) => of(seed));
  expect(all).toEqual(Array.from({ length: 500 }, (_, seed) => of(seed)));
  expect(new Set(all).size).toBeGreaterThan(400);
  expect(Math.max(...all.map((text) => bytes(text).length))).toBeLessThanOrEqual(3 * MAX_BYTES); // as UTF-8 once more
});

test("a bundle keeps its files", () => {
  const files = { "a.json": bytes("{}"), "b/c.bin": Uint8Array.of(0, 255, 10) };
  expect(unbundle(bundle(files))).toEqual(files);
});

test("pnpm fuzz: counts runs and ends well", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const out = execFileSync(process.execPath, ["scripts/run.mjs", "fuzz/cli.ts", "vocab", "--runs", "200", "--seconds", "120"], { cwd: root, encoding: "utf8" }); // prettier-ignore
  expect(out).toMatch(/vocab\s+200\s/);
  expect(out).toMatch(/^200 runs, 0 failures, seed 1$/m);
});
