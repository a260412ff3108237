import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { scope } from "../../scope.ts";
import { broadcastShapes, sameShape, showShape, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary, broadcastTo } from "../elementwise/apply.ts";
import { filled } from "../elementwise/fill.ts";
import { combine } from "./combine.ts";
import { reduceTakes, reductionOf, type ReduceOptions } from "./stretch.ts";

/** Each sum is one element; bool counts as i32. */
function total(x: Tensor, options: ReduceOptions, op: string, times?: Tensor) {
  const reduction = reductionOf(op, x.shape, options);
  if (reduction.count === 0) return { y: filled(reduction.shape, 0, x.dtype), reduction };
  return { y: combine("sum", x, reduction, times), reduction };
}

/**
 * Σ x over `dim`: f32; of i32, u32 in the same dtype; of bool the count of true ones, i32. The sum of nothing is 0. Sums of whole
 * numbers wrap around modulo 2³² (PyTorch sums them in 64 bits, which WebGPU doesn't have): where they may be larger, sum `x.to("f32")`.
 */
export const sum = defineOp("sum", {
  takes: reduceTakes,
  forward(x: Tensor, options: ReduceOptions = {}) {
    const { y, reduction } = total(x.dtype === "bool" ? cast(x, "i32") : x, options, "sum");
    return {
      output: y,
      inputs: { x },
      saved: { shape: x.shape, kept: reduction.kept },
    };
  },
  // Each element counts once.
  backward: ({ shape, kept }, dy) => ({ x: broadcastTo(dy.alias(kept), shape) }),
});

/** Σ x / n over `dim`: f32, also of whole numbers. The mean of nothing is NaN. */
export const mean = defineOp("mean", {
  takes: reduceTakes,
  forward(x: Tensor, options: ReduceOptions = {}) {
    const { y, reduction } = total(isFloat(x.dtype) ? x : cast(x, "f32"), options, "mean");
    const { kept, count } = reduction;
    return {
      output: applyBinary("div", y, count, y.shape, "f32"),
      inputs: { x },
      saved: { shape: x.shape, kept, count },
    };
  },
  backward: ({ shape, kept, count }, dy) => ({ x: broadcastTo(dy.alias(kept), shape, 1 / count) }),
});

/**
 * The gradient of an operand of `shape` that was broadcast to dy's shape: dy summed over the broadcast dimensions. With `times`, of
 * dy's shape, dy · times is summed, without being written out where there is something to sum.
 * @throws when `shape` doesn't broadcast to dy's.
 */
export const sumTo = checked(
  "sumTo",
  { dy: "tensor", shape: "shape", times: "tensor?" },
  (dy: Tensor, shape: Shape, times?: Tensor): Tensor => {
    check(
      sameShape(broadcastShapes("sumTo", dy.shape, shape), dy.shape),
      () => `sumTo: ${showShape(dy.shape)} is not what ${showShape(shape)} broadcasts to.`,
    );
    check(
      !times || sameShape(times.shape, dy.shape),
      () => `sumTo: ${String(times)} is not of the shape of ${String(dy)}.`,
    );
    const ahead = dy.rank - shape.length;
    const dim = dy.shape.flatMap((n, i) => (i < ahead || (shape[i - ahead] === 1 && n !== 1) ? [i] : []));
    if (dim.length === 0) {
      if (times) return applyBinary("mul", dy, times, dy.shape, "f32");
      return sameShape(dy.shape, shape) ? dy : dy.alias(shape);
    }
    return scope(() => total(dy, { dim, keepdim: true }, "sumTo", times).y.alias(shape));
  },
);
