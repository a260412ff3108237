import { defineOp } from "../../define-op.ts";
import { notDifferentiable } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
import { applyBinary } from "../elementwise/apply.ts";
import { filled } from "../elementwise/fill.ts";
import { combine } from "./combine.ts";
import { reduceTakes, reductionOf, type ReduceOptions } from "./stretch.ts";

/** Whether elements are true, combined: the larger of 0 and 1 is "or", the smaller one "and". */
const define = (op: string, fn: "max" | "min") =>
  defineOp(op, {
    takes: reduceTakes,
    forward(x: Tensor, options: ReduceOptions = {}) {
      const reduction = reductionOf(op, x.shape, options);
      if (reduction.count === 0)
        return { output: filled(reduction.shape, fn === "min" ? 1 : 0, "bool"), inputs: {}, saved: {} };
      const flags = x.dtype === "bool" ? x : applyBinary("ne", x, 0, x.shape, x.dtype);
      return { output: combine(fn, flags, reduction), inputs: {}, saved: {} };
    },
    backward: notDifferentiable("its result is true or false"),
  });

/** Whether one element over `dim` is true (not 0; NaN is true): bool. Of nothing, false. */
export const any = define("any", "max");

/** Whether all elements over `dim` are true (not 0; NaN is true): bool. Of nothing, true. */
export const all = define("all", "min");
