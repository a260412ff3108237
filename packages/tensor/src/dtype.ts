import { didYouMean } from "./did-you-mean.ts";
import { check, GpugradError } from "./errors.ts";
import { showValue } from "./values.ts";

/**
 * Element types. `f16` and `bf16` are for storage, two elements in a 32-bit word: every op computes in f32. A `bool` takes
 * 32 bits on the device (WGSL has no host-shareable bool) and one byte in `data()`.
 */
export type DType = "f32" | "f16" | "bf16" | "i32" | "u32" | "bool";

/** What `data()` gives: 16-bit floats come widened to f32. */
export type TypedArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

export const dtypes: readonly DType[] = ["f32", "f16", "bf16", "i32", "u32", "bool"];

/** Names of other libraries. */
const foreign: Record<string, DType> = {
  ...{ float: "f32", float32: "f32", float64: "f32", double: "f32", f64: "f32" },
  ...{ half: "f16", float16: "f16", bfloat16: "bf16" },
  ...{ int: "i32", int32: "i32", int64: "i32", long: "i32", i64: "i32" },
  ...{ uint: "u32", uint8: "u32", uint32: "u32", u8: "u32", boolean: "bool" },
};

const known = new Set<unknown>(dtypes);
export const isDType = (value: unknown): value is DType => known.has(value);

/** The error for a dtype that does not exist, with the one that may be meant. */
export function noSuchDType(owner: string, given: string): GpugradError {
  const name = given.replace(/^(torch|np|jnp|tf)\./, "").toLowerCase();
  const near = Object.hasOwn(foreign, name) ? ` Did you mean ${foreign[name]}?` : didYouMean(name, dtypes);
  const device = /^(cuda|gpu|cpu|mps|webgpu)\b/.test(name) ? " There is one device for all, which init() chooses." : "";
  return new GpugradError(
    `${owner}: there is no dtype ${showValue(given)}.${near || device} dtypes are ${dtypes.join(", ")}.`,
  );
}

export const isHalf = (dtype: DType): boolean => dtype === "f16" || dtype === "bf16";
export const isFloat = (dtype: DType): boolean => dtype === "f32" || isHalf(dtype);

/** Bytes that `count` elements take on the device, in whole 32-bit words. */
export const deviceBytes = (dtype: DType, count: number): number => (isHalf(dtype) ? Math.ceil(count / 2) : count) * 4;

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of `value` as float16: round to nearest, ties to even; overflow from 65520 on gives infinity. */
export function f16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and more
  if (magnitude >= 0x38800000) {
    const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1); // exponent bias 127 → 15
    return sign | (rounded >>> 13);
  }
  const units = Math.abs(value) * 2 ** 24; // subnormal: count of 2⁻²⁴
  const whole = Math.floor(units);
  const rest = units - whole;
  return sign | (whole + (rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? 1 : 0));
}

/** The number that bits of float16 are. */
export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of `value` as bfloat16: float32's upper half, round to nearest, ties to even. */
export function bf16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that bits of bfloat16 are. */
export function bf16Value(bits: number): number {
  scratch.setUint32(0, (bits << 16) >>> 0);
  return scratch.getFloat32(0);
}

/** Device words of `values`, whatever array they come in. @throws when a number doesn't fit the dtype */
export function encode(dtype: DType, values: ArrayLike<number | boolean>, owner: string): Uint8Array {
  const count = values.length;
  if (isHalf(dtype)) {
    const toBits = dtype === "f16" ? f16Bits : bf16Bits;
    const words = new Uint16Array(Math.ceil(count / 2) * 2);
    for (let i = 0; i < count; i++) words[i] = toBits(numberAt(values, i, owner));
    return new Uint8Array(words.buffer);
  }
  const array = dtype === "f32" ? Float32Array : dtype === "i32" ? Int32Array : Uint32Array;
  if (values instanceof array && dtype !== "bool")
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = new array(count);
  for (let i = 0; i < count; i++) {
    const number = numberAt(values, i, owner);
    words[i] = dtype === "f32" ? number : wholeNumber(dtype as "i32" | "u32" | "bool", number, owner);
  }
  return new Uint8Array(words.buffer);
}

/** Booleans count as 0 and 1; strings, undefined and the like are refused. */
function numberAt(values: ArrayLike<number | boolean>, i: number, owner: string): number {
  const value: unknown = values[i];
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  throw new GpugradError(`${owner}: element ${i} is ${showValue(value)}, not a number.`);
}

const ranges = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] } as const;

/**
 * `value` as an element of whole numbers: the fraction is cut off, as in PyTorch; of bool, whether it is not 0.
 * @throws when it is NaN or beyond the range of the dtype
 */
export function wholeNumber(dtype: "i32" | "u32" | "bool", value: number, owner: string): number {
  if (dtype === "bool") return value === 0 ? 0 : 1;
  const number = Math.trunc(value);
  const [low, high] = ranges[dtype];
  check(
    number >= low && number <= high,
    () => `${owner}: ${value} does not fit ${dtype}, which holds whole numbers from ${low} to ${high}.`,
  );
  return number;
}

/** The inverse of {@link encode}: `count` elements out of device words. */
export function decode(dtype: DType, words: ArrayBuffer, count: number): TypedArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(words, 0, count);
    case "i32":
      return new Int32Array(words, 0, count);
    case "u32":
      return new Uint32Array(words, 0, count);
    case "bool":
      return Uint8Array.from(new Uint32Array(words, 0, count));
    case "f16":
      return Float32Array.from(new Uint16Array(words, 0, count), f16Value);
    case "bf16":
      return Float32Array.from(new Uint16Array(words, 0, count), bf16Value);
  }
}
