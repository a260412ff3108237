import { defineStorageOp } from "../../op.ts";
import { overwrite } from "../../in-place.ts";
import { empty, type Tensor } from "../../tensor.ts";

/** A copy of `x` with memory of its own, in its dtype. */
export const clone = defineStorageOp("clone", {
  takes: { x: "tensor" },
  forward(x: Tensor) {
    const output = empty(x.shape, x.dtype);
    overwrite(output, x);
    return { output, inputs: { x }, saved: {} };
  },
  backward: (_saved, dy) => ({ x: dy }),
});
