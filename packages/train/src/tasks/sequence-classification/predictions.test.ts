import { describe, expect, test } from "vitest";
import { defaultMetrics } from "./metrics.ts";
import { nonFiniteRows, predictedClasses, predictionsOf } from "./predictions.ts";

const metricsOf = async (logits: number[], labels: number[], numLabels = 2): Promise<Record<string, number>> =>
  defaultMetrics({ ...predictionsOf(Float32Array.from(logits), numLabels, labels), labels });

const namesOf = (metrics: Record<string, number>, are: (value: number) => boolean): string[] =>
  Object.keys(metrics).filter((name) => are(metrics[name]!));

const TWO = ["accuracy", "precision", "recall", "f1", "mcc", "calibration_error", "roc_auc", "average_precision"];

describe("metrics of logits that aren't finite", () => {
  test.each([
    ["in one row", [0, 1, NaN, 2, 3, 0, 1, 0]],
    ["in a place that isn't the largest", [0, 1, 2, NaN, 3, 0, 1, 0]],
    ["in all rows", [NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN]],
  ])("NaN %s: all are NaN", async (_, logits) => {
    const metrics = await metricsOf(logits, [1, 1, 0, 0]);
    expect(Object.keys(metrics)).toEqual(TWO);
    expect(namesOf(metrics, Number.isNaN)).toEqual(TWO);
  });

  test("infinite: the classes are known; probabilities aren't, where they are ∞ − ∞", async () => {
    const metrics = await metricsOf([0, Infinity, 1, 0, 1, 0, 0, 1], [1, 0, 0, 1]);
    expect(metrics["accuracy"]).toBe(1);
    expect(namesOf(metrics, Number.isNaN)).toEqual(["calibration_error", "roc_auc", "average_precision"]);
    const below = await metricsOf([0, -Infinity, 1, 0, 1, 0, 0, 1], [0, 0, 0, 1]); // a probability of 0
    expect(namesOf(below, Number.isNaN)).toEqual([]);
    expect([below["accuracy"], below["roc_auc"]]).toEqual([1, 1]);
  });

  test("of more classes, one class, one row, and of a regression", async () => {
    const three = await metricsOf([0, 1, NaN, 2, 1, 0], [1, 0], 3);
    expect(namesOf(three, Number.isNaN)).toEqual(TWO.slice(0, 6));
    const one = await metricsOf([NaN, 0], [1]);
    expect(namesOf(one, Number.isNaN)).toEqual(TWO.slice(0, 6));
    const regression = await metricsOf([1, NaN, 3], [1, 2, 3], 1);
    expect(namesOf(regression, Number.isNaN)).toEqual(["mse", "mae", "pearson", "spearman"]);
    const label = await metricsOf([1, 2, 3], [1, NaN, 3], 1);
    expect(namesOf(label, Number.isNaN)).toEqual(["mse", "mae", "pearson", "spearman"]);
  });

  test("one row with finite logits, and one class, have the metrics they can have", async () => {
    expect(await metricsOf([0, 1], [1])).toEqual({ accuracy: 1, precision: 1, recall: 1, f1: 1, mcc: 0, calibration_error: expect.closeTo(1 - 1 / (1 + Math.exp(-1)), 6) as number }); // prettier-ignore
  });
});

test("the largest logit is the first NaN, as torch.argmax has it; those rows are named", () => {
  const found = predictionsOf(Float32Array.of(3, NaN, NaN, 5, 1, 2, Infinity, NaN, 0, 1, Infinity, 0), 3, undefined);
  expect([...found.classes]).toEqual([1, 0, 1, 1]);
  expect([...found.scores].map(Number.isNaN)).toEqual([true, false, true, true]);
  expect(nonFiniteRows(found)).toEqual([0, 2, 3]);
  expect(predictedClasses(found)).toEqual([NaN, 0, NaN, 1]);
});
