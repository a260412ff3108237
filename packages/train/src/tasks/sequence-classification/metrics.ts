import { accuracyScore, matthewsCorrcoef, precisionRecallF1 } from "../../metrics/classification.ts";
import { averagePrecisionScore, calibration, rocAucScore } from "../../metrics/ranking.ts";
import { meanAbsoluteError, meanSquaredError, pearsonr, spearmanr } from "../../metrics/regression.ts";
import { predictedClasses, predictionsOf, softmax, type Predictions } from "./predictions.ts";

type Labelled = Predictions & { labels: number[] };

/** Mean squared and absolute error, Pearson, Spearman. Where a prediction is NaN, so are all of them. */
export function regressionMetrics({ predictions, labels }: Labelled): Record<string, number> {
  return {
    mse: meanSquaredError(labels, predictions),
    mae: meanAbsoluteError(labels, predictions),
    pearson: pearsonr(labels, predictions),
    spearman: spearmanr(labels, predictions),
  };
}

/**
 * Accuracy, macro precision, recall and F1, Matthews' correlation, calibration error, and with two classes ROC-AUC and average precision.
 *
 * Where logits of a row are NaN, so are all metrics; where one is infinite, those that need probabilities, which are then NaN as in PyTorch.
 */
export function classMetrics(found: Labelled): Record<string, number> {
  const { predictions, numLabels, scores, labels } = found;
  const classes = predictedClasses(found);
  const { precision, recall, f1 } = precisionRecallF1(labels, classes, { average: "macro" });
  const right = labels.map((label, i) => label === classes[i]);
  const metrics = {
    accuracy: accuracyScore(labels, classes),
    ...{ precision, recall, f1, mcc: matthewsCorrcoef(labels, classes) },
    calibration_error: calibration(scores, right).error,
  };
  if (numLabels !== 2 || new Set(labels).size !== 2) return metrics;
  const ofOne = labels.map((_, i) => softmax(predictions.subarray(2 * i, 2 * i + 2))[1]!);
  if (ofOne.some(Number.isNaN)) return { ...metrics, roc_auc: NaN, average_precision: NaN };
  return { ...metrics, roc_auc: rocAucScore(labels, ofOne), average_precision: averagePrecisionScore(labels, ofOne) };
}

/** The metrics of a classifier, or with one label of a regression. */
export const defaultMetrics = (found: Labelled): Record<string, number> =>
  found.numLabels === 1 ? regressionMetrics(found) : classMetrics(found);

/** The names of {@link defaultMetrics}, and of the loss. */
export function defaultMetricNames(numLabels: number): string[] {
  const labels = [0, 1];
  const predictions = Float32Array.from({ length: 2 * numLabels }, (_, i) => Number(i % (numLabels + 1) === 0));
  return ["loss", ...Object.keys(defaultMetrics({ ...predictionsOf(predictions, numLabels, labels), labels }))];
}
