import { describe, expect, test } from "vitest";
import { fromArray } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import { numberDistances, relativeBias, type RelativeBiasOptions } from "./relative-bias.ts";
import { relativeBiasReference } from "./relative-bias.reference.ts";

/** A number for each of 13 distances, several of which share some; those of later keys come last, as in MPNet. */
const numbers = [6, 6, 6, 5, 5, 4, 0, 1, 2, 2, 3, 3, 3];
const ranges = [6, 7, 7, 8, 8, 10, 10, 13, 5, 6, 3, 5, 0, 3];
const indexed = { values: [undefined, undefined, numbers, ranges], dtypes: ["f32", "f32", "i32", "i32"] as const };
const both = { ...indexed, dtypes: [...indexed.dtypes] };
const shapes = (B: number, H: number, T: number, R: number) => [[B, H, T, R], [B, H, T, R], [13], [7, 2]];

const reference = (rows: NdArray, columns: NdArray, index: NdArray, _: NdArray, options?: RelativeBiasOptions) =>
  relativeBiasReference(rows, columns, index, options);

checkOp(relativeBias, reference, {
  cases: [
    { shapes: shapes(1, 1, 1, 7), ...both },
    { shapes: shapes(2, 3, 7, 7), ...both, args: [{ scale: 0.5 }] },
    { shapes: shapes(3, 2, 5, 9), ...both, note: "more rows than numbers" },
    { shapes: shapes(0, 2, 5, 7), ...both },
    {
      shapes: [[2, 2, 3, 4], [2, 2, 3, 4], [5], [7, 2]],
      values: [undefined, undefined, [3, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0, 0, 2, 2, 3, 3, 4, 4, 5]],
      dtypes: both.dtypes,
      args: [{ first: 3 }],
      note: "tables without the numbers that no distance reaches",
    },
  ],
}); // prettier-ignore

const { forward, backward } = relativeBias.definition;
const without = (which: "rows" | "columns") => ({
  opName: `relativeBias without ${which}`,
  definition: {
    forward: (table: Tensor, index: Tensor, places: Tensor) =>
      which === "rows" ? forward(undefined, table, index, places) : forward(table, undefined, index, places),
    backward,
  },
});
const nothing = (x: NdArray) => ndArray(x.shape, new Float64Array(x.data.length));
const one = {
  shapes: [[2, 2, 6, 7], [13], [7, 2]],
  values: [undefined, numbers, ranges],
  dtypes: ["f32" as const, "i32" as const, "i32" as const],
};
checkOp(without("columns"), (x: NdArray, index: NdArray) => relativeBiasReference(x, nothing(x), index), { cases: [one] }); // prettier-ignore
checkOp(without("rows"), (x: NdArray, index: NdArray) => relativeBiasReference(nothing(x), x, index), { cases: [one] });

describe("relativeBias", () => {
  withDevice();

  test("a numbering knows where each number's distances are, and refuses one whose distances are not neighbours", async () => {
    const made = numberDistances(numbers);
    expect(await made.numbers.toArray()).toEqual(numbers);
    expect(Array.from(await made.ranges.data())).toEqual(ranges);
    expect(() => numberDistances([0, 1, 0])).toThrow("the distances of number 0 are not neighbours");
  });

  test("a number outside of the tables gives NaN", async () => {
    const { numbers: index, ranges: places } = numberDistances([0, 1, 2]);
    const y = relativeBias(fromArray([1, 1, 1, 1], [1, 1, 2, 2]), undefined, index, places);
    expect(Array.from(await y.data())).toEqual([1, 1, NaN, 1]);
  });

  test("errors", () => {
    const { numbers: index, ranges: places } = numberDistances([0, 1, 2]);
    const table = zeros([1, 1, 2, 3]);
    expect(() => relativeBias(undefined, undefined, index, places)).toThrow("neither rows nor columns");
    expect(() => relativeBias(table, zeros([1, 1, 2, 4]), index, places)).toThrow("columns is [1,1,2,4] of f32");
    expect(() => relativeBias(zeros([1, 1, 3, 3]), undefined, index, places)).toThrow("do not number 5 distances");
  });
});
