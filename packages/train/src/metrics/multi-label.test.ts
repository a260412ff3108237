import { expect, test } from "vitest";
import {
  hammingLoss,
  labelRankingAveragePrecision,
  multiLabelF1,
  multiLabelScores,
  subsetAccuracy,
} from "./multi-label.ts";

// Seven rows of four classes, the last class in no row, two rows without any; the numbers are scikit-learn 1.9.1's, zero_division=0.
const labels = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]].flat(); // prettier-ignore
const predicted = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]].flat(); // prettier-ignore
const classes = 4;

test.each([
  ["micro", { precision: 2 / 3, recall: 0.75, f1: 0.7058823529411765 }],
  ["macro", { precision: 0.5833333333333333, recall: 0.5833333333333333, f1: 0.5666666666666667 }],
  ["samples", { precision: 0.42857142857142855, recall: 0.5, f1: 0.4285714285714285 }],
] as const)("%s averages are scikit-learn's", (average, expected) => {
  const found = multiLabelF1(labels, predicted, { classes, average });
  for (const name of ["precision", "recall", "f1"] as const) expect(found[name]).toBeCloseTo(expected[name], 14);
});

test("each class by itself, and the share of rows that are all right", () => {
  expect(multiLabelScores(labels, predicted, classes).map(({ f1, support }) => [f1, support])).toEqual([
    [2 / 3, 3],
    [0.8, 2],
    [0.8, 3],
    [0, 0],
  ]);
  expect(subsetAccuracy(labels, predicted, classes)).toBe(3 / 7);
});

test("what isn't rows of so many classes is refused", () => {
  expect(() => subsetAccuracy([1, 0, 1], [1, 0, 1], 2)).toThrow(/subsetAccuracy: .*rows of 2 classes: 3 · 3 values/);
  expect(() => multiLabelF1([1, 0], [1], { classes: 2, average: "micro" })).toThrow(/2 · 1 values/);
});

test("the weighted average, hamming loss and label ranking are scikit-learn's", () => {
  const { precision, recall, f1 } = multiLabelF1(labels, predicted, { classes, average: "weighted" });
  expect([precision, recall, f1]).toEqual(
    [0.7916666666666666, 0.75, 0.75].map((value) => expect.closeTo(value, 14) as unknown),
  );
  expect(hammingLoss(labels, predicted, classes)).toBeCloseTo(0.17857142857142858, 14);
  const scores = Array.from({ length: 28 }, (_, i) => Math.round(10 * Math.sin(1.7 * i)) / 10); // two of them are equal
  expect(labelRankingAveragePrecision(labels, scores, classes)).toBeCloseTo(0.7341269841269841, 14);
});
