import { check } from "@gpugrad/tensor";
import type { SafetensorsDtype } from "./dtypes.ts";

/**
 * A tensor's bytes as float32: F32 without a copy, F16 and BF16 exactly, F64 rounded to nearest, integers up to 32 bits.
 *
 * @throws {@link GpugradError} for 64-bit integers: see {@link toInt32}.
 */
export function toFloat32(dtype: SafetensorsDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const buffer = ownBuffer(bytes);
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16": {
      const table = (float32BitsOfHalf ??= makeHalfTable());
      return widen(new Uint16Array(buffer), (half) => table[half]!);
    }
    case "BF16":
      return widen(new Uint16Array(buffer), (half) => half << 16);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    default:
      check(!/64$/.test(dtype), () => `safetensors: ${dtype} does not fit float32. Read it as integers.`);
      return Float32Array.from(smallIntegers(dtype, buffer));
  }
}

/**
 * A tensor of integers or booleans as int32.
 *
 * @throws {@link GpugradError} for a value outside of int32's range, naming it, and for floating-point dtypes.
 */
export function toInt32(dtype: SafetensorsDtype, bytes: Uint8Array): Int32Array<ArrayBuffer> {
  const buffer = ownBuffer(bytes);
  const values =
    dtype === "I64"
      ? new BigInt64Array(buffer)
      : dtype === "U64"
        ? new BigUint64Array(buffer)
        : smallIntegers(dtype, buffer);
  const out = new Int32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const value = Number(values[i]);
    out[i] = value;
    check(out[i] === value, () => `safetensors: ${dtype} value ${values[i]} at index ${i} does not fit int32.`);
  }
  return out;
}

/** A buffer that holds `bytes` and nothing else, so that any typed array fits on it. */
const ownBuffer = (bytes: Uint8Array): ArrayBuffer =>
  bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    ? bytes.buffer
    : bytes.slice().buffer;

function smallIntegers(dtype: SafetensorsDtype, buffer: ArrayBuffer): ArrayLike<number> & Iterable<number> {
  switch (dtype) {
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer);
    default:
      return check(false, `safetensors: ${dtype} is not an integer dtype, and is not converted.`) as never;
  }
}

function widen(halves: Uint16Array, float32Bits: (half: number) => number): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = float32Bits(halves[i]!);
  return new Float32Array(bits.buffer);
}

let float32BitsOfHalf: Uint32Array | undefined;

/** float32 bits of each of the 65,536 float16. A float16 subnormal is a normal float32; NaN keeps its payload. */
function makeHalfTable(): Uint32Array {
  const number = new Float32Array(1);
  const bits = new Uint32Array(number.buffer);
  return Uint32Array.from({ length: 65536 }, (_, half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 0x3ff;
    number[0] = fraction * 2 ** -24;
    const magnitude = exponent === 0 ? bits[0]! : ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
    return ((half & 0x8000) << 16) | magnitude;
  });
}
