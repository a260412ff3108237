import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { sameShape, showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { add, div, maximum, mul, ne, sub } from "../elementwise/binary.ts";
import { clamp, log, neg, square } from "../elementwise/unary.ts";
import { where } from "../elementwise/where.ts";
import { gather } from "../index/gather.ts";
import { indexSelect } from "../index/index-select.ts";
import { mean, sum } from "../reduce/sum.ts";
import { flatten, reshape, squeeze, unsqueeze } from "../shape/reshape.ts";
import { smoothL1Loss } from "./elementwise-losses.ts";
import { reductions, type Reduction } from "./reduction.ts";

// Losses that are made of other ops.

const reduced = (losses: Tensor, reduction: Reduction): Tensor =>
  reduction === "none" ? losses : reduction === "sum" ? sum(losses) : mean(losses);

/** d²/2 where d = |x − target| < `delta` (1), else delta (d − delta/2). By default the mean. */
export const huberLoss = checked(
  "huberLoss",
  { x: "tensor", target: "tensor", options: { reduction: reductions, delta: "number?" } },
  (x: Tensor, target: Tensor, { reduction = "mean", delta = 1 }: { reduction?: Reduction; delta?: number } = {}) => {
    check(delta > 0, () => `huberLoss: delta is ${delta}, not a positive number.`);
    return mul(smoothL1Loss(x, target, { reduction, beta: delta }), delta);
  },
);

/** −(t ln x + (1 − t) ln(1 − x)), each ln at least −100; dx divides by max(x (1 − x), 1e-12). */
const crossEntropies = defineOp("binaryCrossEntropy", {
  forward(x: Tensor, target: Tensor) {
    const f32 = (fn: "add" | "sub" | "mul" | "maximum", a: Tensor | number, b: Tensor | number): Tensor =>
      applyBinary(fn, a, b, x.shape, "f32");
    const ln = (p: Tensor): Tensor => f32("maximum", applyUnary("log", p), -100);
    const no = f32("mul", f32("sub", 1, target), ln(f32("sub", 1, x)));
    const y = applyUnary("neg", f32("add", f32("mul", target, ln(x)), no));
    return { output: y, inputs: { x }, saved: { x, target } };
  },
  backward({ x, target }, dy) {
    const spread = maximum(mul(x, sub(1, x)), 1e-12);
    return { x: mul(dy, div(sub(x, target), spread)) };
  },
});

/** Options of losses that weigh elements. */
export interface BinaryCrossEntropyOptions {
  /** Multiplies the losses; broadcast. The mean still divides by their number. */
  weight?: Tensor | undefined;
  reduction?: Reduction;
}

/**
 * −(t ln x + (1 − t) ln(1 − x)) of probabilities x in [0, 1], each ln at least −100. By default the mean. Of logits, `bceWithLogits` is more
 * exact. The gradient goes to x alone.
 */
export const binaryCrossEntropy = checked(
  "binaryCrossEntropy",
  { x: "tensor", target: "tensor", options: { weight: "tensor?", reduction: reductions } },
  (x: Tensor, target: Tensor, { weight, reduction = "mean" }: BinaryCrossEntropyOptions = {}): Tensor => {
    check(
      sameShape(x.shape, target.shape),
      () =>
        `binaryCrossEntropy: x is ${showShape(x.shape)}, target ${showShape(target.shape)}; they have to be the same.`,
    );
    const losses = crossEntropies(x, target);
    return reduced(weight ? mul(losses, weight) : losses, reduction);
  },
);

/** Options of {@link nllLoss}, as those of `crossEntropy`. */
export interface NllLossOptions {
  /** A weight for each class: f32 [C]. The mean then divides by the sum of the targets' weights. */
  weight?: Tensor | undefined;
  reduction?: Reduction;
  /** Targets that count for nothing (−100). */
  ignoreIndex?: number;
}

/**
 * −x[target] of log-probabilities x [C], [N, C] or [N, C, d1, …], classes in dimension 1; target is integers in x's shape without C. By default
 * the mean. `crossEntropy` does this of logits in one step.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
 */
export const nllLoss = checked(
  "nllLoss",
  { x: "tensor", target: "tensor", options: { weight: "tensor?", reduction: reductions, ignoreIndex: "index?" } },
  (x: Tensor, target: Tensor, { weight, reduction = "mean", ignoreIndex = -100 }: NllLossOptions = {}): Tensor => {
    const axis = x.rank === 1 ? 0 : 1;
    check(
      x.rank > 0 &&
        sameShape(
          target.shape,
          x.shape.filter((_, d) => d !== axis),
        ),
      () => `nllLoss: target ${showShape(target.shape)} for x ${showShape(x.shape)}: x's shape without its classes.`,
    );
    check(
      target.dtype === "i32" || target.dtype === "u32",
      () => `nllLoss: target is ${target.dtype}; it holds class indices. Use target.to("i32").`,
    );
    const counts = ne(target, ignoreIndex);
    const classes = where(counts, target, 0);
    const own = weight ? reshape(indexSelect(weight, 0, flatten(classes)), target.shape) : cast(counts, "f32");
    const weights = where(counts, own, 0);
    const picked = squeeze(gather(x, axis, unsqueeze(classes, axis)), axis);
    const losses = where(counts, neg(mul(picked, weights)), 0);
    return reduction === "mean" ? div(sum(losses), sum(weights)) : reduced(losses, reduction);
  },
);

/** Options of {@link gaussianNllLoss}. */
export interface GaussianNllOptions {
  /** Whether ln(2π)/2 is added. */
  full?: boolean;
  /** Variances below this are taken for it (1e-6); their gradient is that at it. */
  eps?: number;
  reduction?: Reduction;
}

/** (ln v + (x − target)² / v) / 2 for normally distributed targets of variance v, broadcast to x. By default the mean. */
export const gaussianNllLoss = checked(
  "gaussianNllLoss",
  {
    ...{ x: "tensor", target: "tensor", variance: "tensor" },
    options: { full: "boolean?", eps: "number?", reduction: reductions },
  },
  (
    x: Tensor,
    target: Tensor,
    variance: Tensor,
    { full = false, eps = 1e-6, reduction = "mean" }: GaussianNllOptions = {},
  ): Tensor => {
    check(eps > 0, () => `gaussianNllLoss: eps is ${eps}, not a positive number.`);
    const raised = sub(clamp(variance.alias(), { min: eps }), variance.alias()); // not recorded: the gradient passes by
    const v = add(variance, raised);
    const losses = mul(add(log(v), div(square(sub(x, target)), v)), 0.5);
    return reduced(full ? add(losses, Math.log(2 * Math.PI) / 2) : losses, reduction);
  },
);
