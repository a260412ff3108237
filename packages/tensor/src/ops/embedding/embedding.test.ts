import { describe, expect, test } from "vitest";
import { Generator } from "../../random.ts";
import { scope } from "../../scope.ts";
import { fromArray } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, randomNormal, withDevice, withGpuKernels } from "../../testing/check-op.ts";
import { arange, ones, zeros } from "../create/create.ts";
import { addRows } from "../index/rows.ts";
import { bertEmbeddings, bertEmbeddingsNorm, embedding } from "./embedding.ts";
import { bertEmbeddingsNormReference, bertEmbeddingsReference, embeddingReference } from "./embedding.reference.ts";

const ids = (count: number, n: number): number[] => Array.from({ length: count }, (_, i) => (i * i + 3 * i) % n);

checkOp(embedding, embeddingReference, {
  cases: [
    { shapes: [[1, 1], [1]], values: [undefined, [0]], dtypes: ["f32", "i32"] },
    {
      shapes: [
        [7, 5],
        [2, 9],
      ],
      values: [undefined, ids(18, 7)],
      dtypes: ["f32", "u32"],
    },
    { shapes: [[3, 8], [140]], values: [undefined, ids(140, 3)], dtypes: ["f32", "i32"], note: "long runs" },
    {
      shapes: [
        [3, 8],
        [2, 0],
      ],
      values: [undefined, []],
      dtypes: ["f32", "i32"],
    },
  ],
});

const dtypes = ["f32", "f32", "f32", "i32", "i32"] as const;
checkOp(bertEmbeddings, bertEmbeddingsReference, {
  cases: [
    {
      shapes: [[6, 3], [5, 3], [2, 3], [2, 4], [2, 4]], // prettier-ignore
      values: [undefined, undefined, undefined, ids(8, 6), [0, 0, 1, 1, 0, 1, 1, 1]],
      dtypes: [...dtypes],
    },
    {
      shapes: [[6, 8], [3, 8], [2, 8], [3, 3], [3, 3]], // prettier-ignore
      values: [undefined, undefined, undefined, ids(9, 6), ids(9, 2)],
      dtypes: [...dtypes],
    },
    {
      shapes: [[4, 66], [3, 66], [2, 66], [2, 3], [2, 3]], // prettier-ignore
      values: [undefined, undefined, undefined, ids(6, 4), ids(6, 2)],
      dtypes: [...dtypes],
      note: "several workgroups",
    },
  ],
});

/** A generator that gives the same numbers every time. */
const sameAgain = Object.assign(new Generator(0), {
  draw: (n: number) => new Generator(5).draw(n),
  words: (n: number) => new Generator(5).words(n),
});
const checkNorm = (): void =>
  checkOp(bertEmbeddingsNorm, bertEmbeddingsNormReference, {
    cases: [3, 8, 36].flatMap((C) =>
      [0, 0.3, 1].map((dropoutP) => ({
        shapes: [[6, C], [5, C], [2, C], [C], [C], [2, 4], [2, 4]], // prettier-ignore
        values: [...new Array<undefined>(5).fill(undefined), ids(8, 6), [0, 0, 1, 1, 0, 1, 1, 1]],
        dtypes: ["f32", "f32", "f32", "f32", "f32", "i32", "i32"] as const,
        args: [{ eps: 1e-12, dropoutP, generator: sameAgain }],
        ...(C === 3 && { atol: 1e-5 }), // rows of three are nearly constant now and then
      })),
    ),
    together: [["weight", "bias"]],
  });
checkNorm();
withGpuKernels(checkNorm);

