import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastShapes, resolveDim, sameShape, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { broadcastTo } from "../elementwise/apply.ts";
import { sumTo } from "../reduce/sum.ts";
import { type Lines } from "../softmax/ladder.ts";
import { linesAlong } from "../softmax/softmax.ts";
import backwardCode from "./cosine-backward.wgsl";
import code from "./cosine.wgsl";
import { reductions, reduceLoss, type Reduction, type Upstream } from "./reduction.ts";

const cosineKernel = kernel("ops/loss/cosine.wgsl", code);
const backwardKernel = kernel("ops/loss/cosine-backward.wgsl", backwardCode);

interface Saved {
  a: Tensor;
  b: Tensor;
  stats: Tensor;
  lines: Lines;
  upstream: Upstream;
}

/** da and db, in the shape that a and b have in common. */
function gradients({ a, b, stats, lines, upstream }: Saved, dy: Tensor, needs: { a: boolean; b: boolean }) {
  const gradient = (one: Tensor, other: Tensor, SECOND: 0 | 1): Tensor => {
    const da = empty(one.shape);
    run(
      backwardKernel,
      { a: one, b: other, stats, dy, da },
      { ...lines, scale: upstream.scale },
      { threads: lines.rows, overrides: { SECOND, EACH: upstream.each } },
    );
    return da;
  };
  return { a: needs.a ? gradient(a, b, 0) : undefined, b: needs.b ? gradient(b, a, 1) : undefined };
}

/**
 * a·b / (max(|a|, eps) max(|b|, eps)) along `dim` (1, as in PyTorch): f32, of the shape that a and b broadcast to, without `dim`.
 * A zero vector gives 0, and a gradient of the order of 1/eps.
 */
export const cosineSimilarity = defineOp("cosineSimilarity", {
  takes: { a: "tensor", b: "tensor", options: { dim: "dim?", eps: "number?" } },
  forward(a: Tensor, b: Tensor, { dim = 1, eps = 1e-8 }: { dim?: number; eps?: number } = {}) {
    const shape = broadcastShapes("cosineSimilarity", a.shape, b.shape);
    const axis = resolveDim("cosineSimilarity", dim, shape.length);
    const lines = linesAlong("cosineSimilarity", shape, axis);
    const wide = { a: spread(a, shape), b: spread(b, shape) };
    const y = empty(shape.filter((_, i) => i !== axis));
    const stats = empty([lines.rows, 4]);
    const params = { ...lines, eps, margin: 0 };
    run(cosineKernel, { ...wide, target_of: a, y, stats }, params, { threads: lines.rows });
    const upstream: Upstream = { each: 1, scale: 1 };
    return { output: y, inputs: { a, b }, saved: { ...wide, stats, lines, upstream, shapes: [a.shape, b.shape] } };
  },
  backward({ shapes, ...saved }, dy, needs) {
    const { a: da, b: db } = gradients(saved, dy, needs);
    return { a: da && sumTo(da, shapes[0]!), b: db && sumTo(db, shapes[1]!) };
  },
});

export interface CosineEmbeddingLossOptions {
  /** Cosines up to this cost nothing where the target is −1. */
  margin?: number;
  reduction?: Reduction;
}

/**
 * Pulls pairs with target 1 together, 1 − cos(a, b), and pushes those with target −1 apart, max(0, cos(a, b) − margin): a and b
 * f32 [N,D] or [D], target [N] or a scalar. By default the mean over pairs.
 */
export const cosineEmbeddingLoss = defineOp("cosineEmbeddingLoss", {
  takes: {
    ...{ a: "tensor", b: "tensor", target: "tensor" },
    options: { margin: "number?", reduction: reductions },
  },
  forward(a: Tensor, b: Tensor, target: Tensor, options: CosineEmbeddingLossOptions = {}) {
    const { margin = 0, reduction = "mean" } = options;
    check(
      (a.rank === 1 || a.rank === 2) && sameShape(a.shape, b.shape) && sameShape(target.shape, a.shape.slice(0, -1)),
      () =>
        `cosineEmbeddingLoss: a ${showShape(a.shape)}, b ${showShape(b.shape)}, target ${showShape(target.shape)}: ` +
        `it takes [N,D], [N,D] and [N], or one pair.`,
    );
    const lines = linesAlong("cosineEmbeddingLoss", a.shape, -1);
    const loss = empty(target.shape);
    const stats = empty([lines.rows, 4]);
    run(
      cosineKernel,
      { a, b, target_of: cast(target, "f32"), y: loss, stats },
      { ...lines, eps: 0, margin },
      { threads: lines.rows, overrides: { EMBEDDING: 1 } },
    );
    const { output, upstream } = reduceLoss(loss, reduction);
    return { output, inputs: { a, b }, saved: { a, b, stats, lines, upstream } };
  },
  backward: (saved, dy, needs) => gradients(saved, dy, needs),
});

const spread = (x: Tensor, shape: Shape): Tensor => (sameShape(x.shape, shape) ? x : broadcastTo(x, shape));
