import { spawnSync } from "node:child_process";
import { destroy, fromArray, init, mul, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose, type BenchCase } from "../../packages/tensor/src/testing/bench-op.ts";
import { measure } from "./harness.ts";
import { withShares, type Limits } from "./limits.ts";

const limits: Limits = { f32: 1e9, f16: 1e9, bytes: 1e9, cacheBytes: 0, clock: "wall" };

/** Twice 1, 2, 3: checked against what is given. */
const twice = (want: number[]): BenchCase => ({
  name: "twice",
  flops: 3,
  bytes: 24,
  prepare() {
    const x = fromArray([1, 2, 3], [3]);
    return { run: () => mul(x, 2), verify: async (result) => expectClose(await (result as Tensor).data(), want) };
  },
});

describe("measure", () => {
  beforeAll(async () => void (await init()));
  afterAll(destroy);

  test("times a kernel that is right", async () => {
    const row = await measure("elementwise", twice([2, 4, 6]), limits);
    expect(row).toMatchObject({ case: "twice", kernel: "binary" });
    expect(row.error).toBeUndefined();
    expect(row.ms).toBeGreaterThan(0);
    expect(withShares(row, limits).of_limit).toBeCloseTo(24 / 1e6 / row.ms!, 12);
  });
  test("gives one that is wrong no time", async () => {
    expect(await measure("elementwise", twice([2, 4, 7]), limits)).toMatchObject({
      ms: null,
      error: "wrong result: element 2 is 6, not 7",
    });
  });
});

test("wrong usage exits with 2", () => {
  const { status, stderr } = spawnSync(process.execPath, [
    "scripts/run.mjs",
    "bench/src/cli.ts",
    "--only",
    "nosuchcase",
  ]);
  expect(stderr.toString()).toContain("no case matches /nosuchcase/. Cases: matmul512,");
  expect(status).toBe(2);
});
