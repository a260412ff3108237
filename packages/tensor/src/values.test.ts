import { expect, test } from "vitest";
import { didYouMean } from "./did-you-mean.ts";
import { tensor } from "./factories.ts";
import { broadcastShapes, broadcastStrides, resolveDim, stridesOf } from "./shape.ts";
import { withDevice } from "./testing/check-op.ts";
import { showValue } from "./values.ts";

withDevice();

test("a value is shown as a program would write it, cut where it is long", () => {
  const shown: [unknown, string][] = [
    ["a".repeat(60), `"${"a".repeat(60)}"`],
    ["a".repeat(61), `"${"a".repeat(60)}…"`],
    ['say "hi"', '"say \\"hi\\""'],
    [function named() {}, "the function named"],
    [
      (
        () => () =>
          1
      )(),
      "a function",
    ],
    [5n, "5n"],
    [null, "null"],
    [undefined, "undefined"],
    [NaN, "NaN"],
    [true, "true"],
    [tensor([1, 2]), "Tensor([2] f32, user)"],
    [[1, [2, [3]]], "[1, [2, […]]]"],
    [[1, 2, 3, 4, 5, 6], "[1, 2, 3, 4, 5, 6]"],
    [[1, 2, 3, 4, 5, 6, 7], "[1, 2, 3, 4, 5, 6, …]"],
    [new Map(), "a Map"],
    [new Float32Array(2), "a Float32Array"],
    [{ a: 1, b: 2 }, "{ a, b }"],
    [Object.fromEntries("abcdefgh".split("").map((key) => [key, 1])), "{ a, b, c, d, e, f }"],
    [Object.create(null), "{  }"],
    [{ gradNode: 1 }, "{ gradNode }"],
    [{ dtype: 1 }, "{ dtype }"],
  ];
  for (const [value, text] of shown) expect(showValue(value)).toBe(text);
});

test("a name is suggested where one is near, without regard to case and dashes", () => {
  expect(didYouMean("any", [])).toBe("");
  expect(didYouMean("learningrate", ["learning_rate", "other"])).toBe(" Did you mean learning_rate?");
  expect(didYouMean("EPS", ["eps"])).toBe(" Did you mean eps?");
  expect(didYouMean("abc", ["ade"])).toBe(" Did you mean ade?"); // two letters differ
  expect(didYouMean("abc", ["def"])).toBe("");
  expect(didYouMean("abcdefghixyz", ["abcdefghijkl"])).toBe(" Did you mean abcdefghijkl?"); // a third of twelve
  expect(didYouMean("abcdefgvwxyz", ["abcdefghijkl"])).toBe("");
});

test("dimensions: negative ones from the end, a scalar has one, others are refused with the range", () => {
  expect([resolveDim("op", -1, 3), resolveDim("op", 2, 3), resolveDim("op", -3, 3)]).toEqual([2, 2, 0]);
  expect([resolveDim("op", 0, 0), resolveDim("op", -1, 0)]).toEqual([0, 0]);
  for (const [dim, rank, range] of [
    [3, 3, "-3 to 2"],
    [-4, 3, "-3 to 2"],
    [0.5, 3, "-3 to 2"],
    [1, 0, "-1 to 0"],
  ] as const)
    // prettier-ignore
    expect(() => resolveDim("op", dim, rank)).toThrow(
      `op: dim ${dim} is out of range for a tensor of ${rank} dimensions: it may be ${range}.`,
    );
});

test("shapes broadcast from the right, with stride 0 where one is repeated", () => {
  expect(broadcastShapes("op", [3, 1], [1, 4], [])).toEqual([3, 4]);
  expect(broadcastShapes("op", [1], [0])).toEqual([0]);
  expect(broadcastShapes("op")).toEqual([]);
  expect(() => broadcastShapes("op", [2, 3], [4])).toThrow(
    "op: shapes don't broadcast: [2,3] and [4]. Aligned at the right, sizes have to be equal or 1 (3 meets 4).",
  );
  expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
  expect(broadcastStrides([3, 1], [2, 3, 4])).toEqual([0, 1, 0]);
  expect(broadcastStrides([2, 3, 4], [2, 3, 4])).toEqual([12, 4, 1]);
});
