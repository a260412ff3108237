import type { Batch, NamedArray } from "../../data/batch.ts";
import type { Evaluated } from "../task.ts";

/** What a model says of a dataset, row by row. */
export interface Predictions {
  /** Logits, row-major `[rows, numLabels]`. */
  predictions: Float32Array;
  numLabels: number;
  /** Class with the largest logit per row, or with the first that is NaN, as `torch.argmax`; of a regression, 0. */
  classes: Int32Array;
  /** Probability of that class: softmax, or with several labels for a row sigmoid; of a regression, the prediction itself. */
  scores: Float32Array;
  /**
   * Class ids, or numbers of a regression; with several labels for a row, 1 for its classes and 0 for the others, row-major `[rows, numLabels]`.
   * Undefined where not every row has one.
   */
  labels: number[] | undefined;
}

/** What `predict()` and `evaluate()` give. */
export type PredictionOutput = Evaluated<Predictions>;

/** Metrics of labelled predictions, by their names without a prefix. */
export type ComputeMetrics = (
  predictions: Predictions & { labels: number[] },
) => Record<string, number> | Promise<Record<string, number>>;

/** The logits of a row, and its labels: one, or one for each class. */
export interface RowPrediction {
  logits: Float32Array;
  labels: ArrayLike<number> | undefined;
}

/** The logits and labels of a batch, row by row. */
export function rowsOf(
  { logits }: Readonly<Record<string, NamedArray>>,
  { arrays: { labels }, rows }: Batch,
): RowPrediction[] {
  const rowOf = <T extends NamedArray["data"]>(data: T, b: number): T =>
    data.subarray((b * data.length) / rows.length, ((b + 1) * data.length) / rows.length) as T;
  return rows.map((_, b) => ({
    logits: rowOf(logits!.data as Float32Array, b),
    labels: labels && rowOf(labels.data, b),
  }));
}

/** The logits of all rows in one piece, and their labels. */
export function joined(rows: readonly RowPrediction[]): { predictions: Float32Array; labels: number[] | undefined } {
  const width = rows[0]?.logits.length ?? 0;
  const predictions = new Float32Array(rows.length * width);
  rows.forEach(({ logits }, i) => predictions.set(logits, i * width));
  const labelled = rows.length > 0 && rows.every(({ labels }) => labels);
  return { predictions, labels: labelled ? rows.flatMap(({ labels }) => Array.from(labels!)) : undefined };
}

/** Classes and scores of logits `[rows, numLabels]`. */
export function predictionsOf(
  predictions: Float32Array,
  numLabels: number,
  labels: number[] | undefined,
  probabilities: (logits: Float32Array) => ArrayLike<number> = softmax,
): Predictions {
  const rows = predictions.length / numLabels;
  const logitsOf = (i: number): Float32Array => predictions.subarray(i * numLabels, (i + 1) * numLabels);
  const classes = Int32Array.from({ length: rows }, (_, i) => argmax(logitsOf(i)));
  const scores =
    numLabels === 1 ? predictions.slice() : Float32Array.from(classes, (c, i) => probabilities(logitsOf(i))[c]!);
  return { predictions, numLabels, classes, scores, labels };
}

/** Probabilities of a row of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity); // a vocabulary is too long for a call's arguments
  const powers = values.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Probabilities of logits, each by itself. */
export const sigmoid = (logits: ArrayLike<number>): number[] =>
  Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));

/** The rows of which a logit is NaN or infinite. */
export function nonFiniteRows({ predictions, numLabels }: Pick<Predictions, "predictions" | "numLabels">): number[] {
  const rows = new Set<number>();
  predictions.forEach((logit, i) => void (Number.isFinite(logit) || rows.add(Math.floor(i / numLabels))));
  return [...rows];
}

/** The labelled rows whose numbers are all finite, and how many there are. */
export function finiteRows({ predictions, numLabels, classes, labels }: Predictions): {
  finite: number[];
  counts: { rows: number; nonFinite: number };
} {
  const rows = classes.length;
  const bad = new Set(nonFiniteRows({ predictions, numLabels }));
  const width = (labels?.length ?? 0) / rows;
  labels?.forEach((label, i) => void (Number.isFinite(label) || bad.add(Math.floor(i / width))));
  const finite = labels ? Array.from({ length: rows }, (_, i) => i).filter((i) => !bad.has(i)) : [];
  return { finite, counts: { rows, nonFinite: labels ? rows - finite.length : 0 } };
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

function argmax(values: Float32Array): number {
  const unknown = values.findIndex(Number.isNaN);
  if (unknown >= 0) return unknown;
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
