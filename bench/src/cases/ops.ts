import {
  fromArray,
  gelu,
  layerNorm,
  linear,
  matmul,
  scaledDotProductAttention,
  sizeOf,
  softmax,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";
import { attentionReference } from "../../../packages/tensor/src/ops/attention/attention.reference.ts";
import { linearGeluReference, linearReference } from "../../../packages/tensor/src/ops/matmul/linear.reference.ts";
import { matmulReference } from "../../../packages/tensor/src/ops/matmul/matmul.reference.ts";
import { layerNormReference } from "../../../packages/tensor/src/ops/norm/norm.reference.ts";
import { softmaxReference } from "../../../packages/tensor/src/ops/softmax/softmax.reference.ts";
import { ndArray, type NdArray } from "../../../packages/tensor/src/testing/nd-array.ts";
import type { BenchCase } from "../harness.ts";
import { uniform } from "../random.ts";
import { expectClose } from "../verify.ts";

/** How an op is measured. */
interface OpBench {
  /** Shapes of its tensors; the elements are random. */
  shapes: Shape[];
  op: (...tensors: Tensor[]) => Tensor;
  /**
   * The same in float64. Only some slices of the first tensor along its first dimension are computed, and compared with those of the
   * result: all at once would take longer than everything else.
   */
  reference: (...arrays: NdArray[]) => NdArray;
  /** Tensors that are sliced along with the first one. */
  sliced?: number;
  flops?: number;
  /** Shape of the result, if it is not that of the first tensor. */
  result?: Shape;
}

const SLICES = 16;

/** A case of one op: least traffic is that of reading its tensors once, and writing its result once. */
function benchOp(
  name: string,
  { shapes, op, reference, sliced = 1, flops = 0, result = shapes[0]! }: OpBench,
): BenchCase {
  const sizes = shapes.map(sizeOf);
  const rows = shapes[0]![0]!;
  return {
    name,
    flops,
    bytes: 4 * (sizes.reduce((a, b) => a + b) + sizeOf(result)),
    prepare() {
      const values = sizes.map((size, i) => uniform(size, i + 1, 3));
      const tensors = values.map((v, i) => fromArray(v, shapes[i]!));
      return {
        run: () => op(...tensors),
        async verify(result) {
          const got = await result.data();
          for (let s = 0; s < Math.min(SLICES, rows); s++) {
            const row = Math.floor((s * rows) / Math.min(SLICES, rows));
            const arrays = values.map((v, i) => {
              const shape = shapes[i]!;
              if (i >= sliced) return ndArray(shape, v);
              const length = v.length / rows;
              return ndArray([1, ...shape.slice(1)], v.subarray(row * length, (row + 1) * length));
            });
            const want = reference(...arrays).data;
            expectClose(got.subarray(row * want.length, (row + 1) * want.length), want);
          }
        },
      };
    },
  };
}

const square = (n: number): BenchCase =>
  benchOp(`matmul${n}`, {
    shapes: [
      [n, n],
      [n, n],
    ],
    op: (a, b) => matmul(a, b),
    reference: (a, b) => matmulReference(a, b),
    flops: 2 * n ** 3,
  });

const softmaxOf = (...shape: number[]): BenchCase =>
  benchOp(`softmax${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => softmax(x),
    reference: (x) => softmaxReference(x),
  });

/** gelu(x) as the activation of a linear layer that changes nothing. */
const geluReference = (x: NdArray): NdArray => ({
  shape: x.shape,
  data: linearGeluReference({ shape: [x.data.length, 1], data: x.data }, ndArray([1, 1], [1])).data,
});

const attentionShape = [4, 12, 128, 64] as const;
const [B, H, T, D] = attentionShape;

export const opCases: BenchCase[] = [
  square(512),
  square(1024),
  benchOp("linear2048x384x1536", {
    shapes: [[2048, 384], [1536, 384], [1536]],
    op: (x, weight, bias) => linear(x, weight, bias),
    reference: (x, weight, bias) => linearReference(x, weight, bias),
    flops: 2 * 2048 * 384 * 1536,
    result: [2048, 1536],
  }),
  softmaxOf(4096, 256),
  softmaxOf(48, 256, 256),
  benchOp("layernorm4096x768", {
    shapes: [[4096, 768], [768], [768]],
    op: (x, weight, bias) => layerNorm(x, weight, bias),
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
  }),
  benchOp("gelu4096x3072", { shapes: [[4096, 3072]], op: (x) => gelu(x), reference: (x) => geluReference(x) }),
  benchOp("sdpa_B4H12S128D64", {
    shapes: [attentionShape, attentionShape, attentionShape],
    op: (q, k, v) => scaledDotProductAttention(q, k, v),
    reference: (q, k, v) => attentionReference(q, k, v, undefined),
    sliced: 3,
    flops: 4 * B * H * T * T * D,
  }),
];
