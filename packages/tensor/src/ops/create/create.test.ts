import { expect, test } from "vitest";
import { withDevice } from "../../testing/check-op.ts";
import { arange, eye, full, fullLike, linspace, ones, onesLike, zeros, zerosLike } from "./create.ts";

withDevice();

test("full in every dtype, odd and large sizes", async () => {
  expect(await full([3], -2.5).toArray()).toEqual([-2.5, -2.5, -2.5]);
  expect(await full([3], -2.5, { dtype: "f16" }).toArray()).toEqual([-2.5, -2.5, -2.5]);
  expect(await full([2], 3, { dtype: "bf16" }).toArray()).toEqual([3, 3]);
  expect(await full([1], -7, { dtype: "i32" }).toArray()).toEqual([-7]);
  expect(await full([1], 2 ** 32 - 1, { dtype: "u32" }).toArray()).toEqual([2 ** 32 - 1]);
  expect(await ones([2], { dtype: "bool" }).toArray()).toEqual([true, true]);
  expect(await full([], NaN).item()).toBeNaN();
  expect(await zeros([0, 3]).toArray()).toEqual([]);
  expect(await full([2], -0).toArray()).toEqual([-0, -0]);
  expect(await zeros([3], { dtype: "bf16" }).toArray()).toEqual([0, 0, 0]);
  const many = await ones([16_777_233]).data(); // more than 65,535 workgroups of 64 × 4
  expect(many.every((v) => v === 1)).toBe(true);
  expect(() => zeros([2, -1])).toThrow("zeros: shape is [2, -1], not a shape");
});

test("like another tensor", () => {
  const x = zeros([2, 3], { dtype: "i32" });
  expect(onesLike(x).dtype).toBe("i32");
  expect(zerosLike(x, { dtype: "f32" }).dtype).toBe("f32");
  expect(fullLike(x, 5).shape).toEqual([2, 3]);
});

test("arange, linspace, eye", async () => {
  expect(await arange(4).toArray()).toEqual([0, 1, 2, 3]);
  expect(await arange(5, 0, -2, { dtype: "i32" }).toArray()).toEqual([5, 3, 1]);
  expect(arange(2, 2).shape).toEqual([0]);
  expect(() => arange(0, 3, -1)).toThrow("arange: no way from 0 to 3 in steps of -1");
  expect(() => arange(0, 3, 0)).toThrow("arange: no way");
  const line = await linspace(0, 1, 11).data();
  expect([line[0], line[5], line[10]]).toEqual([0, 0.5, 1]);
  expect(await linspace(3, 4, 1).toArray()).toEqual([3]);
  expect(await eye(2, 3).toArray()).toEqual([[1, 0, 0], [0, 1, 0]]); // prettier-ignore
});

test("refuses counts and sizes that are none", () => {
  for (const steps of [-1, 1.5, NaN])
    expect(() => linspace(0, 1, steps)).toThrow(`linspace: steps is ${steps}, not a whole number`);
  expect(linspace(0, 1, 0).shape).toEqual([0]);
  for (const size of [-1, 1.5]) {
    expect(() => eye(size)).toThrow(`eye: ${size} × ${size} is not the size of a matrix`);
    expect(() => eye(2, size)).toThrow(`eye: 2 × ${size} is not the size`);
  }
  expect(eye(0).shape).toEqual([0, 0]);
});
