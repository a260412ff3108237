import { checked } from "./arguments.ts";
import { encode, isHalf, type DType } from "./dtype.ts";
import { check } from "./errors.ts";
import { showShape, sizeOf, type Shape } from "./shape.ts";
import { Storage } from "./storage.ts";
import { empty, Tensor, type NestedArray } from "./tensor.ts";
import { isTensor, showValue } from "./values.ts";

// Tensors from what lies on the host.

/** Typed arrays of numbers. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array;

/** {@link empty} as users call it; ops have checked their shapes. */
export const emptyChecked = checked("empty", { shape: "shape", dtype: "dtype?" }, empty);

/** A tensor from a flat array of elements. */
export const fromArray = checked(
  "fromArray",
  { values: "values", shape: "shape", dtype: "dtype?" },
  (values: ArrayLike<number | boolean>, shape: Shape, dtype: DType = "f32"): Tensor => {
    check(
      values.length === sizeOf(shape),
      () => `fromArray: ${values.length} values don't fill the shape ${showShape(shape)} (${sizeOf(shape)} elements).`,
    );
    return new Tensor(new Storage(encode(dtype, values, "fromArray")), shape, dtype);
  },
);

/** A tensor from device words, as `encode` lays them out: for weights that come in their own dtype. */
export const fromBytes = checked(
  "fromBytes",
  { bytes: "bytes", shape: "shape", dtype: "dtype" },
  (bytes: Uint8Array, shape: Shape, dtype: DType): Tensor => {
    const expected = sizeOf(shape) * (isHalf(dtype) ? 2 : 4);
    check(
      bytes.byteLength === expected,
      () => `fromBytes: ${bytes.byteLength} bytes don't fill ${showShape(shape)} of ${dtype} (${expected} bytes).`,
    );
    return new Tensor(new Storage(bytes), shape, dtype);
  },
);

/**
 * A tensor from nested arrays: `tensor([[1, 2], [3, 4]])`; typed arrays serve as well. f32 unless `dtype` says otherwise; booleans make
 * `bool`, an Int32Array i32 and a Uint32Array u32.
 * @throws when the arrays are ragged, or an element is not a number or doesn't fit the dtype
 */
export const tensor = checked(
  "tensor",
  { values: "any", dtype: "dtype?" },
  (values: NestedArray | NumberArray | readonly NumberArray[], dtype?: DType): Tensor => {
    const shape: number[] = [];
    for (let level: unknown = values; isList(level); level = level[0]) {
      shape.push(level.length);
      if (level.length === 0) break;
    }
    const flat: (number | boolean)[] = [];
    const walk = (level: unknown, depth: number, path: string): void => {
      if (isList(level)) {
        check(
          depth < shape.length && level.length === shape[depth],
          () =>
            `tensor: ragged arrays: ${path || "the outermost"} has ${level.length} entries, the first of its kind ${shape[depth] ?? "none"}.`,
        );
        for (let i = 0; i < level.length; i++) walk(level[i], depth + 1, `${path}[${i}]`);
        return;
      }
      check(
        ["number", "boolean", "bigint"].includes(typeof level),
        () => `tensor: ${path || "the value"} is ${showValue(level)}, not a number.${wayOut(level, path)}`,
      );
      check(
        depth === shape.length,
        () => `tensor: ragged arrays: there is a number at ${path}, where an array was expected.`,
      );
      flat.push(level as number | boolean);
    };
    walk(values, 0, "");
    const type = dtype ?? dtypeOf(values, flat);
    return new Tensor(new Storage(encode(type, flat, "tensor")), shape, type);
  },
);

function wayOut(value: unknown, path: string): string {
  if (isTensor(value)) return path ? " stack() and concat() join tensors." : " clone() copies a tensor.";
  if (value instanceof ArrayBuffer)
    return " A typed array over it says what its numbers are: new Float32Array(buffer).";
  return value instanceof Promise ? " It is a promise: await it first." : "";
}

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/** The dtype of elements for which none is given. */
function dtypeOf(values: unknown, flat: readonly unknown[]): DType {
  if (values instanceof Int32Array) return "i32";
  if (values instanceof Uint32Array) return "u32";
  return typeof flat[0] === "boolean" ? "bool" : "f32";
}
