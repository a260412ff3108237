import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  accuracyScore,
  balancedAccuracyScore,
  cohenKappaScore,
  classificationReport,
  confusionMatrix,
  matthewsCorrcoef,
  precisionRecallF1,
  precisionRecallF1PerClass,
  type Average,
} from "./classification.ts";

test("counts by hand: 3 of 5 right", () => {
  const labels = [0, 0, 1, 1, 1];
  const predictions = [0, 1, 1, 1, 0];
  expect(accuracyScore(labels, predictions)).toBe(0.6);
  expect(confusionMatrix(labels, predictions)).toEqual([
    [1, 1],
    [1, 2],
  ]);
  expect(precisionRecallF1PerClass(labels, predictions)[1]).toEqual({
    label: 1,
    precision: 2 / 3,
    recall: 2 / 3,
    f1: 2 / 3,
    support: 3,
  });
  expect(precisionRecallF1(labels, predictions).f1).toBe(2 / 3);
  expect(precisionRecallF1(labels, predictions, { average: "macro" }).recall).toBeCloseTo((1 / 2 + 2 / 3) / 2, 12);
  expect(matthewsCorrcoef(labels, predictions)).toBeCloseTo((2 * 1 - 1 * 1) / 6, 12);
});

test("the report rounds ties to even, as Python does", () => {
  const report = classificationReport([0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1], { labels: [0, 1] });
  expect(report).toContain("           0       1.00      0.62      0.77         8\n");
});

test("typed arrays, empty input and undefined ratios", () => {
  expect(accuracyScore(new Int32Array([1, 1]), new Uint8Array([1, 0]))).toBe(0.5);
  expect(accuracyScore([], [])).toBe(0);
  expect(precisionRecallF1([0, 0], [0, 0])).toEqual({ precision: 0, recall: 0, f1: 0 });
  expect(matthewsCorrcoef([1, 1], [1, 1])).toBe(0);
});

test("an id that is NaN is of an unknown class: NaN, but what doesn't depend on it", () => {
  const predictions = [0, 1, NaN, 1];
  const labels = [0, 1, 1, 2];
  expect(accuracyScore(labels, predictions)).toBeNaN();
  expect(matthewsCorrcoef(labels, predictions)).toBeNaN();
  for (const average of ["micro", "macro", "weighted"] as const)
    expect(precisionRecallF1(labels, predictions, { average })).toEqual({ precision: NaN, recall: NaN, f1: NaN });
  expect(precisionRecallF1([0, 0], [0, NaN])).toEqual({ precision: NaN, recall: NaN, f1: NaN });
  expect(precisionRecallF1PerClass(labels, predictions).map(({ label, recall, support }) => [label, recall, support])).toEqual([[0, NaN, 1], [1, NaN, 2], [2, NaN, 1]]); // prettier-ignore
  expect(confusionMatrix(labels, predictions)).toEqual([[1, 0, 0], [0, 1, 0], [0, 1, 0]]); // prettier-ignore
  expect(classificationReport(labels, predictions, { labels: [0, 1, 2] })).toMatch(
    / 1 +NaN +NaN +NaN +2\n[^]*accuracy +NaN +4\n/,
  );
  expect(accuracyScore([NaN], [NaN])).toBeNaN();
});

test("errors name both sides", () => {
  expect(() => accuracyScore([1], [1, 0])).toThrow("accuracyScore: the lengths differ: 1 labels and 2 predictions.");
  expect(() => precisionRecallF1([0, 1, 2], [0, 1, 2])).toThrow("classes [0, 1, 2]");
  expect(() => classificationReport([0, 1], [0, 1], { targetNames: ["only"] })).toThrow("1 targetNames for 2 classes");
});

type Case = {
  name: string;
  y_true: number[] | string;
  y_pred: number[] | string;
  labels: number[] | null;
  target_names: string[] | null;
  accuracy: number;
  averages: Record<Average, { precision: number; recall: number; f1: number }>;
  per_class: Record<"precision" | "recall" | "f1" | "support", number[]>;
  confusion_matrix: number[][];
  matthews_corrcoef: number;
  classification_report: Record<string, string>;
};

const golden = join(process.env.GPUGRAD_SHARED ?? "../shared", "reference/optim/metrics.json");
const cases = existsSync(golden) ? (JSON.parse(readFileSync(golden, "utf8")) as { cases: Case[] }).cases : [];

describe.skipIf(cases.length === 0)(`scikit-learn's values (skipped when ${golden} is absent)`, () => {
  const close = (actual: number, expected: number) =>
    expect(!(Math.abs(actual - expected) <= 1e-12 * Math.abs(expected) + 1e-15), `${actual} ≠ ${expected}`).toBe(false);
  const ids = (values: number[] | string) => (typeof values === "string" ? Array.from(values, Number) : values);

  test.each(cases.map((c) => [c.name, c] as const))("%s", (_, c) => {
    const [labels, predictions] = [ids(c.y_true), ids(c.y_pred)];
    const subset = c.labels ? { labels: c.labels } : {};
    close(accuracyScore(labels, predictions), c.accuracy);
    for (const [average, expected] of Object.entries(c.averages)) {
      const got = precisionRecallF1(labels, predictions, { average: average as Average, ...subset });
      for (const key of ["precision", "recall", "f1"] as const) close(got[key], expected[key]);
    }
    const perClass = precisionRecallF1PerClass(labels, predictions, subset);
    for (const key of ["precision", "recall", "f1", "support"] as const) {
      expect(perClass.length).toBe(c.per_class[key].length);
      perClass.forEach((scores, i) => close(scores[key], c.per_class[key][i]!));
    }
    expect(confusionMatrix(labels, predictions, subset)).toEqual(c.confusion_matrix);
    close(matthewsCorrcoef(labels, predictions), c.matthews_corrcoef);
    for (const [name, text] of Object.entries(c.classification_report)) {
      const targetNames = c.target_names ? { targetNames: c.target_names } : {};
      const digits = Number(name.replace("digits", ""));
      expect(classificationReport(labels, predictions, { ...subset, ...targetNames, digits })).toBe(text);
    }
  });
});

test("balanced accuracy and Cohen's kappa are scikit-learn's", () => {
  const [actual, guess] = [[0, 2, 1, 2, 0, 1, 2, 2, 0, 1], [0, 1, 1, 2, 0, 2, 2, 2, 1, 1]]; // prettier-ignore
  expect(balancedAccuracyScore(actual, guess)).toBeCloseTo(0.6944444444444443, 14);
  expect(balancedAccuracyScore([0, 0, 1], [0, 2, 1])).toBe(0.75); // class 2 is in no label
  expect(cohenKappaScore(actual, guess)).toBeCloseTo(0.5454545454545454, 14);
  expect(cohenKappaScore([1, 1], [1, 1])).toBeNaN();
});
