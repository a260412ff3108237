import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, applyUnary, type Operand } from "../elementwise/apply.ts";
import { div, ne } from "../elementwise/binary.ts";
import { choose } from "../elementwise/choose.ts";
import { filled } from "../elementwise/fill.ts";
import { abs, clamp } from "../elementwise/unary.ts";
import { combine } from "./combine.ts";
import { amax, amin } from "./extremes.ts";
import { reduceTakes, reductionOf, type ReduceOptions } from "./stretch.ts";
import { sum } from "./sum.ts";
import { variance, varianceGradient, type VarianceOptions } from "./variance.ts";

const f32 = (fn: "mul" | "div" | "pow" | "eq", a: Operand, b: Operand, shape: readonly number[]): Tensor =>
  applyBinary(fn, a, b, shape, "f32");

/** x / y, but 0 where y is 0: the gradient of a length at 0. */
const divided = (x: Tensor, y: Tensor): Tensor =>
  choose(f32("eq", y, 0, y.shape), 0, f32("div", x, y, y.shape), y.shape, "f32");

/** (Σ |x|^ord)^(1/ord) over `dim` for an ord that is neither 0, 1 nor infinite. Where the norm is 0, so is its gradient. For tests: users call {@link norm}. */
export const powerNorm = defineOp("norm", {
  forward(x: Tensor, ord: number, options: ReduceOptions) {
    const floats = isFloat(x.dtype) ? x : cast(x, "f32");
    const reduction = reductionOf("norm", x.shape, options);
    const { kept, shape } = reduction;
    const powers = ord === 2 ? applyUnary("square", floats) : f32("pow", applyUnary("abs", floats), ord, x.shape);
    const total = reduction.count === 0 ? filled(shape, 0) : combine("sum", powers, reduction);
    const y = ord === 2 ? applyUnary("sqrt", total) : f32("pow", total, 1 / ord, shape);
    return { output: y, inputs: { x }, saved: { x: floats, y, kept, ord } };
  },
  // dx = dy sign(x) (|x| / y)^(ord − 1).
  backward({ x, y, kept, ord }, dy) {
    if (ord === 2) return { x: f32("mul", x, divided(dy.alias(kept), y.alias(kept)), x.shape) };
    const slope = divided(dy.alias(kept), f32("pow", y.alias(kept), ord - 1, kept));
    const size = f32("pow", applyUnary("abs", x), ord - 1, x.shape);
    const dx = f32("mul", f32("mul", size, applyUnary("sign", x), x.shape), slope, x.shape);
    return { x: choose(f32("eq", x, 0, x.shape), 0, dx, x.shape, "f32") };
  },
});

/** Which norm, and over which dimensions. */
export interface VectorNormOptions extends ReduceOptions {
  ord?: number | undefined;
}

/**
 * The vector norm (Σ |x|^ord)^(1/ord) over `dim`, or everything: f32. `ord` is 2 unless given; ±∞ mean the largest and smallest
 * |x|, 0 how many are not 0. The gradient at a zero vector is 0.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html
 */
export const norm = checked(
  "norm",
  { x: "tensor", options: { ...reduceTakes.options, ord: "number?" } },
  (x: Tensor, { ord = 2, ...options }: VectorNormOptions = {}): Tensor => {
    check(!Number.isNaN(ord), "norm: ord is NaN.");
    if (ord === 0) return sum(cast(ne(x, 0), "f32"), options);
    if (ord === 1) return sum(abs(x), options);
    if (ord === Infinity) return amax(abs(x), options);
    if (ord === -Infinity) return amin(abs(x), options);
    return powerNorm(x, ord, options);
  },
);

/**
 * A norm of the matrices in the last two dimensions: "fro", the root of the sum of squares (the default); 1 and −1, the largest and
 * smallest column sum of |x|; ±∞ likewise of rows. Those of singular values are not there.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_norm.html
 */
export const matrixNorm = checked(
  "matrixNorm",
  { x: "tensor", options: { ord: "any", keepdim: "boolean?" } },
  (x: Tensor, { ord = "fro", keepdim = false }: { ord?: "fro" | number; keepdim?: boolean } = {}): Tensor => {
    check(x.rank >= 2, () => `matrixNorm: ${showShape(x.shape)} is not a matrix.`);
    check(
      ord === "fro" || Math.abs(ord) === 1 || Math.abs(ord) === Infinity,
      () => `matrixNorm: ord is ${String(ord)}; there are "fro", 1, -1, Infinity and -Infinity.`,
    );
    const dims = [x.rank - 2, x.rank - 1] as const;
    if (ord === "fro") return powerNorm(x, 2, { dim: dims, keepdim });
    const [along, across] = Math.abs(ord) === 1 ? dims : [dims[1], dims[0]];
    const sums = sum(abs(x), { dim: along, keepdim: true });
    const y = (ord > 0 ? amax : amin)(sums, { dim: across, keepdim: true });
    return keepdim ? y : sum(y, { dim: dims });
  },
);

/** x / max(norm of x over `dim` (1), eps): vectors of length 1. `p` (2) is the norm's order, eps 1e-12 unless given. */
export const normalize = checked(
  "normalize",
  { x: "tensor", options: { p: "number?", dim: "dim?", eps: "number?" } },
  (x: Tensor, { p = 2, dim = 1, eps = 1e-12 }: { p?: number; dim?: number; eps?: number } = {}): Tensor => {
    resolveDim("normalize", dim, x.rank);
    return div(x, clamp(norm(x, { ord: p, dim, keepdim: true }), { min: eps }));
  },
);

/** The square root of {@link variance}, by the same options; where it is 0, so is its gradient. */
export const std = defineOp("std", {
  takes: { x: "tensor", options: { ...reduceTakes.options, correction: "number?" } },
  forward(x: Tensor, options: VarianceOptions = {}) {
    const { output, saved } = variance.definition.forward(x, options);
    const y = applyUnary("sqrt", output);
    return { output: y, inputs: { x }, saved: { y, saved } };
  },
  backward: ({ y, saved }, dy) => ({ x: varianceGradient(saved, divided(f32("mul", dy, 0.5, dy.shape), y)) }),
});
