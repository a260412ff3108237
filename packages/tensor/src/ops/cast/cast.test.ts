import { describe, expect, test } from "vitest";
import { checkOp, randomNormal, withDevice } from "../../testing/check-op.ts";
import { device } from "../../runtime/init.ts";
import { fromArray, fromBytes, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "./cast.ts";
import type { DType } from "../../dtype.ts";
import type { NdArray } from "../../testing/nd-array.ts";

checkOp(cast, (x: NdArray) => x, { cases: [{ shapes: [[2, 3]], args: ["f32"], note: "the same dtype" }] });

/** Every pattern of 16 bits with its value, by the definition of the format: sign, exponent, fraction. */
function halves(exponentBits: number): { bits: number; value: number }[] {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  return Array.from({ length: 0x8000 }, (_, bits) => {
    const exponent = bits >>> fractionBits;
    const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
    const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
    return { bits, value: exponent < 2 ** exponentBits - 1 ? value : fraction > 0 ? NaN : Infinity };
  });
}

const fromHalves = (bits: readonly number[], dtype: DType): Tensor =>
  fromBytes(new Uint8Array(Uint16Array.from(bits).buffer), [bits.length], dtype);

async function bitsOf(x: Tensor): Promise<Uint16Array> {
  return new Uint16Array(await device().read(x.buffer, x.byteLength)).subarray(0, x.size);
}

describe.each([
  ["f16" as const, 5],
  ["bf16" as const, 8],
])("%s", (dtype, exponentBits) => {
  withDevice();
  const all = halves(exponentBits);
  const finite = all.filter(({ value }) => Number.isFinite(value));

  test("every value widens exactly, and narrows to its own bits", async () => {
    const wide = cast(
      fromHalves(
        all.map(({ bits }) => bits),
        dtype,
      ),
      "f32",
    );
    const values = await wide.data();
    const narrow = await bitsOf(cast(wide, dtype));
    const wrong = all.filter(
      ({ bits, value }, i) => !Object.is(values[i], value) || (!Number.isNaN(value) && narrow[i] !== bits),
    );
    expect(wrong).toEqual([]);
    expect(await bitsOf(cast(tensor([-0, -Infinity, -1]), dtype))).toEqual(
      Uint16Array.of(0x8000, ...(dtype === "f16" ? [0xfc00, 0xbc00] : [0xff80, 0xbf80])),
    );
  });

  test("rounds to nearest, ties to even, and overflows to infinity", async () => {
    const between = finite.slice(0, -1).flatMap(({ value }, i) => {
      const middle = Math.fround((value + finite[i + 1]!.value) / 2);
      return i % 61 === 0 || i < 20 ? [middle] : [];
    });
    const values = Float32Array.from([...between, ...randomNormal(2001, 3), 1e-6, 3e-8, 65519, 65520, 3.4e38]);
    const want = values.map((value) => nearest(Math.abs(value)) * Math.sign(value));
    expect(await cast(fromArray(values, [values.length]), dtype).data()).toEqual(want);
  });

  /** The value of the format nearest to `value`; in the middle the one with even bits. Past the last: infinity. */
  function nearest(value: number): number {
    let [low, high] = [0, finite.length - 1];
    const last = finite[high]!.value;
    if (value > last) return value < last + (last - finite[high - 1]!.value) / 2 ? last : Infinity;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (finite[middle]!.value <= value) low = middle;
      else high = middle;
    }
    const [below, above] = [value - finite[low]!.value, finite[high]!.value - value];
    return finite[below < above || (below === above && low % 2 === 0) ? low : high]!.value;
  }
});

describe("cast between floats, whole numbers and bool", () => {
  withDevice();
  test("truncates, keeps whole numbers, distinguishes 0 from the rest", async () => {
    const x = tensor([-2.7, -0, 0.4, 3.99, NaN]);
    expect(Array.from(await cast(x, "i32").data()).slice(0, 4)).toEqual([-2, 0, 0, 3]);
    expect(Array.from(await cast(x, "bool").data())).toEqual([1, 0, 1, 1, 1]);
    const big = fromArray([-5, 2 ** 31 - 1, 0], [3], "i32");
    expect(Array.from(await cast(big, "f32").data())).toEqual([-5, 2 ** 31, 0]);
    expect(Array.from(await cast(big, "u32").data())).toEqual([2 ** 32 - 5, 2 ** 31 - 1, 0]);
    expect(Array.from(await cast(big, "bool").data())).toEqual([1, 1, 0]);
    expect(Array.from(await cast(cast(big, "bool"), "f16").data())).toEqual([1, 1, 0]);
    expect(Array.from(await cast(cast(tensor([1.5, -2, 7]), "bf16"), "i32").data())).toEqual([1, -2, 7]);
    expect(cast(fromArray([], [0, 3]), "f16").shape).toEqual([0, 3]);
  });
});
