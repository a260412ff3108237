import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { defaultGenerator, type Generator } from "../../random.ts";
import { sameShape, showShape, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { drawDrop } from "../dropout/draw.ts";
import { checkRow, normalize, normGradients, rowLength } from "./norm.ts";

export interface LayerNormOptions {
  /** Added to the variance, inside the root. */
  eps?: number;
  /** The dimensions that are normalized together, at the end of x's shape: weight's shape, or else the last one. */
  normalizedShape?: Shape;
}

export const layerNormTakes = { eps: "number?", normalizedShape: "shape?" } as const;

/**
 * y = (x − mean) / √(variance + eps) · weight + bias over the last dimension, or over `normalizedShape`: f32 of x's shape.
 *
 * Saves x and three numbers per row; dx is then one pass more than forward, and needs neither y nor a division by weight.
 *
 * @throws when weight or bias don't have the normalized shape.
 * @see https://arxiv.org/abs/1607.06450
 */
export const layerNorm = defineOp("layerNorm", {
  takes: { x: "tensor", weight: "tensor?", bias: "tensor?", options: layerNormTakes },
  forward(x: Tensor, weight?: Tensor, bias?: Tensor, { eps = 1e-5, normalizedShape }: LayerNormOptions = {}) {
    const shape = normalizedShape ?? weight?.shape ?? bias?.shape ?? x.shape.slice(-1);
    const cols = rowLength("layerNorm", x, shape);
    checkRow("layerNorm", "weight", weight, shape);
    checkRow("layerNorm", "bias", bias, shape);
    const { y, saved } = normalize({ x, weight, bias, cols, center: true }, eps);
    return { output: y, inputs: { x, weight, bias }, saved: { norm: saved, shape } };
  },
  backward({ norm, shape }, dy, needs) {
    const { x, weight, bias } = normGradients(norm, shape, dy, { ...needs, residual: false });
    return { x, weight, bias };
  },
});

export interface AddLayerNormOptions {
  /** Added to the variance, inside the root. */
  eps?: number;
  /** The probability of an element of x to be dropped before the residual is added. */
  dropoutP?: number;
  generator?: Generator;
}

export const addLayerNormTakes = { eps: "number?", dropoutP: "number?", generator: "generator?" } as const;

/**
 * layerNorm(residual + dropout(x)) in one: what follows each half of a transformer's layer. x and residual are of one shape; weight
 * and bias have that of its last dimension. Drops what the op `dropout` would drop with the same generator.
 *
 * Saves the sum h, since x is not needed then, and the generator's state: backward draws again, and writes dh, which is
 * the residual's gradient, and dx = dropout(dh) in one pass.
 */
export const addLayerNorm = defineOp("addLayerNorm", {
  takes: { x: "tensor", residual: "tensor", weight: "tensor", bias: "tensor", options: addLayerNormTakes },
  forward(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, options: AddLayerNormOptions = {}) {
    const { eps = 1e-5, dropoutP = 0, generator = defaultGenerator } = options;
    check(
      sameShape(x.shape, residual.shape),
      () =>
        `addLayerNorm: x is ${showShape(x.shape)} and residual ${showShape(residual.shape)}; ` +
        `they have to be the same. For others: layerNorm(add(x, residual), …).`,
    );
    const shape = x.shape.slice(-1);
    const cols = rowLength("addLayerNorm", x, shape);
    checkRow("addLayerNorm", "weight", weight, shape);
    checkRow("addLayerNorm", "bias", bias, shape);
    const drop = drawDrop("addLayerNorm", x.size, dropoutP, generator);
    const { y, saved } = normalize({ x, residual, weight, bias, cols, center: true, drop }, eps);
    return { output: y, inputs: { x, residual, weight, bias }, saved: { norm: saved, shape } };
  },
  backward: ({ norm, shape }, dy, needs) => normGradients(norm, shape, dy, needs),
});
