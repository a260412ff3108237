import type { DispatchWork } from "@gpugrad/tensor";
import { describe, expect, test } from "vitest";
import { estimate, planOf, type PlannedKernel } from "./estimate.ts";
import { gpus, type Gpu } from "./gpus.ts";

const times = (count: number, kernel: string, bytes: number, flops?: number): DispatchWork[] =>
  Array.from({ length: count }, () => ({
    kernel,
    bytes: bytes / count,
    flops: flops === undefined ? flops : flops / count,
  }));

/** B · H · T · T · D of BERT-base at 16 × 256. */
const SCORES = 16 * 256 ** 2 * 768;

describe("an estimate", () => {
  // The step of BERT-base on an H200: what its kernels do, and the milliseconds that they took.
  test.each([
    ["ops/matmul/matmul-tiled.wgsl", 220, 20e9, 2.087e12, 77.2],
    ["ops/matmul/matmul-sum.wgsl", 74, 3.51e9, undefined, 1.5],
    ["ops/attention/attention-tiled.wgsl", 12, 0.911e9, undefined, 4.3],
    ["ops/attention/attention-dq-tiled.wgsl", 12, 0.915e9, undefined, 6.6],
    ["ops/attention/attention-dkv-tiled.wgsl", 12, 1.075e9, undefined, 7.7],
    ["train/optim/adamw.wgsl", 75, 1.98e9, undefined, 1.7],
  ] as const)("is what was measured: %s", (kernel, count, bytes, flops, ms) => {
    const [line] = estimate(times(count, kernel, bytes, flops), gpus["h200"]!, SCORES);
    expect(line!.ms / ms).toBeCloseTo(1, 1);
    expect(line!.dispatches).toBe(count);
  });

  // What was measured, milliseconds, of kernels whose loops took so many cycles by NAK, and take so many now.
  test.each([
    ["ops/matmul/matmul-subgroup-matrix.wgsl", 220, 13.8e9, 2.087e12, 30.2, [1520 + 1658 + 2208, 1083 + 1047 + 1127]],
    ["ops/attention/attention-subgroup-matrix.wgsl", 12, 0.911e9, undefined, 5.4, [20390, 2 * 5139]],
    ["ops/attention/attention-dq-subgroup-matrix.wgsl", 12, 0.915e9, undefined, 8.0, [25266, 2 * 4144]],
    ["ops/attention/attention-dkv-subgroup-matrix.wgsl", 12, 1.075e9, undefined, 9.8, [38177, 2 * 4714]],
  ] as const)(
    "of a kernel that is new is faster by the compiler's cycles: %s",
    (kernel, count, bytes, flops, ms, [before, now]) => {
      const [line] = estimate(times(count, kernel, bytes, flops), gpus["h200"]!, SCORES);
      expect((line!.ms / ms) * (before / now)).toBeCloseTo(1, 1);
    },
  );

  const { lanes, cores, workgroupKib, storageBuffers } = gpus["h200"]!;
  const device = { lanes, cores, workgroupKib, storageBuffers };
  const gpu: Gpu = { name: "one", f32: 10, matrix: 20, bandwidth: 1000, memory: 1, link: 10, ...device };

  test("is bound by arithmetic, memory, or the least that a dispatch takes, whatever takes longest", () => {
    const lines = estimate(
      [
        ...times(2, "ops/matmul/matmul-tiled.wgsl", 1e6, 4.05e12), // 10 TFLOP/s · 0.405
        ...times(1, "ops/elementwise/unary.wgsl", 4e9), // 1 TB/s · 0.4
        ...times(3, "ops/create/fill.wgsl", 300),
      ],
      gpu,
      0,
    );
    expect(lines).toEqual([
      { ...{ kernel: "ops/matmul/matmul-tiled.wgsl", dispatches: 2, bytes: 1e6, flops: 4.05e12 }, ms: expect.closeTo(1000) as number, bound: "arithmetic" }, // prettier-ignore
      { ...{ kernel: "ops/elementwise/unary.wgsl", dispatches: 1, bytes: 4e9, flops: 0 }, ms: expect.closeTo(10) as number, bound: "memory" }, // prettier-ignore
      { ...{ kernel: "ops/create/fill.wgsl", dispatches: 3, bytes: 300, flops: 0 }, ms: expect.closeTo(0.024) as number, bound: "dispatches" }, // prettier-ignore
    ]);
  });

  test("counts the products of attention: 2 forward, 3 for dq, 4 for dk and dv", () => {
    for (const rung of ["tiled", "subgroup-matrix"]) {
      const passes = ["attention", "attention-dq", "attention-dkv"].map((pass) => `ops/attention/${pass}-${rung}.wgsl`);
      const flops = passes.map((kernel) => estimate([{ kernel, bytes: 0, flops: undefined }], gpu, 1e9)[0]!.flops);
      expect(flops).toEqual([4e9, 6e9, 8e9]);
    }
  });

  test("of matrix units is no more than their own peak allows", () => {
    const work = times(1, "ops/matmul/matmul-subgroup-matrix.wgsl", 0, 6.2e12);
    expect(estimate(work, { ...gpu, f32: 1000, matrix: 10 }, 0)[0]!.ms).toBeCloseTo(1000, 6); // 0.62 · 10 TFLOP/s
  });
});

test("a recipe: updates of all GPUs together, gaps between dispatches, gradients to the host and back beside backward", () => {
  const kernels: PlannedKernel[] = [{ kernel: "k", dispatches: 1000, flops: 0, bytes: 0, ms: 92, bound: "memory" }];
  const gpu = { ...gpus["rtx3090"]!, link: 25 };
  const recipe = { rows: 25_000, epochs: 3, batchSize: 16 };
  const gradients = { parameters: 125e6, embeddings: 25e6 };
  expect(planOf(kernels, gpu, gradients, { ...recipe, count: 1 })).toEqual({
    ...{
      deviceMs: 92,
      stepMs: 100,
      exchangeMs: 0,
      waitMs: 0,
      updates: 4689,
      seconds: expect.closeTo(468.9, 6) as number,
    },
  });
  // 500 MB in 20 buckets. Each GPU's go to the host in 20 ms, and back; four ranks send 750 MB each, at 50 GB/s together: 60 ms. The longest counts,
  // then (20 + 20) / 20 for the ends of the pipeline, and 120 messages of 1 µs.
  const four = planOf(kernels, gpu, gradients, { ...recipe, count: 4 });
  expect(four).toMatchObject({ deviceMs: 92, stepMs: 100, updates: 1173 });
  expect(four.exchangeMs).toBeCloseTo(62.12, 6);
  // Backward takes 60 ms of it, but the fifth that are embeddings can't begin before its end.
  expect(four.waitMs).toBeCloseTo(62.12 / 5, 6);
  expect(four.seconds).toBeCloseTo(1.173 * (100 + 62.12 / 5), 6);
  // Of a step of a tenth of that, backward takes 6 ms.
  const short = kernels.map((kernel) => ({ ...kernel, ms: 9.2, dispatches: 100 }));
  expect(planOf(short, gpu, gradients, { ...recipe, count: 4 }).waitMs).toBeCloseTo(62.12 - 6, 6);
});
