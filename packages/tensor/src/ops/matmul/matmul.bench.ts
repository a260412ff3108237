import { autocast } from "../../autocast.ts";
import { benchBackward, benchOp, rungsOf, type BenchCase, type Tolerance } from "../../testing/bench-op.ts";
import type { Tensor } from "../../tensor.ts";
import { linear, linearGelu } from "./linear.ts";
import { linearGeluReference, linearReference } from "./linear.reference.ts";
import { matmul } from "./matmul.ts";
import { matmulReference } from "./matmul.reference.ts";

/** How sums of K products of numbers up to 3 may differ from those in float64: factors of f16 have eleven bits. */
const toleranceFor = (K: number, f16: boolean): Tolerance =>
  f16 ? { rtol: 1e-2, atol: 0.2 } : { rtol: 1e-4, atol: Math.max(1e-4, 3e-7 * K) };

interface Options {
  f16?: boolean;
  gpuOnly?: boolean;
}

function square(n: number, { f16 = false, gpuOnly = false }: Options = {}): BenchCase {
  const op = (a: Tensor, b: Tensor): Tensor => autocast(() => matmul(a, b), { dtype: f16 ? "f16" : "f32" });
  return benchOp(`matmul${n}${f16 ? "_f16" : ""}`, {
    shapes: [
      [n, n],
      [n, n],
    ],
    op: (a, b) => op(a, b),
    reference: (a, b) => matmulReference(a, b),
    flops: 2 * n ** 3,
    gpuOnly,
    rungs: rungsOf("matmul", { M: n, N: n, K: n, batches: 1, precision: f16 ? "f16" : "f32" }),
    tolerance: toleranceFor(n, f16),
    arithmetic: f16 ? "f16" : "f32",
  });
}

/** A linear layer on `rows` tokens. */
function linearOf(
  rows: number,
  inFeatures: number,
  outFeatures: number,
  { f16 = false, gpuOnly = false, gelu = false }: Options & { gelu?: boolean } = {},
): BenchCase {
  const layer = gelu ? linearGelu : linear;
  const reference = gelu ? linearGeluReference : linearReference;
  return benchOp(`${gelu ? "lineargelu" : "linear"}${rows}x${inFeatures}x${outFeatures}${f16 ? "_f16" : ""}`, {
    shapes: [[rows, inFeatures], [outFeatures, inFeatures], [outFeatures]],
    op: (x, weight, bias) => autocast(() => layer(x, weight, bias), { dtype: f16 ? "f16" : "f32" }),
    reference: (x, weight, bias) => reference(x, weight, bias),
    flops: 2 * rows * inFeatures * outFeatures,
    result: [rows, outFeatures],
    gpuOnly,
    tolerance: toleranceFor(inFeatures, f16),
    arithmetic: f16 ? "f16" : "f32",
  });
}

/** One of a linear layer's gradients, or all: the products of dy with the weight, and of dyᵀ with x. */
function linearBackward(
  rows: number,
  inFeatures: number,
  outFeatures: number,
  { needs, f16 = false, gpuOnly = false }: Options & { needs?: "x" | "weight" } = {},
): BenchCase {
  const sizes = `${rows}x${inFeatures}x${outFeatures}`;
  return benchBackward(`linear${sizes}_${needs ? `d${needs}` : "bwd"}${f16 ? "_f16" : ""}`, {
    op: linear,
    shapes: [[rows, inFeatures], [outFeatures, inFeatures], [outFeatures]],
    reference: (x, weight, bias) => linearReference(x, weight, bias),
    result: [rows, outFeatures],
    flops: (needs ? 2 : 4) * rows * inFeatures * outFeatures,
    gpuOnly,
    ...(needs && { needs: [needs] }),
    ...(f16 && { arithmetic: "f16", tolerance: 1e-2, inside: autocast }),
  });
}

const gpuOnly = true;
const f16 = true;

export const benches: BenchCase[] = [
  square(512),
  square(1024),
  square(1023), // no multiple of anything
  square(2048),
  square(4096, { gpuOnly }),
  square(1024, { f16 }),
  square(4096, { f16, gpuOnly }),
  // MiniLM, 16 × 128 tokens
  linearOf(2048, 384, 384),
  linearOf(2048, 384, 1536),
  linearOf(2048, 1536, 384),
  linearOf(2048, 384, 1536, { gelu: true }),
  linearOf(2048, 384, 1536, { f16 }),
  linearBackward(2048, 384, 1536, { needs: "x" }),
  linearBackward(2048, 384, 1536, { needs: "weight" }),
  linearBackward(2048, 384, 1536),
  linearBackward(2048, 384, 1536, { f16 }),
  // BERT-base, 16 × 128 and 16 × 256 tokens
  linearOf(2048, 768, 768),
  linearOf(2048, 768, 3072),
  linearOf(2048, 3072, 768),
  linearOf(4096, 768, 768, { gpuOnly }),
  linearOf(4096, 768, 3072, { gpuOnly }),
  linearOf(4096, 768, 3072, { f16, gpuOnly }),
  linearBackward(4096, 768, 3072, { gpuOnly }),
  linearBackward(4096, 768, 3072, { f16, gpuOnly }),
];
