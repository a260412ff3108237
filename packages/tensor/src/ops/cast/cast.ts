import { deviceBytes, dtypes, isFloat, type DType } from "../../dtype.ts";
import { defineStorageOp } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import code from "./cast.wgsl";

const castKernel = kernel("ops/cast/cast.wgsl", code);

/**
 * `x` in another dtype. Floats round to nearest, ties to even; to integers they truncate; to bool, 0 is false.
 * The gradient goes back through floats, in f32.
 */
export const cast = defineStorageOp("cast", {
  takes: { x: "tensor", dtype: "dtype" },
  forward(x: Tensor, dtype: DType) {
    const inputs = { x: isFloat(dtype) ? x : undefined };
    if (x.dtype === dtype) return { output: x.alias(), inputs, saved: {} };
    const output = empty(x.shape, dtype);
    const vectors = ceilDiv(deviceBytes(dtype, x.size), 16);
    const overrides = { FROM: dtypes.indexOf(x.dtype), TO: dtypes.indexOf(dtype) };
    run(castKernel, { x, y: output }, { vectors }, { threads: vectors, overrides });
    return { output, inputs, saved: {} };
  },
  backward: (_saved, dy) => ({ x: dy }),
});
