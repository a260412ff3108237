import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import { manualSeed } from "../../random.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { arange, zeros } from "../create/create.ts";
import { multinomial } from "../create/multinomial.ts";
import { expand } from "../shape/expand.ts";
import { reshape } from "../shape/reshape.ts";
import { unbind } from "../shape/slice.ts";
import { index, indexPut } from "./advanced.ts";
import { maskedSelect, nonzero } from "./nonzero.ts";
import { scatter, scatterReduce, type ScatterReduceOptions } from "./scatter.ts";

type Combine = (own: number, fallen: number[]) => number;

/** What falls on each place of a matrix along its rows (dim 1) or columns (dim 0), combined. */
function scattering(x: NdArray, dim: number, places: NdArray, src: NdArray, combine: Combine): NdArray {
  const fallen = Array.from(x.data, (): number[] => []);
  const [rows, columns] = places.shape as [number, number];
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const v = places.data[i * columns + j]!;
      const at = dim === 1 ? i * x.shape[1]! + v : v * x.shape[1]! + j;
      fallen[at]!.push(src.data[i * src.shape[1]! + j]!);
    }
  return ndArray(
    x.shape,
    x.data.map((own, at) => (fallen[at]!.length === 0 ? own : combine(own, fallen[at]!))),
  );
}

const combinations: Record<ScatterReduceOptions["reduce"], (list: number[]) => number> = {
  sum: (list) => list.reduce((a, b) => a + b),
  prod: (list) => list.reduce((a, b) => a * b),
  mean: (list) => list.reduce((a, b) => a + b) / list.length,
  amax: (list) => list.reduce((a, b) => Math.max(a, b)),
  amin: (list) => list.reduce((a, b) => Math.min(a, b)),
};

const places = ndArray([3, 4], [0, 2, 1, 4, 3, 3, 0, 3, 1, 2, 4, 1]);
const apart = ndArray([3, 3], [0, 2, 1, 4, 3, 1, 4, 0, 2]);

describe("scatter and scatterReduce", () => {
  const along = (op: typeof scatterReduce, dim: number, index: NdArray) => ({
    opName: op.opName,
    definition: {
      forward: (x: never, src: never, options: never) =>
        op.definition.forward(x, dim, fromArray(index.data, index.shape, "i32"), src, options),
      backward: op.definition.backward,
    },
  });
  const reference = (dim: number, index: NdArray) => (x: NdArray, src: NdArray, options: ScatterReduceOptions) =>
    scattering(x, dim, index, src, (own, fallen) =>
      combinations[options.reduce](options.includeSelf === false ? fallen : [own, ...fallen]),
    );
  const cases = (Object.keys(combinations) as ScatterReduceOptions["reduce"][]).flatMap((reduce) =>
    [true, false].map((includeSelf) => ({ shapes: [[4, 5], [3, 6]], args: [{ reduce, includeSelf }] })),
  ); // prettier-ignore
  checkOp(along(scatterReduce, 1, places), reference(1, places), { cases });
  checkOp(along(scatterReduce, 0, apart), reference(0, apart), { cases: cases.map((c) => ({ ...c, shapes: [[5, 4], [3, 3]] })) }); // prettier-ignore
  checkOp(
    along(scatter as never, 1, apart),
    (x, src) => scattering(x, 1, apart, src, (_own, fallen) => fallen.at(-1)!),
    { cases: [{ shapes: [[4, 5], [3, 4]] }] }, // prettier-ignore
  );
});

