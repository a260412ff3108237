import { describe, expect, test } from "vitest";
import { defineOp } from "../../define-op.ts";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { arange, zeros } from "../create/create.ts";
import { gather, gatherLines, scatterAdd, scatterAddLines, takeAlongDim } from "./gather.ts";
import { indexSelect } from "./index-select.ts";
import { gatherReference, indexSelectReference, scatterAddReference } from "./index.reference.ts";
import { oneHot } from "./one-hot.ts";

/** `count` numbers below n, some of them often. */
const numbers = (count: number, n: number): number[] => Array.from({ length: count }, (_, i) => (i * i + 3 * i) % n);
const dtypes = ["f32" as const, "i32" as const];

checkOp(gatherLines, gatherReference, {
  cases: [
    { shapes: [[1], [1]], values: [undefined, [0]], args: [0], dtypes },
    {
      shapes: [
        [5, 7],
        [5, 3],
      ],
      values: [undefined, numbers(15, 7)],
      args: [1],
      dtypes,
    },
    {
      shapes: [
        [6, 2, 3],
        [9, 2, 3],
      ],
      values: [undefined, numbers(54, 6)],
      args: [0],
      dtypes,
    },
    { shapes: [[3], [200]], values: [undefined, numbers(200, 3)], args: [0], dtypes, note: "one element often" },
    {
      shapes: [
        [4, 0],
        [0, 0],
      ],
      values: [undefined, []],
      args: [0],
      dtypes,
    },
  ],
});

const three = [...dtypes, "f32" as const];
checkOp(scatterAddLines, scatterAddReference, {
  cases: [
    {
      shapes: [
        [4, 3],
        [4, 5],
        [4, 5],
      ],
      values: [undefined, numbers(20, 3)],
      args: [1],
      dtypes: three,
    },
    {
      shapes: [
        [70, 3],
        [5, 3],
        [5, 3],
      ],
      values: [undefined, numbers(15, 70)],
      args: [0],
      dtypes: three,
    },
    { shapes: [[2], [257], [257]], values: [undefined, numbers(257, 2)], args: [0], dtypes: three, atol: 2e-5 },
    {
      shapes: [[7, 1030], [20, 1030], [20, 1030]], // prettier-ignore
      values: [undefined, numbers(20 * 1030, 7)],
      args: [0],
      dtypes: three,
      gradient: false,
      note: "line by line",
    },
    {
      shapes: [
        [2, 3],
        [2, 0],
        [2, 0],
      ],
      values: [undefined, []],
      args: [1],
      dtypes: three,
    },
  ],
});

const select = defineOp("indexSelect", {
  forward: (x: Tensor, index: Tensor, dim: number) => indexSelect.definition.forward(x, dim, index),
  backward: indexSelect.definition.backward,
});
checkOp(select, indexSelectReference, {
  cases: [
    { shapes: [[5, 4], [3]], values: [undefined, [4, 0, 4]], args: [0], dtypes },
    { shapes: [[2, 5, 3], [7]], values: [undefined, numbers(7, 5)], args: [1], dtypes },
    {
      shapes: [[3, 2], [150]],
      values: [undefined, numbers(150, 3)],
      args: [0],
      dtypes,
      note: "runs longer than a piece",
    },
    {
      shapes: [[11, 2], [600]],
      values: [undefined, numbers(600, 11)],
      args: [0],
      dtypes,
      atol: 2e-5,
      note: "blocks that are sorted apart and merged twice",
    },
    { shapes: [[3, 2], [0]], values: [undefined, []], args: [0], dtypes },
    ...[256, 260, 254].map((width) => ({
      shapes: [[2, 6, width], [5]], // prettier-ignore
      values: [undefined, numbers(5, 6)],
      args: [1],
      dtypes,
      gradient: false,
      note: "an invocation picks several elements",
    })),
  ],
});