describe("embedding", () => {
  withDevice();

  test("the tape gets the tables, and what the norm multiplies and adds", () => {
    const tables = [zeros([3, 4]), zeros([2, 4]), zeros([2, 4])] as const;
    const [weight, bias, places] = [ones([4]), zeros([4]), zeros([1, 2], { dtype: "i32" })];
    const { inputs } = bertEmbeddingsNorm.definition.forward(...tables, weight, bias, places, places);
    expect(inputs).toEqual({ word: tables[0], position: tables[1], tokenType: tables[2], weight, bias });
  });

  test("the gradient of a large table: sums in float64's neighbourhood, the same bits every time, none for padding", async () => {
    const [rows, width, count] = [500, 12, 5000]; // every id occurs about ten times
    const dyData = Float32Array.from(randomNormal(count * width, 5));
    const list = ids(count, rows);
    const padding = list[3]!;
    expect(list.filter((id) => id === padding).length).toBeGreaterThan(1);
    const want = new Float64Array(rows * width);
    list.forEach((id, i) => {
      if (id === padding) return;
      for (let c = 0; c < width; c++) want[id * width + c]! += dyData[i * width + c]!;
    });
    const backward = embedding.definition.backward as (saved: unknown, dy: Tensor) => { weight: Tensor };
    const gradient = () =>
      scope(() => {
        const indices = fromArray(list, [count], "i32");
        const { saved } = embedding.definition.forward(zeros([rows, width]), indices, { paddingIdx: padding });
        return backward(saved, fromArray(dyData, [count, width])).weight;
      });
    const first = await gradient().data();
    expectClose(first, want, { rtol: 1e-6, atol: 1e-5 }, "dweight");
    expect(first.subarray(padding * width, (padding + 1) * width).every((v) => v === 0)).toBe(true);
    expect(await gradient().data()).toEqual(first);
  });

  test.each([
    [1, 4, 300],
    [2, 4, 4096],
    [2, 3, 4097],
    [40_000, 4, 65],
    [40_000, 4, 20_000],
    [130, 8, 257],
  ])("the gradient of a table of %i rows of %i, named by %i ids", async (rows, width, count) => {
    const dy = Float32Array.from(randomNormal(count * width, count));
    // Most ids are drawn afresh, some are repeated everywhere, and some are outside the table.
    const list = Array.from(randomNormal(count, rows), (v, i) => {
      if (i % 7 === 0) return rows - 1;
      if (i % 31 === 0) return i % 2 ? -1 : rows;
      return Math.floor(Math.abs(v) * 1e6) % rows;
    });
    const want = new Float64Array(rows * width);
    list.forEach((id, i) => {
      if (id < 0 || id >= rows) return;
      for (let c = 0; c < width; c++) want[id * width + c]! += dy[i * width + c]!;
    });
    const dx = scope(
      () =>
      addRows(fromArray(dy, [count, width]), fromArray(list, [count], "i32"), [rows, width], { outer: 1, n: rows, inner: width }), // prettier-ignore
    );
    expectClose(await dx.data(), want, { rtol: 1e-6, atol: 1e-6 * count }, "dweight");
    dx.dispose();
  });

  test("positions given, and what is out of range", async () => {
    const word = arange(8).alias([4, 2]);
    const [position, types] = [arange(6).alias([3, 2]), zeros([1, 2], { dtype: "i32" })];
    const options = { positionIds: fromArray([2, 0], [1, 2], "i32") };
    const y = bertEmbeddings(word, position, ones([1, 2]), fromArray([3, 1], [1, 2], "i32"), types, options);
    expect(await y.toArray()).toEqual([[[11, 13], [3, 5]]]); // prettier-ignore
    const outside = fromArray([0, 4], [2], "i32");
    expect(await embedding(word, outside).toArray()).toEqual([[0, 1], [NaN, NaN]]); // prettier-ignore
  });

  test.each([256, 264, 300, 127])("rows of %i are picked and added up whole", async (width) => {
    const table = (rows: number, seed: number): Float32Array => Float32Array.from(randomNormal(rows * width, seed));
    const [word, position, type] = [table(9, 1), table(5, 2), table(2, 3)];
    const [list, types] = [ids(10, 9), ids(10, 2)];
    const on = (data: Float32Array): Tensor => fromArray(data, [data.length / width, width]);
    const [placed, kinds] = [fromArray(list, [2, 5], "i32"), fromArray(types, [2, 5], "i32")];
    const want = Float64Array.from(
      { length: 10 * width },
      (_, i) => word[list[Math.floor(i / width)]! * width + (i % width)]!,
    );
    expectClose(await embedding(on(word), placed).data(), want, { rtol: 0, atol: 0 }, "embedding");
    const y = await bertEmbeddings(on(word), on(position), on(type), placed, kinds).data();
    const sum = want.map((v, i) => {
      const [row, c] = [Math.floor(i / width), i % width];
      return v + type[types[row]! * width + c]! + position[(row % 5) * width + c]!;
    });
    expectClose(y, sum, { rtol: 1e-6, atol: 1e-6 }, "bert embeddings");
  });

  test("errors name the table", () => {
    const index = zeros([1, 4], { dtype: "i32" });
    expect(() => embedding(zeros([3]), index)).toThrow("embedding: weight is [3] f32");
    expect(() => embedding(zeros([3, 2]), zeros([1]))).toThrow("embedding: the index is f32");
    expect(() => embedding(zeros([3, 2]), index, { paddingIdx: 3 })).toThrow("embedding: paddingIdx 3 is not a row");
    expect(() => bertEmbeddings(zeros([3, 2]), zeros([3, 2]), zeros([2, 2]), index, index)).toThrow(
      "bertEmbeddings: 4 tokens, but position has 3 rows. Truncate the input.",
    );
  });

  test("refuse tables of other rows, and places of other shapes", () => {
    const index = zeros([1, 2], { dtype: "i32" });
    const [w, p] = [zeros([3, 2]), zeros([2, 2])];
    expect(() => bertEmbeddings(w, zeros([2, 3]), p, index, index)).toThrow(
      "bertEmbeddings: position is [2,3], word [3,2]: rows of different length",
    );
    for (const [weight, bias, name] of [
      [zeros([3]), zeros([2]), "weight"],
      [zeros([2]), zeros([3]), "bias"],
    ] as const)
      // prettier-ignore
      expect(() => bertEmbeddingsNorm(w, p, p, weight, bias, index, index)).toThrow(`bertEmbeddingsNorm: ${name} is [3]`);
    const [flat, long] = [zeros([2], { dtype: "i32" }), zeros([1, 3], { dtype: "i32" })];
    for (const [ids, types, positionIds] of [
      [flat, flat, undefined],
      [index, long, undefined],
      [index, index, long],
    ] as const)
      // prettier-ignore
      expect(() => bertEmbeddings(w, p, p, ids, types, { positionIds })).toThrow("all are [B,T].");
    for (const paddingIdx of [-4, 3, 0.5])
      expect(() => embedding(w, index, { paddingIdx })).toThrow(
        `paddingIdx ${paddingIdx} is not a row of a table of 3 rows`,
      );
  });

  test("gradients of given positions, and none for the padding row, counted from the end too", async () => {
    const [w, p, types] = [zeros([3, 1]), zeros([3, 1]), zeros([1, 3], { dtype: "i32" })];
    const ids = fromArray([2, 0, 2], [1, 3], "i32");
    const positionIds = fromArray([1, 1, 0], [1, 3], "i32");
    const backward = bertEmbeddings.definition.backward as (
      s: unknown,
      dy: Tensor,
      needs: object,
    ) => Record<string, Tensor | undefined>;
    const dy = fromArray([1, 10, 100], [1, 3, 1]);
    const needs = { word: true, position: true, tokenType: true };
    for (const paddingIdx of [undefined, null, -1, 2, -3]) {
      const { saved } = bertEmbeddings.definition.forward(w, p, zeros([1, 1]), ids, types, { positionIds, paddingIdx });
      const got = backward(saved, dy, needs);
      const row = paddingIdx === undefined || paddingIdx === null ? -1 : paddingIdx < 0 ? paddingIdx + 3 : paddingIdx;
      expect(await got["word"]!.toArray()).toEqual([[10], [0], [101]].map((v, i) => (i === row ? [0] : v)));
      expect(await got["position"]!.toArray()).toEqual([[100], [11], [0]]);
      expect(await got["tokenType"]!.toArray()).toEqual([[111]]);
    }
  });
});
