/**
 * Classification metrics with scikit-learn's definitions and numbers.
 *
 * Everything is counted once, per class: tp (right), predicted (column sum) and actual (row sum). Then
 *
 *     precision = tp / predicted     recall = tp / actual     F1 = 2·tp / (predicted + actual)
 *
 * and a ratio 0/0 is 0. An id that is NaN is of a class that nobody knows: what depends on it is NaN. (scikit-learn refuses NaN.)
 *
 * @see https://scikit-learn.org/stable/modules/model_evaluation.html#classification-metrics
 */

import { check, checkOptions } from "@gpugrad/tensor";
import { CLASS_IDS, checkSamples } from "./check.ts";

/** Class ids, one per sample. */
export type ClassIds = ArrayLike<number>;

/** Precision, recall and F1, each in [0, 1]. */
export type Scores = { precision: number; recall: number; f1: number };

/** Scores of one class, and how many samples truly have it. */
export type ClassScores = Scores & { label: number; support: number };

/** How classes are averaged: of one positive class, over all decisions, over classes, over classes by support. */
export type Average = "binary" | "micro" | "macro" | "weighted";

type Counts = { label: number; tp: number; predicted: number; actual: number };

const AVERAGES = ["binary", "micro", "macro", "weighted"] as const satisfies readonly Average[];

const ratio = (numerator: number, denominator: number) =>
  denominator === 0 && !Number.isNaN(numerator) ? 0 : numerator / denominator;

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

const checkIds = (owner: string, labels: ClassIds, predictions: ClassIds): number =>
  checkSamples(
    owner,
    { labels, predictions },
    { rule: CLASS_IDS, hint: "Both are class ids, one per sample; take the argmax of logits first." },
  );

const hasNaN = (ids: ClassIds): boolean => Array.prototype.some.call(ids, Number.isNaN);

/** The class ids that occur, ascending. */
function presentLabels(labels: ClassIds, predictions: ClassIds): number[] {
  const ids = new Set([...Array.from(labels), ...Array.from(predictions)]);
  return [...ids].filter((id) => !Number.isNaN(id)).sort((a, b) => a - b);
}

function countClasses(what: string, labels: ClassIds, predictions: ClassIds, only?: readonly number[]): Counts[] {
  const n = checkIds(what, labels, predictions);
  const classes = only ?? presentLabels(labels, predictions);
  const counts = new Map(classes.map((label) => [label, { label, tp: 0, predicted: 0, actual: 0 }]));
  for (let i = 0; i < n; i++) {
    const actual = counts.get(labels[i]!);
    const predicted = counts.get(predictions[i]!);
    if (actual) actual.actual++;
    if (predicted) predicted.predicted++;
    if (actual && actual === predicted) actual.tp++;
  }
  const [labelUnknown, predictionUnknown] = [hasNaN(labels), hasNaN(predictions)];
  for (const count of counts.values()) {
    if (labelUnknown) count.actual = NaN;
    if (predictionUnknown) count.predicted = NaN;
    if (labelUnknown || predictionUnknown) count.tp = NaN;
  }
  return classes.map((label) => counts.get(label)!);
}

const scoresOf = ({ tp, predicted, actual }: Omit<Counts, "label">): Scores => ({
  precision: ratio(tp, predicted),
  recall: ratio(tp, actual),
  f1: ratio(2 * tp, predicted + actual),
});

function averageOf(counts: readonly Counts[], average: "micro" | "macro" | "weighted"): Scores {
  if (average === "micro") {
    return scoresOf({
      tp: sum(counts.map((c) => c.tp)),
      predicted: sum(counts.map((c) => c.predicted)),
      actual: sum(counts.map((c) => c.actual)),
    });
  }
  const support = sum(counts.map((c) => c.actual));
  const weigh = average === "weighted" && support > 0;
  const perClass = counts.map(scoresOf);
  const mean = (key: keyof Scores) =>
    weigh
      ? sum(perClass.map((s, i) => s[key] * counts[i]!.actual)) / support
      : ratio(sum(perClass.map((s) => s[key])), counts.length);
  return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
}

/**
 * The share of samples whose prediction is right; 0 for no samples.
 *
 * @throws when the lengths differ.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.accuracy_score.html
 */