describe("indices", () => {
  withDevice();

  test("scatter of a number, and of a place out of range", async () => {
    const x = zeros([2, 3], { dtype: "i32" });
    expect(await scatter(x, 1, tensor([[2], [0]], "i32"), 7).toArray()).toEqual([[0, 0, 7], [7, 0, 0]]); // prettier-ignore
    expect(await scatter(zeros([1, 2]), 1, tensor([[5]], "i32"), 1).toArray()).toEqual([[NaN, 0]]);
    expect(() => scatter(x, 1, tensor([[1]], "i32"), tensor([[1]]))).toThrow("scatter: src is f32 and x i32");
  });

  test("nonzero and maskedSelect", async () => {
    const x = tensor([[0, 3, NaN], [-0, 0, 5]]); // prettier-ignore
    expect(await (await nonzero(x)).toArray()).toEqual([[0, 1], [0, 2], [1, 2]]); // prettier-ignore
    expect((await nonzero(tensor(4))).shape).toEqual([1, 0]);
    expect((await nonzero(zeros([3, 0]))).shape).toEqual([0, 2]);
    const mask = tensor([true, false, true]);
    expect(await (await maskedSelect(tensor([[1, 2, 3], [4, 5, 6]]), mask)).toArray()).toEqual([1, 3, 4, 6]); // prettier-ignore
    await expect(maskedSelect(x, x)).rejects.toThrow("maskedSelect: the mask is f32, not bool");
  });

  test("index takes what Python takes", async () => {
    const x = reshape(arange(0, 24), [2, 3, 4]);
    const [a, b] = [tensor([0, -1], "i32"), tensor([3, 1], "i32")];
    expect(await index(x, [a]).toArray()).toEqual(await x.toArray());
    expect(await index(x, [":", a, b]).toArray()).toEqual([[3, 9], [15, 21]]); // prettier-ignore
    expect(await index(x, [a, ":", b]).toArray()).toEqual([[3, 7, 11], [13, 17, 21]]); // prettier-ignore
    expect(await index(x, ["...", b]).toArray()).toEqual([[[3, 1], [7, 5], [11, 9]], [[15, 13], [19, 17], [23, 21]]]); // prettier-ignore
    expect(await index(x, [1, [1], null, b]).toArray()).toEqual([[[19, 17]], [[23, 21]]]); // prettier-ignore
    expect(index(x, [1, null, ":", [0, 2]]).shape).toEqual([1, 3, 2]);
    const mask = tensor([[true, false, true], [false, true, false]]); // prettier-ignore
    const rows = await index(x, unbind(await nonzero(mask), { dim: 1 })).toArray();
    expect(rows).toEqual([[0, 1, 2, 3], [8, 9, 10, 11], [16, 17, 18, 19]]); // prettier-ignore
    expect(await index(arange(0, 3), [tensor([3, -4, 2], "i32")]).toArray()).toEqual([NaN, NaN, 2]);
    expect(() => index(x, [mask])).toThrow("a mask takes an unknown number of places");
    expect(() => index(x, ["..." as const, 0, 0, 0, 0])).toThrow("index: 4 indices for the 3 dimensions of [2,3,4]");
    expect(() => index(x, ["rows" as never])).toThrow('index: "rows" is not an index');
  });

  test("indexPut sets and adds", async () => {
    const at = [tensor([2, 0, 2], "i32")];
    const x = reshape(arange(0, 6), [3, 2]);
    expect(await indexPut(x, [":", 1], tensor([7, 8, 9])).toArray()).toEqual([[0, 7], [2, 8], [4, 9]]); // prettier-ignore
    const added = indexPut(x, at, tensor([10, 20]), { accumulate: true });
    expect(await added.toArray()).toEqual([[10, 21], [2, 3], [24, 45]]); // prettier-ignore
    expect(() => indexPut(x, at, zeros([4, 1]))).toThrow("indexPut: shapes don't broadcast");
  });

  test("multinomial draws by weight, each number once unless replacement is asked for", async () => {
    manualSeed(4);
    const weights = tensor([[1, 0, 3], [0, 2, 0]]); // prettier-ignore
    const drawn = (await multinomial(expand(weights, [2, 3]), 4000, { replacement: true }).toArray()) as number[][];
    const share = drawn[0]!.filter((v) => v === 2).length / 4000;
    expect(Math.abs(share - 0.75)).toBeLessThan(0.03); // four standard deviations
    expect([drawn[0]!.includes(1), new Set(drawn[1])]).toEqual([false, new Set([1])]);
    expect(((await multinomial(tensor([5, 0.1, 2]), 3).toArray()) as number[]).toSorted()).toEqual([0, 1, 2]);
    expect(() => multinomial(weights, 4)).toThrow("multinomial: 4 of the 3 numbers of [2,3]");
  });
});
