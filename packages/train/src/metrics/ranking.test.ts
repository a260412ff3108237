import { expect, test } from "vitest";
import { averagePrecisionScore, calibration, rocAucScore, rocCurve } from "./ranking.ts";

// Expected values: scikit-learn 1.9 on the same numbers.
const i = Array.from({ length: 40 }, (_, k) => k);
const labels = i.map((k) => Number((k * 7) % 3 === 0));
const scores = i.map((k) => Math.round((Math.sin(k * 1.3) * 0.4 + 0.3 * labels[k]! + 0.5) * 100) / 100);

test("ROC curve, its area and average precision, with ties, are scikit-learn's", () => {
  expect(rocAucScore(labels, scores)).toBeCloseTo(0.7596153846153846, 12);
  expect(averagePrecisionScore(labels, scores)).toBeCloseTo(0.7111757602360514, 12);
  const curve = rocCurve(labels, scores);
  expect(curve).toHaveLength(34);
  expect(curve[5]).toEqual({ threshold: 0.97, falsePositiveRate: 0, truePositiveRate: 5 / 14 });
});

test("a perfect ranking, a reversed one, and one that says nothing", () => {
  expect(rocAucScore([0, 0, 1, 1], [1, 2, 3, 4])).toBe(1);
  expect(rocAucScore([0, 0, 1, 1], [4, 3, 2, 1])).toBe(0);
  expect(rocAucScore([0, 0, 1, 1], [1, 1, 1, 1])).toBe(0.5);
  expect(averagePrecisionScore([0, 0], [1, 2])).toBe(0);
});

test("what can't be ranked is refused", () => {
  expect(() => rocAucScore([1, 1], [0.1, 0.2])).toThrow("rocAucScore: 2 samples of class 1 and 0 of others");
  expect(() => rocAucScore([1, 0], [0.1])).toThrow("the lengths differ: 2 labels and 1 scores");
  expect(() => rocAucScore([1, 0], [0.1, NaN])).toThrow("rocAucScore: the score of sample 1 is NaN");
  expect(() => averagePrecisionScore([1, NaN], [0.1, 0.2])).toThrow("the label of sample 1 is NaN");
});

test("infinite scores are the highest and the lowest", () => {
  expect(rocAucScore([0, 0, 1, 1], [-Infinity, 0.5, 0.5, Infinity])).toBe(0.875);
  expect(rocAucScore([0, 1, 0, 1, 1], [Infinity, Infinity, -Infinity, 0, -Infinity])).toBeCloseTo(0.5, 12);
  expect(averagePrecisionScore([0, 0, 1, 1], [-Infinity, 0.5, 0.5, Infinity])).toBeCloseTo(5 / 6, 12);
});

test("calibration: a confidence that is NaN makes the error NaN, and is in no bin", () => {
  const { error, bins } = calibration([NaN, 0.95, 0.95], [1, 1, 1]);
  expect(error).toBeNaN();
  expect(bins.filter(({ count }) => count > 0)).toEqual([
    { from: 0.9, to: 1, count: 2, confidence: 0.95, accuracy: 1 },
  ]);
  expect(calibration([NaN], [0]).bins.every(({ count }) => count === 0)).toBe(true);
  expect(calibration([], []).error).toBe(0);
});

test("calibration: bins, and the expected error of Guo et al.", () => {
  const confidences = i.map((k) => Math.abs(Math.sin(k * 0.9)) * 0.5 + 0.5);
  const { error, bins } = calibration(
    confidences,
    i.map((k) => (k * 5) % 7 < 5),
  );
  expect(error).toBeCloseTo(0.31591465254553325, 12);
  expect(bins.reduce((n, bin) => n + bin.count, 0)).toBe(40);
  expect(calibration([0, 1], [0, 1]).error).toBe(0);
});
