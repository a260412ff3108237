import type { Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import code from "./elementwise-loss.wgsl";
import { reductions, reduceLoss, type Reduction } from "./reduction.ts";

const lossKernel = kernel("ops/loss/elementwise-loss.wgsl", code);

/** The losses of elementwise-loss.wgsl, by their number there. */
const Loss = { mse: 0, l1: 1, smooth_l1: 2, kl_div: 3, kl_div_log_target: 4 } as const;

/** f(x, target) of each element. */
function losses(x: Tensor, target: Tensor, LOSS: number, beta: number): Tensor {
  const result = empty(x.shape);
  const params = { count: x.size, beta, scale: 1 };
  run(lossKernel, { x, t: target, dloss: x, result }, params, { threads: x.size, overrides: { LOSS } });
  return result;
}

/** dx of f(x, target). */
function slopes({ x, target, LOSS, beta, upstream }: ReturnType<typeof elementwiseLoss>["saved"], dy: Tensor): Tensor {
  const result = empty(x.shape);
  const overrides = { LOSS, DERIVATIVE: 1, EACH: upstream.each };
  const params = { count: x.size, beta, scale: upstream.scale };
  run(lossKernel, { x, t: target, dloss: dy, result }, params, { threads: x.size, overrides });
  return result;
}

function elementwiseLoss(
  op: string,
  x: Tensor,
  target: Tensor,
  { LOSS, reduction, beta = 1 }: { LOSS: number; reduction: Reduction | "batchmean"; beta?: number },
) {
  check(
    sameShape(x.shape, target.shape),
    () => `${op}: x is ${showShape(x.shape)}, target ${showShape(target.shape)}; they have to be the same.`,
  );
  const { output, upstream } = reduceLoss(losses(x, target, LOSS, beta), reduction);
  return { output, saved: { x, target, LOSS, beta, upstream } };
}

/** A loss of the difference x − target: its gradients are equal and opposite. */
/* @__NO_SIDE_EFFECTS__ */
function differenceLoss(name: string, LOSS: number, own: Takes = {}) {
  return defineOp(name, {
    takes: { x: "tensor", target: "tensor", options: { reduction: reductions, ...own } },
    forward(x: Tensor, target: Tensor, options: { reduction?: Reduction; beta?: number } = {}) {
      const { reduction = "mean", beta = 1 } = options;
      check(beta >= 0, () => `${name}: beta is ${beta}; it can't be negative.`);
      return { ...elementwiseLoss(name, x, target, { LOSS, reduction, beta }), inputs: { x, target } };
    },
    backward(saved, dy, needs) {
      const dx = slopes(saved, dy);
      return { x: dx, target: needs.target ? applyUnary("neg", dx) : undefined };
    },
  });
}

/** (x − target)², by default its mean over all elements: f32, both of one shape. */
export const mseLoss = differenceLoss("mseLoss", Loss.mse);

/** |x − target|, by default its mean over all elements; the gradient is 0 where they are equal. */
export const l1Loss = differenceLoss("l1Loss", Loss.l1);

/** d² / 2β where d = |x − target| < `beta` (1), else d − β/2: squares near, absolute values far. By default the mean. */
export const smoothL1Loss = differenceLoss("smoothL1Loss", Loss.smooth_l1, { beta: "number?" });

/** The gradient of klDiv's target: ln target + 1 − x, or of its logarithms e^target (target + 1 − x). */
function targetSlopes({ x, target, LOSS, upstream }: ReturnType<typeof elementwiseLoss>["saved"], dy: Tensor): Tensor {
  const f32 = (fn: "add" | "sub" | "mul", a: Tensor, b: Tensor | number): Tensor =>
    applyBinary(fn, a, b, target.shape, "f32");
  const isLog = LOSS === Loss.kl_div_log_target;
  const excess = f32("sub", f32("add", isLog ? target : applyUnary("log", target), 1), x);
  const slope = isLog ? f32("mul", applyUnary("exp", target), excess) : excess;
  return f32("mul", f32("mul", slope, upstream.scale), dy);
}

export interface KlDivOptions {
  /** `mean` divides by all elements, `batchmean` by the first dimension: that is the divergence of distributions in rows. */
  reduction?: Reduction | "batchmean";
  /** Whether the target holds logarithms of probabilities. */
  logTarget?: boolean;
}

/**
 * Kullback–Leibler divergence target · (ln target − x), with x in logarithms: log-softmax gives them. 0 ln 0 counts as 0.
 */
export const klDiv = defineOp("klDiv", {
  takes: {
    ...{ x: "tensor", target: "tensor" },
    options: { reduction: ["mean", "batchmean", "sum", "none"], logTarget: "boolean?" },
  },
  forward(x: Tensor, target: Tensor, { reduction = "mean", logTarget = false }: KlDivOptions = {}) {
    const LOSS = logTarget ? Loss.kl_div_log_target : Loss.kl_div;
    return { ...elementwiseLoss("klDiv", x, target, { LOSS, reduction }), inputs: { x, target } };
  },
  backward(saved, dy, needs) {
    return {
      x: needs.x ? slopes(saved, dy) : undefined,
      target: needs.target ? targetSlopes(saved, dy) : undefined,
    };
  },
});
