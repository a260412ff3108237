import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { choose } from "../elementwise/choose.ts";
import { filled } from "../elementwise/fill.ts";
import { isinf } from "../elementwise/predicate.ts";
import { combine } from "./combine.ts";
import { reduceTakes, reductionOf, type ReduceOptions } from "./stretch.ts";

/** x, but 0 where it is infinite: ∞ − ∞ has no value, ∞ − 0 has. */
const zeroIfInfinite = (x: Tensor): Tensor => choose(isinf(x), 0, x, x.shape, "f32");

/** exp(x − shift), the shift broadcast. */
const expShifted = (x: Tensor, shift: Tensor): Tensor =>
  applyUnary("exp", applyBinary("sub", x, zeroIfInfinite(shift), x.shape, "f32"));

/**
 * ln Σ eˣ over `dim`: f32. The largest element m is subtracted first, ln Σ e^(x − m) + m, so no e^x overflows. −∞ where all
 * elements are −∞, or where there are none.
 */
export const logsumexp = defineOp("logsumexp", {
  takes: reduceTakes,
  forward(x: Tensor, options: ReduceOptions = {}) {
    const floats = isFloat(x.dtype) ? x : cast(x, "f32");
    const reduction = reductionOf("logsumexp", x.shape, options);
    const { kept, shape } = reduction;
    const inputs = { x };
    if (reduction.count === 0) {
      const y = filled(shape, -Infinity);
      return { output: y, inputs, saved: { x: floats, y, kept } };
    }
    const largest = combine("max", floats, reduction).alias(kept);
    const total = combine("sum", expShifted(floats, largest), reduction).alias(kept);
    const y = applyBinary("add", applyUnary("log", total), zeroIfInfinite(largest), kept, "f32").alias(shape);
    return { output: y, inputs, saved: { x: floats, y, kept } };
  },
  // dx = dy e^(x − y): the softmax.
  backward: ({ x, y, kept }, dy) => ({
    x: applyBinary("mul", expShifted(x, y.alias(kept)), dy.alias(kept), x.shape, "f32"),
  }),
});
