import { expect, test } from "vitest";
import { bf16Bits, bf16Value, f16Bits, f16Value } from "./dtype.ts";

test("the host rounds ties to even, as the device does", () => {
  // Halfway between neighbours of bfloat16 (8 bits of precision) and of float16 (11 bits); the even one ends in a 0 bit.
  for (const [value, bits] of [[1 + 2 ** -8, 0x3f80], [1 + 3 * 2 ** -8, 0x3f82], [-(1 + 2 ** -8), 0xbf80], [2 + 2 ** -7, 0x4000], [1 + 2 ** -8 + 2 ** -20, 0x3f81]] as const) expect(bf16Bits(value)).toBe(bits); // prettier-ignore
  for (const [value, bits] of [[1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [-(1 + 2 ** -11), 0xbc00], [2 ** -25, 0], [3 * 2 ** -25, 2], [65519, 0x7bff], [65520, 0x7c00]] as const) expect(f16Bits(value)).toBe(bits); // prettier-ignore
  expect([bf16Value(0x3f81), f16Value(0x3c01)]).toEqual([1 + 2 ** -7, 1 + 2 ** -10]);
  expect([bf16Bits(NaN), f16Bits(NaN)].map((bits) => bits & 0x7fff)).toEqual([0x7fc0, 0x7e00]);
});