export function accuracyScore(labels: ClassIds, predictions: ClassIds): number {
  const n = checkIds("accuracyScore", labels, predictions);
  if (hasNaN(labels) || hasNaN(predictions)) return NaN;
  let right = 0;
  for (let i = 0; i < n; i++) if (labels[i] === predictions[i]) right++;
  return ratio(right, n);
}

/**
 * Scores of each class, in the order of `options.labels` (by default the ids that occur, ascending).
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_fscore_support.html
 */
export function precisionRecallF1PerClass(
  labels: ClassIds,
  predictions: ClassIds,
  options: { labels?: readonly number[] } = {},
): ClassScores[] {
  checkOptions("precisionRecallF1PerClass", options, { labels: "numbers?" });
  const counts = countClasses("precisionRecallF1PerClass", labels, predictions, options.labels);
  return counts.map((c) => ({ label: c.label, ...scoresOf(c), support: c.actual }));
}

/**
 * Averaged precision, recall and F1. `binary` (the default) scores class `posLabel` (default 1) alone; the others average
 * over `options.labels` (default: the ids that occur).
 *
 * @throws when `binary` is asked for and more than two classes, or two without `posLabel`, occur.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_fscore_support.html
 */
export function precisionRecallF1(
  labels: ClassIds,
  predictions: ClassIds,
  options: { average?: Average; labels?: readonly number[]; posLabel?: number } = {},
): Scores {
  checkOptions("precisionRecallF1", options, { average: AVERAGES, labels: "numbers?", posLabel: "number?" });
  const { average = "binary", posLabel = 1 } = options;
  checkIds("precisionRecallF1", labels, predictions);
  if (average !== "binary")
    return averageOf(countClasses("precisionRecallF1", labels, predictions, options.labels), average);
  const present = presentLabels(labels, predictions);
  check(
    present.length < 2 || (present.length === 2 && present.includes(posLabel)),
    () =>
      `precisionRecallF1: average "binary" needs two classes, one of them posLabel ${posLabel}: classes [${present.join(", ")}]. ` +
      'Choose average "macro", "micro" or "weighted", or another posLabel.',
  );
  return scoresOf(countClasses("precisionRecallF1", labels, predictions, [posLabel])[0]!);
}

/**
 * Counts of (true class, predicted class): `matrix[i][j]` samples of class `labels[i]` were predicted as `labels[j]`.
 * Samples with an id outside `options.labels`, such as NaN, are left out.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.confusion_matrix.html
 */
export function confusionMatrix(
  labels: ClassIds,
  predictions: ClassIds,
  options: { labels?: readonly number[] } = {},
): number[][] {
  checkOptions("confusionMatrix", options, { labels: "numbers?" });
  const n = checkIds("confusionMatrix", labels, predictions);
  const classes = options.labels ?? presentLabels(labels, predictions);
  const index = new Map(classes.map((label, i) => [label, i]));
  const matrix = classes.map(() => classes.map(() => 0));
  for (let i = 0; i < n; i++) {
    const row = index.get(labels[i]!);
    const column = index.get(predictions[i]!);
    if (row !== undefined && column !== undefined) matrix[row]![column]!++;
  }
  return matrix;
}

/**
 * Matthews' correlation coefficient of any number of classes, in [-1, 1]; 0 when either side has a single class.
 *
 *     (c·n − Σ aₖpₖ) / √((n² − Σ pₖ²)(n² − Σ aₖ²))
 *
 * with c right of n samples, and of class k aₖ actual and pₖ predicted.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.matthews_corrcoef.html
 */
export function matthewsCorrcoef(labels: ClassIds, predictions: ClassIds): number {
  const counts = countClasses("matthewsCorrcoef", labels, predictions);
  const n = labels.length;
  const right = sum(counts.map((c) => c.tp));
  const covariance = right * n - sum(counts.map((c) => c.actual * c.predicted));
  const variances =
    (n * n - sum(counts.map((c) => c.predicted ** 2))) * (n * n - sum(counts.map((c) => c.actual ** 2)));
  return variances === 0 ? 0 : covariance / Math.sqrt(variances);
}

/**
 * The mean recall of the classes that samples truly have: accuracy as if all classes were of one size.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.balanced_accuracy_score.html
 */
