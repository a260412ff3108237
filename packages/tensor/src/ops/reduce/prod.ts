import { defineOp } from "../../define-op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { permuted } from "../elementwise/apply.ts";
import { filled } from "../elementwise/fill.ts";
import { combine } from "./combine.ts";
import backwardCode from "./prod-backward.wgsl";
import { reduceTakes, reductionOf, stretches, type ReduceOptions } from "./stretch.ts";

const backwardKernel = kernel("ops/reduce/prod-backward.wgsl", backwardCode);

/**
 * Π x over `dim`: f32; of i32 and u32 in the same dtype; of bool i32. The product of nothing is 1. Products of whole numbers wrap
 * around modulo 2³², as sums do: see {@link sum}.
 */
export const prod = defineOp("prod", {
  takes: reduceTakes,
  forward(x: Tensor, options: ReduceOptions = {}) {
    const factors = x.dtype === "bool" ? cast(x, "i32") : x;
    const reduction = reductionOf("prod", x.shape, options);
    const y = reduction.count === 0 ? filled(reduction.shape, 1, factors.dtype) : combine("prod", factors, reduction);
    return { output: y, inputs: { x }, saved: { x, reduction } };
  },
  // dx_k = dy times the product of the others, also where x_k is 0. Lines are one dimension's; more of them are moved to the end.
  backward({ x, reduction: { dims } }, dy) {
    const [lines, ...others] = stretches(x.shape, dims);
    if (lines === undefined) return { x: dy };
    if (others.length === 0) return { x: alongLines(x, dy, lines.n, lines.inner) };
    const order = [...x.shape.keys()].filter((d) => !dims.includes(d)).concat(dims);
    const n = dims.reduce((product, d) => product * x.shape[d]!, 1);
    const moved = alongLines(permuted(x, order), dy, n, 1);
    return {
      x: permuted(
        moved,
        [...x.shape.keys()].map((d) => order.indexOf(d)),
      ),
    };
  },
});

function alongLines(x: Tensor, dy: Tensor, n: number, inner: number): Tensor {
  const dx = empty(x.shape);
  if (x.size > 0) run(backwardKernel, { x, dy, dx }, { lines: dy.size, n, inner }, { threads: dy.size });
  return dx;
}
