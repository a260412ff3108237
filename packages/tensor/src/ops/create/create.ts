import { checked } from "../../arguments.ts";
import { encode, isHalf, type DType } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { defineStorageOp, notDifferentiable } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, type Shape } from "../../shape.ts";
import { fromArray } from "../../factories.ts";
import { empty, type Tensor } from "../../tensor.ts";
import fillCode from "./fill.wgsl";

const fillKernel = kernel("ops/create/fill.wgsl", fillCode);

/** f32 unless `dtype` says otherwise. */
export interface CreateOptions {
  dtype?: DType;
}

const createTakes = { dtype: "dtype?" } as const;

/** A tensor of `shape` with `value` everywhere. */
export const full = defineStorageOp("full", {
  takes: { shape: "shape", value: "number|boolean", options: createTakes },
  forward(shape: Shape, value: number | boolean, { dtype = "f32" }: CreateOptions = {}) {
    const y = empty(shape, dtype);
    const pair = encode(dtype, isHalf(dtype) ? [value, value] : [value], "full"); // one device word
    const bits = new DataView(pair.buffer, pair.byteOffset).getUint32(0, true);
    const vectors = ceilDiv(y.byteLength, 16);
    if (bits === 0) y.storage.device.queue.clear(y.buffer, y.byteLength);
    else run(fillKernel, { y }, { vectors, bits }, { threads: vectors });
    return { output: y, inputs: {}, saved: {} };
  },
  backward: notDifferentiable("a constant depends on nothing"),
});

const ofShape = (name: string, value: number) =>
  checked(name, { shape: "shape", options: createTakes }, (shape: Shape, options?: CreateOptions) =>
    full(shape, value, options),
  );

/** A tensor of `shape` with 0 everywhere; false for `bool`. */
export const zeros = ofShape("zeros", 0);

/** A tensor of `shape` with 1 everywhere; true for `bool`. */
export const ones = ofShape("ones", 1);

/** A tensor of x's shape with `value` everywhere, of x's dtype unless another is given. */
export const fullLike = checked(
  "fullLike",
  { x: "tensor", value: "number|boolean", options: createTakes },
  (x: Tensor, value: number | boolean, { dtype = x.dtype }: CreateOptions = {}) => full(x.shape, value, { dtype }),
);

const like = (name: string, value: number) =>
  checked(name, { x: "tensor", options: createTakes }, (x: Tensor, options?: CreateOptions) =>
    fullLike(x, value, options),
  );

/** A tensor of x's shape with 0 everywhere, of x's dtype unless another is given. */
export const zerosLike = like("zerosLike", 0);

/** A tensor of x's shape with 1 everywhere, of x's dtype unless another is given. */
export const onesLike = like("onesLike", 1);

/**
 * The numbers start, start + step, … before `stop`: `arange(5)` is 0 to 4. f32 unless `dtype` says otherwise.
 * @throws when `step` is 0 or leads away from `stop`
 */
export const arange = checked(
  "arange",
  { start: "number", stop: "number?", step: "number?", options: createTakes },
  (start: number, stop?: number, step = 1, { dtype = "f32" }: CreateOptions = {}): Tensor => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    const count = Math.ceil((to - from) / step);
    check(count >= 0 && Number.isFinite(count), () => `arange: no way from ${from} to ${to} in steps of ${step}.`);
    const values = Float64Array.from({ length: count }, (_, i) => from + i * step);
    return fromArray(values, [count], dtype);
  },
);

/** `steps` numbers at even distances from `start` to `end`, both included. */
export const linspace = checked(
  "linspace",
  { start: "number", end: "number", steps: "number", options: createTakes },
  (start: number, end: number, steps: number, { dtype = "f32" }: CreateOptions = {}): Tensor => {
    check(Number.isInteger(steps) && steps >= 0, () => `linspace: steps is ${steps}, not a whole number.`);
    const step = steps > 1 ? (end - start) / (steps - 1) : 0;
    // Counted from the nearer end, so that both ends are exact.
    const values = Float64Array.from({ length: steps }, (_, i) =>
      i < steps / 2 ? start + i * step : end - (steps - 1 - i) * step,
    );
    return fromArray(values, [steps], dtype);
  },
);

/** 1 on the diagonal of a matrix of `rows` × `cols` (square unless given), 0 elsewhere. */
export const eye = checked(
  "eye",
  { rows: "number", cols: "number?", options: createTakes },
  (rows: number, cols = rows, { dtype = "f32" }: CreateOptions = {}): Tensor => {
    check(
      [rows, cols].every((n) => Number.isInteger(n) && n >= 0),
      () => `eye: ${rows} × ${cols} is not the size of a matrix.`,
    );
    const values = new Float64Array(rows * cols);
    for (let i = 0; i < Math.min(rows, cols); i++) values[i * cols + i] = 1;
    return fromArray(values, [rows, cols], dtype);
  },
);
