import { checked } from "../../arguments.ts";
import { bf16Bits, deviceBytes, f16Bits, type DType } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sameShape, type Shape } from "../../shape.ts";
import { refuseTape } from "../../in-place.ts";
import { empty, type Tensor } from "../../tensor.ts";
import addInPlaceCode from "./add-in-place.wgsl";
import { bitsOf, broadcastTo } from "./apply.ts";
import fillCode from "./fill.wgsl";

const fillKernel = kernel("ops/elementwise/fill.wgsl", fillCode);
const addInPlaceKernel = kernel("ops/elementwise/add-in-place.wgsl", addInPlaceCode);

/** Sets every element of x to `value`, in place. A tape that saved the old ones refuses to continue. */
export const fill = checked("fill", { x: "tensor", value: "number" }, (x: Tensor, value: number): void => {
  x.buffer.suspects = undefined; // whatever it held is gone
  write(x, value);
  x.storage.version++;
});

/** A new tensor with `value` everywhere. */
export function filled(shape: Shape, value: number, dtype: DType = "f32"): Tensor {
  const x = empty(shape, dtype);
  write(x, value);
  return x;
}

function write(x: Tensor, value: number): void {
  const words = deviceBytes(x.dtype, x.size) / 4;
  const half = x.dtype === "f16" ? f16Bits(value) : x.dtype === "bf16" ? bf16Bits(value) : undefined;
  const bits = half === undefined ? bitsOf(value, x.dtype, "fill") : half * 0x10001;
  run(fillKernel, { x }, { words, bits }, { threads: words });
}

/**
 * target += source, in place: both f32 of the same shape. For gradients that add up.
 * @throws when shapes or dtypes differ.
 */
export const addInPlace = checked(
  "addInPlace",
  { target: "tensor", source: "tensor" },
  (target: Tensor, source: Tensor): void => {
    check(
      sameShape(target.shape, source.shape) && target.dtype === "f32" && source.dtype === "f32",
      () =>
        `addInPlace: ${target.toString()} += ${source.toString()}: both have to be f32 of the same shape. Use cast().`,
    );
    refuseTape("addInPlace", source);
    const vectors = ceilDiv(target.size, 4);
    // WebGPU lets a kernel not read and write the same memory by two names
    const shared = target.storage === source.storage;
    const addend = shared ? broadcastTo(source, source.shape) : source;
    run(addInPlaceKernel, { to: target, source: addend }, { vectors }, { threads: vectors });
    if (shared) addend.dispose();
    target.storage.version++;
  },
);