describe("index ops", () => {
  withDevice();

  test("an index smaller than x; broadcasting; all of x", async () => {
    const x = arange(12).alias([3, 4]);
    const index = fromArray([3, 0], [2, 1], "i32");
    expect(await gather(x, 1, index).toArray()).toEqual([[3], [4]]);
    expect(await takeAlongDim(x, fromArray([1, 2], [1, 2], "i32"), -1).toArray()).toEqual([[1, 2], [5, 6], [9, 10]]); // prettier-ignore
    expect(await takeAlongDim(x, fromArray([11, 5], [2], "i32"), null).toArray()).toEqual([11, 5]);
    const sums = scatterAdd(x, 1, index, tensor([[100, 1], [200, 1], [300, 1]])); // prettier-ignore
    expect(await sums.toArray()).toEqual([[0, 1, 2, 103], [204, 5, 6, 7], [8, 9, 10, 11]]); // prettier-ignore
  });

  test("an index out of range gives NaN", async () => {
    const x = arange(6).alias([2, 3]);
    const index = fromArray([2, -1, 3, 0], [2, 2], "i32");
    expect(await gather(x, 1, index).toArray()).toEqual([[2, NaN], [NaN, 3]]); // prettier-ignore
    expect(await indexSelect(x, 0, fromArray([2, 1], [2], "i32")).toArray()).toEqual([[NaN, NaN, NaN], [3, 4, 5]]); // prettier-ignore
    expect(await scatterAdd(zeros([2, 3]), 1, index, zeros([2, 2])).toArray()).toEqual([[NaN, 0, 0], [NaN, 0, 0]]); // prettier-ignore
  });

  test("whole numbers and bool are picked like floats", async () => {
    const index = fromArray([1, 1, 0], [3], "u32");
    expect(await indexSelect(fromArray([2 ** 31 - 1, -9], [2], "i32"), 0, index).toArray()).toEqual([
      -9,
      -9,
      2 ** 31 - 1,
    ]);
    expect(await gather(tensor([true, false]), 0, index).toArray()).toEqual([false, false, true]);
  });

  test("one-hot", async () => {
    const y = oneHot(fromArray([2, 0, 5], [3], "i32"), { numClasses: 3 });
    expect(y.dtype).toBe("i32");
    expect(await y.toArray()).toEqual([[0, 0, 1], [1, 0, 0], [0, 0, 0]]); // prettier-ignore
    expect(oneHot(fromArray([], [0], "i32"), { numClasses: 2 }).shape).toEqual([0, 2]);
    const many = numbers(70, 3);
    const rows = await oneHot(fromArray(many, [70], "i32"), { numClasses: 3 }).toArray();
    expect(rows).toEqual(many.map((v) => [0, 1, 2].map((c) => Number(c === v))));
  });

  test("errors name the op and the shapes", () => {
    const x = zeros([2, 3]);
    const index = fromArray([0, 1, 2], [3], "i32");
    expect(() => gather(x, 1, index)).toThrow("gather: index [3] for x [2,3]");
    expect(() => gather(x, 1, zeros([2, 3]))).toThrow("gather: the index is f32. Cast it to i32 or u32.");
    expect(() => indexSelect(x, 2, index)).toThrow("indexSelect: dim 2 is out of range");
    expect(() => scatterAdd(x, 1, fromArray([0, 0], [1, 2], "i32"), zeros([1, 1]))).toThrow("scatterAdd: src [1,1]");
    expect(() => oneHot(index, { numClasses: 0 })).toThrow("oneHot: numClasses is 0");
    expect(() => takeAlongDim(x, index, 0)).toThrow("takeAlongDim: index [3] and x [2,3]");
  });

  test("refuse what is no list of slices, whole numbers to add, and sources that are too small", async () => {
    const [x, one] = [zeros([2, 3]), zeros([])];
    const [list, table] = [fromArray([0, 1], [2], "i32"), fromArray([0, 1], [1, 2], "i32")];
    expect(() => indexSelect(x, 0, table)).toThrow("indexSelect: index [1,2] for x [2,3]: a list of slices of x");
    expect(() => indexSelect(one, 0, list)).toThrow("indexSelect: index [2] for x []");
    const whole = fromArray([1, 2, 3, 4, 5, 6], [2, 3], "i32");
    expect(() => scatterAdd(whole, 1, table, x)).toThrow("scatterAdd: i32; only floats are added. Cast it.");
    expect(() => scatterAdd(x, 1, table, whole)).toThrow("scatterAdd: i32; only floats are added");
    expect(() => scatterAdd(x, 1, table, zeros([2]))).toThrow("scatterAdd: src [2] is smaller than index [1,2]");
    expect(await gather(tensor(5), 0, fromArray([0], [], "i32")).toArray()).toBe(5);
  });
});
