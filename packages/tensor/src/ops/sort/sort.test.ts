import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import { checkOp, randomNormal, withDevice } from "../../testing/check-op.ts";
import { alongDim, type NdArray } from "../../testing/nd-array.ts";
import { argsort, sort, sortLines, topk, topkLines, type SortOptions } from "./sort.ts";

/** NaN counts as the greatest. */
const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a - b;

const sortReference = (x: NdArray, { dim = -1, descending = false }: SortOptions = {}): NdArray =>
  alongDim(x, dim, (line) => line.toSorted((a, b) => (descending ? compare(b, a) : compare(a, b))));

const topkReference = (x: NdArray, k: number, { dim = -1, largest = true } = {}): NdArray =>
  alongDim(x, dim, (line) => line.toSorted((a, b) => (largest ? compare(b, a) : compare(a, b))).slice(0, k));

checkOp(sortLines, sortReference, {
  cases: [
    { shapes: [[1]] },
    { shapes: [[5, 33]], args: [{ descending: true }] },
    { shapes: [[19, 3, 2]], args: [{ dim: 0 }] },
    { shapes: [[2, 1500]], gradient: false, note: "several merges" },
    { shapes: [[0, 3]] },
  ],
});

checkOp(topkLines, topkReference, {
  cases: [
    { shapes: [[9]], args: [1] },
    { shapes: [[4, 21]], args: [5, { largest: false }] },
    { shapes: [[6, 5]], args: [3, { dim: 0 }] },
  ],
});

describe("order", () => {
  withDevice();

  test("equal ones keep theirs, zeros are equal, NaN comes last or first", async () => {
    const x = tensor([2, -0, NaN, 0, -1, 2, -Infinity, Infinity]);
    expect(await argsort(x).toArray()).toEqual([6, 4, 1, 3, 0, 5, 7, 2]);
    expect(await argsort(x, { descending: true }).toArray()).toEqual([2, 7, 0, 5, 1, 3, 4, 6]);
    const { values, indices } = topk(x, 3);
    expect([await values.toArray(), await indices.toArray()]).toEqual([[NaN, Infinity, 2], [2, 7, 0]]); // prettier-ignore
  });

  test("whole numbers, with and without sign", async () => {
    expect(await sort(tensor([3, -5, 2 ** 30, -1], "i32")).values.toArray()).toEqual([-5, -1, 3, 2 ** 30]);
    expect(await sort(tensor([3, 4e9, 0], "u32"), { descending: true }).values.toArray()).toEqual([4e9, 3, 0]);
    const many = Int32Array.from(randomNormal(5000, 3), (v) => Math.round(v * 50));
    const places = await argsort(fromArray(many, [5000], "i32")).data();
    const want = Array.from(many.keys()).sort((a, b) => many[a]! - many[b]! || a - b);
    expect(Array.from(places)).toEqual(want);
  });

  test("topk refuses more than there are", () => {
    expect(() => topk(tensor([1, 2]), 3)).toThrow("topk: k is 3, but dimension 0 of [2] has 2 elements");
  });
});
