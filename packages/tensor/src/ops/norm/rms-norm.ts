import { defineOp } from "../../define-op.ts";
import type { Tensor } from "../../tensor.ts";
import { checkRow, normalize, normGradients, rowLength } from "./norm.ts";
import { layerNormTakes, type LayerNormOptions } from "./layer-norm.ts";

/**
 * y = x / √(mean(x²) + eps) · weight over the last dimension, or over `normalizedShape`: layer norm without mean and bias.
 * eps is float32's machine epsilon unless given, as in PyTorch.
 *
 * @see https://arxiv.org/abs/1910.07467
 */
export const rmsNorm = defineOp("rmsNorm", {
  takes: { x: "tensor", weight: "tensor?", options: layerNormTakes },
  forward(x: Tensor, weight?: Tensor, { eps = 2 ** -23, normalizedShape }: LayerNormOptions = {}) {
    const shape = normalizedShape ?? weight?.shape ?? x.shape.slice(-1);
    const cols = rowLength("rmsNorm", x, shape);
    checkRow("rmsNorm", "weight", weight, shape);
    const { y, saved } = normalize({ x, weight, cols, center: false }, eps);
    return { output: y, inputs: { x, weight }, saved: { norm: saved, shape } };
  },
  backward({ norm, shape }, dy, needs) {
    const { x, weight } = normGradients(norm, shape, dy, { ...needs, residual: false, bias: false });
    return { x, weight };
  },
});
