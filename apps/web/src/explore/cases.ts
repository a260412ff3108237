import { crossEntropy, embedding, gelu, layerNorm, matmul, scaledDotProductAttention, softmax } from "@gpugrad/tensor";
import { stepOf } from "../../../../bench/src/cases/optim.ts";
import { attentionReference } from "../../../../packages/tensor/src/ops/attention/attention.reference.ts";
import { attention } from "../../../../packages/tensor/src/ops/attention/attention.ts";
import { geluReference } from "../../../../packages/tensor/src/ops/elementwise/elementwise.reference.ts";
import { embeddingReference } from "../../../../packages/tensor/src/ops/embedding/embedding.reference.ts";
import { crossEntropyReference } from "../../../../packages/tensor/src/ops/loss/loss.reference.ts";
import { matmulReference } from "../../../../packages/tensor/src/ops/matmul/matmul.reference.ts";
import { layerNormReference } from "../../../../packages/tensor/src/ops/norm/norm.reference.ts";
import { softmaxReference } from "../../../../packages/tensor/src/ops/softmax/softmax.reference.ts";
import { linesAlong } from "../../../../packages/tensor/src/ops/softmax/softmax.ts";
import {
  benchBackward,
  benchOp,
  rungsOf,
  uniformInts,
  type BenchCase,
  type BenchRung,
} from "../../../../packages/tensor/src/testing/bench-op.ts";
import type { OpName, Sizes } from "./protocol.ts";

type Make = (sizes: Sizes) => BenchCase;

const norm = (pass: "forward" | "backward", { rows, cols }: Sizes) => ({
  ...{ pass, rows: rows!, cols: cols!, eps: 1e-5, center: true, residual: false, weight: true, bias: true, drop: undefined }, // prettier-ignore
});
const heads = ({ B, H, T, D }: Sizes): number[][] => Array.from({ length: 3 }, () => [B!, H!, T!, D!]);
const products = ({ B, H, T, D }: Sizes): number => 4 * B! * H! * T! * T! * D!;
const classes = ({ rows, cols }: Sizes) => ({
  shapes: [[rows!, cols!], [rows!]],
  values: { 1: (count: number) => uniformInts(count, 7, cols!) },
  result: [rows!],
  sliced: 2,
});
const words = ({ tokens, cols, vocabulary }: Sizes) => ({
  shapes: [[vocabulary!, cols!], [tokens!]],
  values: { 1: (count: number) => uniformInts(count, 9, vocabulary!) },
  result: [tokens!, cols!],
  sliced: 0,
  reference: embeddingReference,
});

