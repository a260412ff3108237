import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastShapes, sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { broadcastTo } from "../elementwise/apply.ts";
import code from "./bce-with-logits.wgsl";
import { reductions, reduceLoss, type Reduction } from "./reduction.ts";

const bceKernel = kernel("ops/loss/bce-with-logits.wgsl", code);

export interface BceWithLogitsOptions {
  /** Multiplies each element's loss; broadcast to x's shape. */
  weight?: Tensor | undefined;
  /** Multiplies the loss of what is present (target 1), for classes that rarely are; broadcast to x's shape. */
  posWeight?: Tensor | undefined;
  reduction?: Reduction;
}

/**
 * Binary cross-entropy −(target ln σ(x) + (1 − target) ln(1 − σ(x))) from logits x, f32; target (f32) holds probabilities in
 * x's shape. By default the mean over all elements. The gradient goes to x alone.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
 */
export const bceWithLogits = defineOp("bceWithLogits", {
  takes: {
    ...{ x: "tensor", target: "tensor" },
    options: { weight: "tensor?", posWeight: "tensor?", reduction: reductions },
  },
  forward(x: Tensor, target: Tensor, options: BceWithLogitsOptions = {}) {
    const { reduction = "mean" } = options;
    check(
      sameShape(x.shape, target.shape) && target.dtype === "f32",
      () =>
        `bceWithLogits: x is ${showShape(x.shape)}, target ${showShape(target.shape)} of ${target.dtype}; ` +
        `it has to be f32 in x's shape. Integer labels: cast(target, "f32").`,
    );
    const weight = spread("weight", options.weight, x);
    const posWeight = spread("posWeight", options.posWeight, x);
    const loss = empty(x.shape);
    const switches = { WEIGHT: +!!weight, POS_WEIGHT: +!!posWeight };
    run(
      bceKernel,
      { x, t: target, weight: weight ?? x, pos_weight: posWeight ?? x, dloss: x, result: loss },
      { count: x.size, scale: 1 },
      { threads: x.size, overrides: switches },
    );
    const { output, upstream } = reduceLoss(loss, reduction);
    return { output, inputs: { x }, saved: { x, target, weight, posWeight, switches, upstream } };
  },
  backward({ x, target, weight, posWeight, switches, upstream }, dy) {
    const dx = empty(x.shape);
    run(
      bceKernel,
      { x, t: target, weight: weight ?? x, pos_weight: posWeight ?? x, dloss: dy, result: dx },
      { count: x.size, scale: upstream.scale },
      { threads: x.size, overrides: { ...switches, DERIVATIVE: 1, EACH: upstream.each } },
    );
    return { x: dx };
  },
});

/** A weight in x's shape. */
function spread(name: string, weight: Tensor | undefined, x: Tensor): Tensor | undefined {
  if (!weight || sameShape(weight.shape, x.shape)) return weight;
  check(
    sameShape(broadcastShapes(`bceWithLogits: ${name}`, weight.shape, x.shape), x.shape),
    () => `bceWithLogits: ${name} ${showShape(weight.shape)} doesn't broadcast to x's shape ${showShape(x.shape)}.`,
  );
  return broadcastTo(weight, x.shape);
}
