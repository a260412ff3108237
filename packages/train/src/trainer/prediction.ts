import type { Dataset } from "../data/dataset.ts";
import { accuracyScore, matthewsCorrcoef, precisionRecallF1 } from "../metrics/classification.ts";
import { averagePrecisionScore, calibration, rocAucScore } from "../metrics/ranking.ts";
import { meanAbsoluteError, meanSquaredError, pearsonr, spearmanr } from "../metrics/regression.ts";

/** What a model says of a dataset, row by row. */
export interface Predictions {
  /** Logits, row-major `[rows, numLabels]`. */
  predictions: Float32Array;
  numLabels: number;
  /** Class with the largest logit per row, or with the first that is NaN, as `torch.argmax`; of a regression, 0. */
  classes: Int32Array;
  /** Probability (softmax) of that class; of a regression, the prediction itself. */
  scores: Float32Array;
  /** Class ids, or numbers of a regression; undefined where not every row has one. */
  labels: number[] | undefined;
}

/** What `predict()` and `evaluate()` give. */
export interface PredictionOutput extends Predictions {
  /** What was predicted: row i of the predictions is row i of this. */
  dataset: Dataset;
  /** `eval_loss`, `eval_accuracy`, …, under Transformers' names; `test_` in place of `eval_` for `predict()`. */
  metrics: Record<string, number>;
}

/** Metrics of labelled predictions, by their names without a prefix. */
export type ComputeMetrics = (
  predictions: Predictions & { labels: number[] },
) => Record<string, number> | Promise<Record<string, number>>;

/** Classes and scores of logits `[rows, numLabels]`. */
export function predictionsOf(predictions: Float32Array, numLabels: number, labels: number[] | undefined): Predictions {
  const rows = predictions.length / numLabels;
  const logitsOf = (i: number): Float32Array => predictions.subarray(i * numLabels, (i + 1) * numLabels);
  const classes = Int32Array.from({ length: rows }, (_, i) => argmax(logitsOf(i)));
  const scores = numLabels === 1 ? predictions.slice() : Float32Array.from(classes, (c, i) => softmax(logitsOf(i))[c]!);
  return { predictions, numLabels, classes, scores, labels };
}

/** Probabilities of a row of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const most = Math.max(...values);
  const powers = values.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The rows of which a logit is NaN or infinite. */
export function nonFiniteRows({ predictions, numLabels }: Pick<Predictions, "predictions" | "numLabels">): number[] {
  const rows = new Set<number>();
  predictions.forEach((logit, i) => void (Number.isFinite(logit) || rows.add(Math.floor(i / numLabels))));
  return [...rows];
}

/** The class of each row as metrics take it: NaN where a logit is NaN, and nobody knows which is the largest. */
export function predictedClasses({
  predictions,
  numLabels,
  classes,
}: Pick<Predictions, "predictions" | "numLabels" | "classes">): number[] {
  return Array.from(classes, (id, i) =>
    predictions.subarray(i * numLabels, (i + 1) * numLabels).some(Number.isNaN) ? NaN : id,
  );
}

/**
 * The metrics there are unless `computeMetrics` says otherwise. Classes: accuracy, macro precision, recall and F1, Matthews' correlation, calibration error,
 * and with two of them ROC-AUC and average precision. Regression: mean squared and absolute error, Pearson, Spearman.
 *
 * Where logits of a row are NaN, so are all metrics; where one is infinite, those that need probabilities, which are then NaN as in PyTorch.
 */
export const defaultMetrics: ComputeMetrics = (found) => {
  const { predictions, numLabels, scores, labels } = found;
  if (numLabels === 1) {
    return {
      mse: meanSquaredError(labels, predictions),
      mae: meanAbsoluteError(labels, predictions),
      pearson: pearsonr(labels, predictions),
      spearman: spearmanr(labels, predictions),
    };
  }
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
};

/** The names of {@link defaultMetrics}, and of the loss. */
export function defaultMetricNames(numLabels: number): string[] {
  const labels = [0, 1];
  const predictions = Float32Array.from({ length: 2 * numLabels }, (_, i) => Number(i % (numLabels + 1) === 0));
  return ["loss", ...Object.keys(defaultMetrics({ ...predictionsOf(predictions, numLabels, labels), labels }))];
}

/** Multiplications and additions of a training step per token: 6 for each parameter that is no embedding (2 forward, 4 backward). */
export function flosPerToken(parameters: Iterable<readonly [name: string, parameter: { size: number }]>): number {
  let count = 0;
  for (const [name, { size }] of parameters) if (!/_embeddings\.weight$/.test(name)) count += size;
  return 6 * count;
}

function argmax(values: Float32Array): number {
  const unknown = values.findIndex(Number.isNaN);
  if (unknown >= 0) return unknown;
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
