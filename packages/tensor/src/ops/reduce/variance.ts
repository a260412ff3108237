import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { filled } from "../elementwise/fill.ts";
import { combine } from "./combine.ts";
import { reduceTakes, reductionOf, type ReduceOptions } from "./stretch.ts";

/** Which dimensions, and what is subtracted from n in the divisor: 1 (Bessel's correction) unless said otherwise. */
export interface VarianceOptions extends ReduceOptions {
  correction?: number | undefined;
}

/**
 * Σ (x − mean)² / (n − correction) over `dim`: f32. Two passes; what the mean's own rounding leaves over, (Σ (x − mean))² / n, is
 * taken off, so that a large mean does no harm. NaN when n ≤ correction.
 */
export const variance = defineOp("variance", {
  takes: { x: "tensor", options: { ...reduceTakes.options, correction: "number?" } },
  forward(x: Tensor, options: VarianceOptions = {}) {
    const { correction = 1 } = options;
    check(Number.isFinite(correction), () => `variance: correction is ${correction}, not a finite number.`);
    const floats = isFloat(x.dtype) ? x : cast(x, "f32");
    const reduction = reductionOf("variance", x.shape, options);
    const { kept, shape, count } = reduction;
    const inputs = { x };
    const divisor = Math.max(0, count - correction);
    if (count === 0) return { output: filled(shape, NaN), inputs, saved: { x: floats, mean: floats, kept, divisor } };
    const f32 = (fn: "add" | "sub" | "mul" | "div", a: Tensor, b: Tensor | number, shape = kept) =>
      applyBinary(fn, a, b, shape, "f32");
    const sum = (a: Tensor) => combine("sum", a, reduction).alias(kept);
    const mean = f32("div", sum(floats), count);
    const deviations = f32("sub", floats, mean, [...x.shape]);
    const off = sum(deviations);
    const excess = f32("div", applyUnary("square", off), count);
    const y = f32("div", f32("sub", sum(applyUnary("square", deviations)), excess), divisor);
    return { output: y.alias(shape), inputs, saved: { x: floats, mean, kept, divisor } };
  },
  backward: (saved, dy) => ({ x: varianceGradient(saved, dy) }),
});

/** dx = dy · 2 (x − mean) / (n − correction); the mean's share is 0, since deviations add up to 0. */
export function varianceGradient(
  { x, mean, kept, divisor }: { x: Tensor; mean: Tensor; kept: readonly number[]; divisor: number },
  dy: Tensor,
): Tensor {
  const scale = applyBinary("mul", dy.alias(kept), 2 / divisor, kept, "f32");
  return applyBinary("mul", applyBinary("sub", x, mean, x.shape, "f32"), scale, x.shape, "f32");
}
