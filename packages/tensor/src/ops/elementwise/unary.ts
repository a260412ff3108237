import { isFloat } from "../../dtype.ts";
import { defineOp } from "../../define-op.ts";
import { cast } from "../cast/cast.ts";
import type { Tensor } from "../../tensor.ts";
import { applyUnary, applyUnaryBackward, type UnaryFunction } from "./apply.ts";

/**
 * f(x) with dx = dy f'(x) from x or from y, whichever says f' more directly. Whole numbers become f32 first, as in PyTorch,
 * unless `whole` says what f does with them.
 */
function define(fn: UnaryFunction, from: "x" | "y", whole?: (x: Tensor) => Tensor) {
  return defineOp(fn, {
    forward(x: Tensor) {
      const float = isFloat(x.dtype);
      const y = !float && whole ? whole(x) : applyUnary(fn, float ? x : cast(x, "f32"));
      return { output: y, inputs: { x: float ? x : undefined }, saved: { s: from === "x" ? x : y } };
    },
    backward: ({ s }, dy) => ({ x: applyUnaryBackward(fn, s, dy) }),
  });
}

/** tanh x: f32 of x's shape. */
export const tanh = define("tanh", "y");

const geluExact = define("gelu", "x");
const geluTanh = define("gelu_tanh", "x");

/**
 * GELU: x Φ(x), with Φ the share of the standard normal distribution below x. `approximate: "tanh"` takes
 * x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) instead, as GPT-2 does.
 * @see https://arxiv.org/abs/1606.08415
 */
export function gelu(x: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor {
  return options.approximate === "tanh" ? geluTanh(x) : geluExact(x);
}
