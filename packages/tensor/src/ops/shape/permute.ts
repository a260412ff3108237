import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, stridesOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "./copy.ts";

/**
 * x with its dimensions in the order `dims`: y[i_dims₀, i_dims₁, …] = x[i₀, i₁, …]. Any dtype of 32 bits. A copy, unless only
 * dimensions of size 1 move: tensors are contiguous.
 * @throws when `dims` is not an order of x's dimensions
 */
export const permute = defineOp("permute", {
  takes: { x: "tensor", dims: "dims" },
  forward(x: Tensor, dims: readonly number[]) {
    const order = dims.map((dim) => resolveDim("permute", dim, x.rank));
    check(
      order.length === x.rank && new Set(order).size === x.rank,
      () => `permute: dims ${showShape(dims)} don't order the ${x.rank} dimensions of ${showShape(x.shape)}.`,
    );
    return { output: reordered(x, order), inputs: { x }, saved: { order } };
  },
  // dx has x's order again: dimension d of x became dimension order.indexOf(d) of y.
  backward: ({ order }, dy) => ({
    x: reordered(
      dy,
      order.map((_, d) => order.indexOf(d)),
    ),
  }),
});

function reordered(x: Tensor, order: readonly number[]): Tensor {
  const shape = order.map((d) => x.shape[d]!);
  const moving = order.filter((d) => x.shape[d] !== 1);
  if (moving.every((d, i) => i === 0 || d > moving[i - 1]!)) return x.alias(shape);
  const strides = stridesOf(x.shape);
  const y = empty(shape, x.dtype);
  copyView(shape, x, { offset: 0, strides: order.map((d) => strides[d]!) }, y, viewOf(shape));
  return y;
}

/** x with dimensions `a` and `b` exchanged. */
export const transpose = checked(
  "transpose",
  { x: "tensor", a: "dim", b: "dim" },
  (x: Tensor, a: number, b: number): Tensor => {
    const order = x.shape.map((_, d) => d);
    const from = resolveDim("transpose", a, x.rank);
    const to = resolveDim("transpose", b, x.rank);
    if (x.rank > 0) [order[from], order[to]] = [to, from];
    return permute(x, order);
  },
);
