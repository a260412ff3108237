import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { broadcastStrides, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { combine } from "../reduce/combine.ts";
import { reductionOf } from "../reduce/stretch.ts";
import { copyView, viewOf } from "./copy.ts";

/**
 * x broadcast to `shape`: dimensions of size 1, and new ones in front, are repeated; -1 keeps a size. Written out, in any dtype
 * of 32 bits. Its gradient is the sum over what was repeated.
 * @throws when x does not broadcast to `shape`
 */
export const expand = defineOp("expand", {
  takes: { x: "tensor", shape: "shape with -1" },
  forward(x: Tensor, shape: Shape) {
    const lead = shape.length - x.rank;
    const target = shape.map((n, d) => (n === -1 && d >= lead ? x.shape[d - lead]! : n));
    check(
      lead >= 0 && x.shape.every((n, d) => n === 1 || n === target[d + lead]) && target.every((n) => n >= 0),
      () =>
        `expand: ${showShape(x.shape)} doesn't broadcast to ${showShape(shape)}: aligned at the right, sizes have to be equal or 1.`,
    );
    const output = sizeOf(target) === x.size ? x.alias(target) : empty(target, x.dtype);
    if (output.size !== x.size) {
      copyView(target, x, { offset: 0, strides: broadcastStrides(x.shape, target) }, output, viewOf(target));
    }
    const repeated = target.flatMap((n, d) => (d < lead || x.shape[d - lead] !== n ? [d] : []));
    return { output, inputs: { x }, saved: { shape: x.shape, repeated } };
  },
  backward: ({ shape, repeated }, dy) => ({ x: sumOver(dy, repeated, shape) }),
});

/** dy summed over the dimensions `dims`, in a shape that leaves them out or has size 1 there. */
export function sumOver(dy: Tensor, dims: readonly number[], shape: Shape): Tensor {
  if (dy.size === 0) return zeros(shape);
  if (dims.length === 0) return dy.alias(shape);
  return combine("sum", dy, reductionOf("sum", dy.shape, { dim: dims })).alias(shape);
}
