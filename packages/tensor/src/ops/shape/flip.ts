import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, stridesOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "./copy.ts";

/** x in reverse order along `dims`: y[…, i, …] = x[…, n − 1 − i, …]. Any dtype of 32 bits. */
export const flip = defineOp("flip", {
  takes: { x: "tensor", dims: "dims" },
  forward(x: Tensor, dims: readonly number[]) {
    const axes = dims.map((dim) => resolveDim("flip", dim, x.rank));
    check(new Set(axes).size === axes.length, () => `flip: dims ${showShape(dims)} name a dimension twice.`);
    return { output: flipped(x, axes), inputs: { x }, saved: { axes } };
  },
  backward: ({ axes }, dy) => ({ x: flipped(dy, axes) }),
});

function flipped(x: Tensor, axes: readonly number[]): Tensor {
  const strides = stridesOf(x.shape);
  let offset = 0;
  for (const d of axes) {
    if (d >= x.rank) continue; // a scalar has one element in any order
    offset += (x.shape[d]! - 1) * strides[d]!;
    strides[d]! *= -1;
  }
  const y = empty(x.shape, x.dtype);
  copyView(x.shape, x, { offset, strides }, y, viewOf(y.shape));
  return y;
}
