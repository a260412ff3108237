import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { addRows, checkIndex, selectRows } from "./rows.ts";

/**
 * y = x[index] along `dim`: the slices that `index` (one dimension, i32 or u32) names, in its order. Any dtype of 32 bits. An index
 * out of range, negative ones too, gives a slice of NaN.
 *
 * The gradient adds dy where an index occurs more than once, in the same order every time: the index is sorted on the device.
 */
export const indexSelect = defineOp("indexSelect", {
  takes: { x: "tensor", dim: "dim", index: "tensor" },
  forward(x: Tensor, dim: number, index: Tensor) {
    checkIndex("indexSelect", index);
    check(
      index.rank === 1 && x.rank > 0,
      () => `indexSelect: index ${showShape(index.shape)} for x ${showShape(x.shape)}: a list of slices of x.`,
    );
    const axis = resolveDim("indexSelect", dim, x.rank);
    const rows = { outer: sizeOf(x.shape.slice(0, axis)), n: x.shape[axis]!, inner: sizeOf(x.shape.slice(axis + 1)) };
    const y = empty(
      x.shape.map((n, d) => (d === axis ? index.size : n)),
      x.dtype,
    );
    selectRows(x, index, y, rows);
    return { output: y, inputs: { x }, saved: { index, shape: x.shape, rows } };
  },
  backward: ({ index, shape, rows }, dy) => ({ x: addRows(dy, index, shape, rows) }),
});
