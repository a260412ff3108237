import { expect, test } from "vitest";
import { kendallTau, meanAbsoluteError, meanSquaredError, pearsonr, r2Score, spearmanr } from "./regression.ts";

// Expected values: scikit-learn 1.9 and SciPy on the same numbers.
const labels = Array.from({ length: 40 }, (_, k) => Math.sin(k * 0.7) * 3);
const predictions = labels.map((y, k) => Math.round((y + Math.cos(k * 2.1)) * 10) / 10);

test("errors and correlations", () => {
  expect(meanSquaredError(labels, predictions)).toBeCloseTo(0.5143628332641377, 12);
  expect(meanAbsoluteError(labels, predictions)).toBeCloseTo(0.6697258188335956, 12);
  expect(pearsonr(labels, predictions)).toBeCloseTo(0.94729326006477, 12);
  const tied = labels.map((y) => Math.round(y * 10) / 10);
  expect(spearmanr(tied, predictions)).toBeCloseTo(0.9447324161903631, 12);
});

test.each([NaN, Infinity, -Infinity])("%d among the values: what SciPy gives", (odd) => {
  const odds = [...predictions.slice(0, 39), odd];
  expect(meanSquaredError(labels, odds)).toBe(Math.abs(odd));
  expect(meanAbsoluteError(odds, labels)).toBe(Math.abs(odd));
  expect(pearsonr(labels, odds)).toBeNaN();
  const rank = spearmanr([1, 2, 3, 4, 5], [2, 1, odd, 4, 3]);
  if (Number.isNaN(odd)) expect(rank).toBeNaN();
  else expect(rank).toBeCloseTo(0.5, 12);
});

test("one row", () => {
  expect(meanSquaredError([1], [3])).toBe(4);
  expect([pearsonr([1], [3]), spearmanr([1], [3])]).toEqual([NaN, NaN]);
});

test("a constant has no correlation; nothing can't be scored", () => {
  expect(pearsonr([1, 1], [1, 2])).toBeNaN();
  expect(() => meanSquaredError([], [])).toThrow("0 labels and 0 predictions");
  expect(() => spearmanr([1], [1, 2])).toThrow("1 labels and 2 predictions");
});

test("R² and Kendall's τ are scikit-learn's and SciPy's", () => {
  expect(r2Score(labels, predictions)).toBeCloseTo(0.8854404328805671, 12);
  expect(kendallTau(labels.map(Math.floor), predictions.map(Math.floor))).toBeCloseTo(0.8153631355348744, 12);
  expect([r2Score([2, 2], [2, 2]), r2Score([2, 2], [2, 3]), kendallTau([1, 1], [1, 2])]).toEqual([1, 0, NaN]);
});