export function balancedAccuracyScore(labels: ClassIds, predictions: ClassIds): number {
  const present = countClasses("balancedAccuracyScore", labels, predictions).filter((c) => c.actual !== 0);
  return ratio(sum(present.map((c) => scoresOf(c).recall)), present.length);
}

/**
 * Cohen's kappa: how far the agreement lies above the agreement by chance, in [-1, 1]; NaN where both sides have one and the same class only.
 *
 *     (n·c − Σ aₖpₖ) / (n² − Σ aₖpₖ)
 *
 * with c right of n samples, and of class k aₖ actual and pₖ predicted.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.cohen_kappa_score.html
 */
export function cohenKappaScore(labels: ClassIds, predictions: ClassIds): number {
  const counts = countClasses("cohenKappaScore", labels, predictions);
  const n = labels.length;
  const byChance = sum(counts.map((c) => c.actual * c.predicted));
  return (n * sum(counts.map((c) => c.tp)) - byChance) / (n * n - byChance);
}

/**
 * `value` with `digits` decimals as Python's `format(value, ".2f")` rounds: a value exactly halfway goes to the even digit
 * (0.625 → "0.62"), where `toFixed` rounds up.
 */
function pythonFixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits);
  // A tie has exactly one decimal more, a 5, and every double in [0, 1] shows within 60 further decimals that it is none.
  const exact = value.toFixed(Math.min(100, digits + 60));
  const cut = exact.length - (Math.min(100, digits + 60) - digits);
  if (!/^50*$/.test(exact.slice(cut))) return rounded;
  const down = exact.slice(0, cut).replace(/\.$/, "");
  return Number(down.at(-1)) % 2 === 0 ? down : rounded;
}

/**
 * A table of precision, recall, F1 and support per class and averaged, the same text as scikit-learn's, to the letter.
 *
 * `labels` chooses classes and their order (a subset prints `micro avg` in place of `accuracy`), `targetNames` names them,
 * `digits` (default 2) sets the decimals.
 *
 * @throws when `targetNames` does not name each class.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.classification_report.html
 */
export function classificationReport(
  labels: ClassIds,
  predictions: ClassIds,
  options: { labels?: readonly number[]; targetNames?: readonly string[]; digits?: number } = {},
): string {
  checkOptions("classificationReport", options, { labels: "numbers?", targetNames: "list?", digits: "index?" });
  const { digits = 2 } = options;
  check(digits >= 0 && digits <= 100, () => `classificationReport: digits is ${digits}; there can be 0 to 100.`);
  checkIds("classificationReport", labels, predictions);
  const present = presentLabels(labels, predictions);
  const classes = options.labels ?? present;
  const names = options.targetNames ?? classes.map(String);
  check(
    names.length === classes.length,
    () =>
      `classificationReport: ${names.length} targetNames for ${classes.length} classes: [${names.join(", ")}] · ` +
      `[${classes.join(", ")}]. Pass labels to name classes that do not occur.`,
  );
  const counts = countClasses("classificationReport", labels, predictions, classes);
  const width = Math.max(...names.map((name) => name.length), "weighted avg".length, digits);
  // scikit-learn counts in floats when not one sample is right, and shows it.
  const allWrong = labels.length > 0 && accuracyScore(labels, predictions) === 0;
  const count = (value: number) => (allWrong ? value.toFixed(1) : String(value));
  const line = (name: string, cells: readonly string[]) =>
    `${name.padStart(width)} ${cells.map((cell) => " " + cell.padStart(9)).join("")}\n`;
  const row = (name: string, s: Scores, support: number) =>
    line(name, [...[s.precision, s.recall, s.f1].map((v) => pythonFixed(v, digits)), count(support)]);

  const support = sum(counts.map((c) => c.actual));
  const micro = averageOf(counts, "micro");
  const complete = present.every((label) => classes.includes(label));
  return [
    line("", ["precision", "recall", "f1-score", "support"]),
    "\n",
    ...counts.map((c, i) => row(names[i]!, scoresOf(c), c.actual)),
    "\n",
    complete
      ? line("accuracy", ["", "", pythonFixed(micro.f1, digits), count(support)])
      : row("micro avg", micro, support),
    row("macro avg", averageOf(counts, "macro"), support),
    row("weighted avg", averageOf(counts, "weighted"), support),
  ].join("");
}