/** What is measured of each op, by pass: the cases of `pnpm bench` at sizes of one's own. */
export const CASES: Record<OpName, Partial<Record<"forward" | "backward", Make>>> = {
  matmul: {
    forward: ({ M, K, N }) =>
      benchOp("matmul", {
        shapes: [[M!, K!], [K!, N!]], // prettier-ignore
        result: [M!, N!],
        sliced: 1,
        op: (a, b) => matmul(a, b),
        reference: (a, b) => matmulReference(a, b),
        flops: 2 * M! * K! * N!,
        rungs: rungsOf("matmul", { M: M!, N: N!, K: K!, batches: 1, precision: "f32" }),
        tolerance: { rtol: 1e-4, atol: Math.max(1e-4, 3e-7 * K!) },
      }),
  },
  softmax: {
    forward: ({ rows, cols }) =>
      benchOp("softmax", {
        shapes: [[rows!, cols!]],
        op: (x) => softmax(x),
        reference: (x) => softmaxReference(x),
        rungs: rungsOf("softmax", { pass: "forward", ...linesAlong("softmax", [rows!, cols!], -1) }),
      }),
    backward: ({ rows, cols }) =>
      benchBackward("softmax_bwd", {
        shapes: [[rows!, cols!]],
        op: softmax,
        reference: (x) => softmaxReference(x),
        bytes: 12 * rows! * cols!,
        rungs: rungsOf("softmax", { pass: "backward", ...linesAlong("softmax", [rows!, cols!], -1) }, "-backward"),
      }),
  },
  "layer-norm": {
    forward: (sizes) =>
      benchOp("layernorm", {
        shapes: [[sizes.rows!, sizes.cols!], [sizes.cols!], [sizes.cols!]],
        op: (x, weight, bias) => layerNorm(x, weight, bias),
        reference: (x, weight, bias) => layerNormReference(x, weight, bias),
        rungs: rungsOf("norm", norm("forward", sizes)),
      }),
    backward: (sizes) =>
      benchBackward("layernorm_dx", {
        shapes: [[sizes.rows!, sizes.cols!], [sizes.cols!], [sizes.cols!]],
        op: layerNorm,
        reference: (x, weight, bias) => layerNormReference(x, weight, bias),
        needs: ["x"],
        bytes: 12 * sizes.rows! * sizes.cols!,
        rungs: rungsOf("norm", norm("backward", sizes), "-backward"),
      }),
  },
  gelu: {
    forward: ({ rows, cols }) =>
      benchOp("gelu", {
        shapes: [[rows!, cols!]],
        op: (x) => gelu(x),
        reference: (x) => geluReference(x),
        rungs: rungsOf("gelu", {}),
      }),
    backward: ({ rows, cols }) =>
      benchBackward("gelu_bwd", { shapes: [[rows!, cols!]], op: gelu, reference: (x) => geluReference(x) }),
  },
  attention: {
    forward: (sizes) =>
      benchOp("attention", {
        shapes: heads(sizes),
        op: (q, k, v) => scaledDotProductAttention(q, k, v),
        reference: (q, k, v) => attentionReference(q, k, v, undefined),
        sliced: 3,
        flops: products(sizes),
        rungs: rungsOf("attention", { headDim: sizes.D! }),
      }),
    // The gradients' kernels are those of the rung that forward took, so that is what a rung is put around.
    backward: (sizes) => {
      const rungs = rungsOf("attention", { headDim: sizes.D! });
      const by = (inside?: BenchRung["inside"]): BenchCase =>
        benchBackward("attention_bwd", {
          shapes: heads(sizes),
          op: attention,
          args: [undefined, {}],
          reference: (q, k, v) => attentionReference(q, k, v, undefined),
          sliced: 3,
          flops: 3.5 * products(sizes),
          ...(inside && { inside }),
        });
      return { ...by(), rungs, prepare: (sets, rung) => by(rung === undefined ? undefined : rungs[rung]!.inside).prepare(sets) }; // prettier-ignore
    },
  },
  "cross-entropy": {
    forward: (sizes) =>
      benchOp("crossentropy", {
        ...classes(sizes),
        op: (x, target) => crossEntropy(x, target, { reduction: "none" }),
        reference: (x, target) => crossEntropyReference(x, target, { reduction: "none" }),
      }),
    backward: (sizes) =>
      benchBackward("crossentropy_bwd", {
        ...classes(sizes),
        op: crossEntropy,
        args: [{ reduction: "none" }],
        reference: (x, target) => crossEntropyReference(x, target, { reduction: "none" }),
      }),
  },
  embedding: {
    forward: (sizes) =>
      benchOp("embedding", {
        ...words(sizes),
        op: (weight, ids) => embedding(weight, ids),
        bytes: 4 * sizes.tokens! * (2 * sizes.cols! + 1),
      }),
    backward: (sizes) =>
      benchBackward("embedding_bwd", {
        ...words(sizes),
        op: embedding,
        bytes: 4 * (sizes.tokens! + sizes.vocabulary!) * sizes.cols!,
      }),
  },
  adamw: {
    forward: ({ parameters }) => stepOf("adamw", [[parameters!]]),
  },
};
