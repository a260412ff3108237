import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, applyUnary, applyUnaryBackward, type Operand, type UnaryFunction } from "./apply.ts";
import { filled } from "./fill.ts";
import { geluLadder } from "./ladder.ts";
import { inDType, promote } from "./promote.ts";

// Results are f32 of x's shape. i32 and u32 keep their dtype where the function has whole results; else they become f32 first,
// and so does bool, as in PyTorch. No gradient flows to either.

/** f of whole numbers, where it is a matter of arithmetic. */
type Whole = (x: Tensor) => Tensor;

const whole = (fn: "add" | "sub" | "mul" | "maximum" | "minimum", a: Operand, b: Operand, x: Tensor): Tensor =>
  applyBinary(fn, a, b, x.shape, x.dtype);

function forward(fn: UnaryFunction, x: Tensor, ofWhole?: Whole): Tensor {
  if (isFloat(x.dtype)) return applyUnary(fn, x);
  return ofWhole && x.dtype !== "bool" ? ofWhole(x) : applyUnary(fn, cast(x, "f32"));
}

/** f with its derivative in unary-backward.wgsl, which takes it `from` x or from y. */
/* @__NO_SIDE_EFFECTS__ */
function define(fn: UnaryFunction, from: "x" | "y", ofWhole?: Whole) {
  return defineOp(fn, {
    takes: { x: "tensor" },
    forward(x: Tensor) {
      const y = forward(fn, x, ofWhole);
      return { output: y, inputs: { x }, saved: { s: from === "x" ? x : y } };
    },
    backward: ({ s }, dy) => ({ x: applyUnaryBackward(fn, s, dy) }),
  });
}

/** f whose derivative is made of other functions of x. */
/* @__NO_SIDE_EFFECTS__ */
function defineBy(fn: UnaryFunction, dx: (dy: Tensor, x: Tensor) => Tensor, ofWhole?: Whole) {
  return defineOp(fn, {
    takes: { x: "tensor" },
    forward(x: Tensor) {
      return { output: forward(fn, x, ofWhole), inputs: { x }, saved: { x } };
    },
    backward: ({ x }, dy) => ({ x: dx(dy, x) }),
  });
}

const timesDy = (dy: Tensor, slope: Tensor): Tensor => applyBinary("mul", dy, slope, dy.shape, "f32");

/** −x. */
export const neg = defineBy(
  "neg",
  (dy) => applyUnary("neg", dy),
  (x) => whole("sub", 0, x, x),
);

/** |x|; dx = dy sign x, so 0 at 0. */
export const abs = define("abs", "x", (x) =>
  x.dtype === "u32" ? x.alias() : whole("maximum", x, whole("sub", 0, x, x), x),
);

/** x². */
export const square = define("square", "x", (x) => whole("mul", x, x, x));

/** 1/x. */
export const reciprocal = define("reciprocal", "y");

/** √x; NaN below 0. dx at 0 is infinite. */
export const sqrt = define("sqrt", "y");

/** 1/√x. */
export const rsqrt = define("rsqrt", "y");

/** eˣ, to a few units in the last place. */
export const exp = define("exp", "y");

/** ln x, to a few units in the last place; −∞ at 0, NaN below. */
export const log = define("log", "x");

/** sin x, x in radians and of any size. */
export const sin = defineBy("sin", (dy, x) => timesDy(dy, applyUnary("cos", x)));

/** cos x, x in radians and of any size. */
export const cos = defineBy("cos", (dy, x) => applyUnary("neg", timesDy(dy, applyUnary("sin", x))));

/** tanh x. */
export const tanh = define("tanh", "y");

/** 1 / (1 + e⁻ˣ). */
export const sigmoid = define("sigmoid", "y");

/** max(x, 0); dx = 0 at 0. */
export const relu = define("relu", "y", (x) => whole("maximum", x, 0, x));

/** The error function 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf = define("erf", "x");

/** x σ(x), also called swish. */
export const silu = define("silu", "x");

/** Which GELU: exact, or by a tanh. */
export interface GeluOptions {
  approximate?: "none" | "tanh" | undefined;
}

export const geluTakes = { approximate: ["none", "tanh"] } as const;

/** The name of the one that is asked for. */
export function geluFunction({ approximate = "none" }: GeluOptions): "gelu" | "gelu_tanh" {
  return approximate === "tanh" ? "gelu_tanh" : "gelu";
}

function exactGelu(given: Tensor): Tensor {
  const x = isFloat(given.dtype) ? given : cast(given, "f32");
  const y = empty(x.shape);
  (geluLadder.forced?.rung ?? geluLadder.rungs.fours).compute({ x, y });
  return y;
}

/**
 * GELU: x Φ(x), with Φ the share of the standard normal distribution below x. `approximate: "tanh"` takes
 * x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) instead, as GPT-2 and Transformers' `gelu_new` do.
 * @see https://arxiv.org/abs/1606.08415
 */
export const gelu = defineOp("gelu", {
  takes: { x: "tensor", options: geluTakes },
  forward(x: Tensor, options: GeluOptions = {}) {
    const fn = geluFunction(options);
    return {
      output: fn === "gelu" ? exactGelu(x) : forward(fn, x),
      inputs: { x },
      saved: { x, fn } as const,
    };
  },
  backward: ({ x, fn }, dy) => ({ x: applyUnaryBackward(fn, x, dy) }),
});

const zero = (dy: Tensor): Tensor => filled(dy.shape, 0);

/** The largest whole number ≤ x. dx = 0. */
export const floor = defineBy("floor", zero, (x) => x.alias());

/** The smallest whole number ≥ x. dx = 0. */
export const ceil = defineBy("ceil", zero, (x) => x.alias());

/** The nearest whole number, halves to the even one. dx = 0. */
export const round = defineBy("round", zero, (x) => x.alias());

/** −1, 0 or 1. dx = 0. */
export const sign = defineBy("sign", zero, (x) =>
  x.dtype === "u32" ? whole("minimum", x, 1, x) : whole("maximum", whole("minimum", x, 1, x), -1, x),
);

/** Bounds of {@link clamp}, at least one of them. */
export interface ClampOptions {
  min?: number | undefined;
  max?: number | undefined;
}

/**
 * min(max(x, min), max); `max` everywhere if min > max. dx = dy between the bounds, 0 beyond and at them.
 * @throws when neither bound is given.
 */
export const clamp = defineOp("clamp", {
  takes: { x: "tensor", options: { min: "number?", max: "number?" } },
  forward(x: Tensor, options: ClampOptions) {
    const { min, max } = { ...options };
    check(min !== undefined || max !== undefined, "clamp: neither min nor max is given. Give at least one.");
    const bounds = { low: min ?? -Infinity, high: max ?? Infinity };
    const dtype = promote([x, ...[min, max].filter((bound) => bound !== undefined)]);
    const operand = inDType(x, dtype);
    let y = operand;
    if (dtype === "f32") y = applyUnary("clamp", operand, bounds);
    else {
      if (min !== undefined) y = whole("maximum", y, min, operand);
      if (max !== undefined) y = whole("minimum", y, max, operand);
    }
    return { output: y, inputs: { x }, saved: { x, bounds } };
  },
  backward: ({ x, bounds }, dy) => ({ x: applyUnaryBackward("clamp", x, dy, bounds) }),
});
