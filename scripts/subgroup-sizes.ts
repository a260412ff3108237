// node scripts/run.mjs scripts/subgroup-sizes.ts: checks the ops that have kernels with subgroups against float64, with the kernels of
// this adapter and with those of a GPU, and prints the adapter's subgroup size. LP_NATIVE_VECTOR_WIDTH sets it on lavapipe: 128 bits are
// four lanes, 256 eight, 512 sixteen.
import { destroy, init } from "@gpugrad/tensor";
import { attentionReference } from "../packages/tensor/src/ops/attention/attention.reference.ts";
import { scaledDotProductAttention } from "../packages/tensor/src/ops/attention/attention.ts";
import { matmulReference } from "../packages/tensor/src/ops/matmul/matmul.reference.ts";
import { matmul } from "../packages/tensor/src/ops/matmul/matmul.ts";
import { layerNorm } from "../packages/tensor/src/ops/norm/layer-norm.ts";
import { layerNormReference } from "../packages/tensor/src/ops/norm/norm.reference.ts";
import { softmaxReference } from "../packages/tensor/src/ops/softmax/softmax.reference.ts";
import { softmax } from "../packages/tensor/src/ops/softmax/softmax.ts";
import type { NdArray } from "../packages/tensor/src/testing/nd-array.ts";
import { benchBackward, benchOp, type BenchCase } from "../packages/tensor/src/testing/bench-op.ts";

const softmaxOf = (rows: number, cols: number): BenchCase[] => {
  const shapes = [[rows, cols]];
  return [
    benchOp("softmax", { shapes, op: (x) => softmax(x), reference: (x) => softmaxReference(x) }),
    benchBackward("softmax's backward", { shapes, op: softmax, reference: (x) => softmaxReference(x) }),
  ];
};

const normOf = (rows: number, cols: number): BenchCase[] => {
  const shapes = [[rows, cols], [cols], [cols]];
  const reference = (x: NdArray, weight: NdArray, bias: NdArray): NdArray => layerNormReference(x, weight, bias);
  return [
    benchOp("layerNorm", { shapes, op: (x, weight, bias) => layerNorm(x, weight, bias), reference }),
    benchBackward("layerNorm's backward", { shapes, op: layerNorm, reference, sliced: 0 }),
  ];
};

const attentionOf = (tokens: number, D: number): BenchCase =>
  benchOp("attention", {
    shapes: Array.from({ length: 3 }, () => [1, 2, tokens, D]),
    op: (q, k, v) => scaledDotProductAttention(q, k, v),
    reference: (q: NdArray, k: NdArray, v: NdArray) => attentionReference(q, k, v, undefined),
    sliced: 0,
  });

const matmulOf = (M: number, K: number, N: number): BenchCase =>
  benchOp("matmul", {
    shapes: [
      [M, K],
      [K, N],
    ],
    op: (a, b) => matmul(a, b),
    reference: (a: NdArray, b: NdArray) => matmulReference(a, b),
    result: [M, N],
    sliced: 0,
    tolerance: { atol: 1e-3 },
  });

const cases = [
  ...softmaxOf(5, 33),
  ...softmaxOf(5, 64),
  ...softmaxOf(3, 1028),
  ...normOf(5, 33),
  ...normOf(5, 768),
  attentionOf(37, 32),
  matmulOf(65, 33, 70),
];

for (const kernels of ["this adapter", "a GPU"]) {
  const { adapter } = await init();
  if (kernels === "a GPU") Object.assign(adapter, { cpu: false });
  for (const benchCase of cases) {
    const workload = benchCase.prepare();
    await workload.verify(workload.run(0)).catch((error: unknown) => {
      throw new Error(`${benchCase.name} with kernels for ${kernels}: ${String(error)}`);
    });
  }
  if (kernels === "a GPU") console.log(JSON.stringify(adapter));
  await destroy();
}
