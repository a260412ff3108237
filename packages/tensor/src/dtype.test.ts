import { expect, test } from "vitest";
import { bf16Bits, bf16Value, f16Bits, f16Value } from "./dtype.ts";

test("the host rounds ties to even, as the device does", () => {
  // Halfway between neighbours of bfloat16 (8 bits of precision) and of float16 (11 bits); the even one ends in a 0 bit.
  for (const [value, bits] of [[1 + 2 ** -8, 0x3f80], [1 + 3 * 2 ** -8, 0x3f82], [-(1 + 2 ** -8), 0xbf80], [2 + 2 ** -7, 0x4000], [1 + 2 ** -8 + 2 ** -20, 0x3f81]] as const) expect(bf16Bits(value)).toBe(bits); // prettier-ignore
  for (const [value, bits] of [[1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [-(1 + 2 ** -11), 0xbc00], [2 ** -25, 0], [3 * 2 ** -25, 2], [65519, 0x7bff], [65520, 0x7c00]] as const) expect(f16Bits(value)).toBe(bits); // prettier-ignore
  expect([bf16Value(0x3f81), f16Value(0x3c01)]).toEqual([1 + 2 ** -7, 1 + 2 ** -10]);
  expect([bf16Bits(NaN), f16Bits(NaN)].map((bits) => bits & 0x7fff)).toEqual([0x7fc0, 0x7e00]);
});

test("every float16 and bfloat16 is its own bits, with infinities, NaN, zeros and subnormals of either sign", () => {
  const special = [[0x7c00, Infinity], [0xfc00, -Infinity], [0x0000, 0], [0x8000, -0], [0x0001, 2 ** -24], [0x8001, -(2 ** -24)], [0x03ff, 1023 * 2 ** -24], [0x83ff, -1023 * 2 ** -24], [0x0400, 2 ** -14], [0x3c00, 1], [0xc000, -2], [0x7bff, 65504]] as const; // prettier-ignore
  for (const [bits, value] of special) {
    expect(f16Value(bits)).toBe(value);
    expect(f16Bits(value)).toBe(bits);
  }
  expect([f16Value(0x7c01), f16Value(0xfe00), bf16Value(0x7fc0)]).toEqual([NaN, NaN, NaN]);
  for (let bits = 0; bits < 0x10000; bits++) {
    if ((bits & 0x7c00) !== 0x7c00 || (bits & 0x3ff) === 0) expect(f16Bits(f16Value(bits))).toBe(bits);
    if ((bits & 0x7f80) !== 0x7f80 || (bits & 0x7f) === 0) expect(bf16Bits(bf16Value(bits))).toBe(bits);
  }
  expect([bf16Value(0x3f80), bf16Value(0xbf80), bf16Value(0x7f80), bf16Value(0xff80)]).toEqual([
    1,
    -1,
    Infinity,
    -Infinity,
  ]);
  expect([f16Bits(65519), f16Bits(65520), f16Bits(-1e30), f16Bits(NaN) & 0x7e00]).toEqual([
    0x7bff, 0x7c00, 0xfc00, 0x7e00,
  ]);
  expect(bf16Bits(NaN) & 0x7fc0).toBe(0x7fc0);
});
