import { describe, expect, test } from "vitest";
import { kFolds, stratifiedFolds } from "./folds.ts";

// Made with scikit-learn 1.9.1: StratifiedKFold(k) and KFold(k), the fold that holds each row out.
const stratified: [labels: number[], folds: number, places: number[]][] = [
  [[0, 1, 0, 1, 1, 1, 0, 1, 2, 2, 1], 3, [0, 0, 1, 0, 1, 1, 2, 2, 0, 1, 2]],
  [[2, 2, 1, 1, 0, 0, 2, 1, 0, 2, 2, 2, 1], 2, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]],
  [[5, 5, 5, 5, 3, 3, 3], 4, [0, 1, 2, 3, 0, 1, 2]],
  [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 5, [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 1]],
];
const plain: [count: number, folds: number, places: number[]][] = [
  [10, 3, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]],
  [7, 7, [0, 1, 2, 3, 4, 5, 6]],
  [12, 5, [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4]],
];

/** How many rows of each label each fold holds out. */
function tally(labels: readonly number[], places: Int32Array): Record<string, number> {
  const counts: Record<string, number> = {};
  labels.forEach((label, i) => (counts[`${label} in ${places[i]}`] = (counts[`${label} in ${places[i]}`] ?? 0) + 1));
  return counts;
}

describe("stratifiedFolds", () => {
  test.each(stratified)("%j in %i folds, as scikit-learn", (labels, folds, places) => {
    expect([...stratifiedFolds(labels, folds)]).toEqual(places);
  });

  test.each(stratified)(
    "%j in %i folds: with a seed, as many of each class, in other places",
    (labels, folds, places) => {
      const wanted = tally(labels, Int32Array.from(places));
      const [one, again, other] = [1, 1, 2].map((seed) => stratifiedFolds(labels, folds, { seed }));
      for (const each of [one, other]) expect(tally(labels, each!)).toEqual(wanted);
      expect(again).toEqual(one);
    },
  );

  test("the seed changes who is where", () => {
    const labels = Array.from({ length: 40 }, (_, i) => i % 2);
    const [one, two] = [1, 2].map((seed) => stratifiedFolds(labels, 5, { seed }));
    expect(one).not.toEqual(two);
    expect(one).not.toEqual(stratifiedFolds(labels, 5));
  });

  test("what can't be divided is refused", () => {
    expect(() => stratifiedFolds([0, 1, 0, 1], 3)).toThrow("3 folds, and no class has more than 2 rows");
    expect(() => stratifiedFolds([0, 1], 1)).toThrow("1 folds; it has to be a whole number of at least 2");
    expect(() => kFolds(3, 4)).toThrow("4 folds of 3 rows");
    expect(() => kFolds(9, 2.5)).toThrow("2.5 folds");
  });
});

describe("kFolds", () => {
  test.each(plain)("%i rows in %i folds, as scikit-learn; with a seed shuffled", (count, folds, places) => {
    expect([...kFolds(count, folds)]).toEqual(places);
    const shuffled = kFolds(count, folds, { seed: 3 });
    expect([...shuffled].sort((a, b) => a - b)).toEqual(places);
    expect(kFolds(count, folds, { seed: 3 })).toEqual(shuffled);
  });

  test("the seed changes who is where", () =>
    expect(kFolds(40, 5, { seed: 1 })).not.toEqual(kFolds(40, 5, { seed: 2 })));
});
