import { checkOptions, GpugradError } from "@gpugrad/tensor";
import type { ClassScores, Scores } from "./classification.ts";

const AVERAGES = ["micro", "macro", "weighted", "samples"] as const;

/** How rows with several labels are averaged: over all decisions, over classes, over classes by the number of their rows, over rows. */
export type MultiLabelAverage = (typeof AVERAGES)[number];

/** 1 for each class of a row and 0 for the others, row-major `[rows, classes]`. */
export type LabelSets = ArrayLike<number>;

interface Counts {
  both: number;
  predicted: number;
  actual: number;
}

/** As scikit-learn with `zero_division=0`. */
const scoresOf = ({ both, predicted, actual }: Counts): Scores => ({
  precision: predicted > 0 ? both / predicted : 0,
  recall: actual > 0 ? both / actual : 0,
  f1: predicted + actual > 0 ? (2 * both) / (predicted + actual) : 0,
});

/** Counts by class or by row: `groupOf` says to which a place belongs. */
function count(labels: LabelSets, predicted: LabelSets, groups: number, groupOf: (at: number) => number): Counts[] {
  const counts = Array.from({ length: groups }, () => ({ both: 0, predicted: 0, actual: 0 }));
  for (let i = 0; i < labels.length; i++) {
    const group = counts[groupOf(i)]!;
    group.actual += labels[i]!;
    group.predicted += predicted[i]!;
    group.both += labels[i]! * predicted[i]!;
  }
  return counts;
}

function rowsOf(owner: string, labels: LabelSets, predicted: LabelSets, classes: number): number {
  const rows = labels.length / classes;
  if (labels.length !== predicted.length || !(rows >= 1) || !Number.isInteger(rows))
    throw new GpugradError(
      `${owner}: labels and predictions are not rows of ${classes} classes: ${labels.length} · ${predicted.length} values.`,
    );
  return rows;
}

/**
 * Averaged precision, recall and F1 of rows with several labels; where nothing was predicted, or nothing was to be found, they are 0.
 * @throws where labels and predictions are not of one size
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.f1_score.html
 */
export function multiLabelF1(
  labels: LabelSets,
  predicted: LabelSets,
  options: { classes: number; average: MultiLabelAverage },
): Scores {
  checkOptions("multiLabelF1", options, { classes: "number", average: AVERAGES });
  const { classes, average } = options;
  const rows = rowsOf("multiLabelF1", labels, predicted, classes);
  const groups = { micro: 1, macro: classes, weighted: classes, samples: rows }[average];
  const groupOf = {
    micro: () => 0,
    macro: (i: number) => i % classes,
    weighted: (i: number) => i % classes,
    samples: (i: number) => Math.floor(i / classes),
  }[average];
  const counts = count(labels, predicted, groups, groupOf);
  const weights = counts.map(({ actual }) => (average === "weighted" ? actual : 1));
  const total = weights.reduce((a, b) => a + b, 0) || 1; // no labels at all: the scores are 0
  const mean = (key: keyof Scores): number =>
    counts.reduce((sum, each, i) => sum + weights[i]! * scoresOf(each)[key], 0) / total;
  return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
}

/** Precision, recall, F1 and number of rows of each class. */
export function multiLabelScores(labels: LabelSets, predicted: LabelSets, classes: number): ClassScores[] {
  rowsOf("multiLabelScores", labels, predicted, classes);
  return count(labels, predicted, classes, (i) => i % classes).map((counts, label) => ({
    ...{ label, support: counts.actual },
    ...scoresOf(counts),
  }));
}

/**
 * Share of the rows whose classes are all right.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.accuracy_score.html
 */
export function subsetAccuracy(labels: LabelSets, predicted: LabelSets, classes: number): number {
  const rows = rowsOf("subsetAccuracy", labels, predicted, classes);
  let right = 0;
  for (let row = 0; row < rows; row++) {
    let isRight = true;
    for (let i = row * classes; i < (row + 1) * classes; i++) isRight &&= labels[i] === predicted[i];
    if (isRight) right++;
  }
  return right / rows;
}

/**
 * Share of the decisions, one for each class of each row, that are wrong.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.hamming_loss.html
 */
export function hammingLoss(labels: LabelSets, predicted: LabelSets, classes: number): number {
  rowsOf("hammingLoss", labels, predicted, classes);
  let wrong = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] !== predicted[i]) wrong++;
  return wrong / labels.length;
}

/**
 * Label ranking average precision: for each true label of a row, which share of the labels that score at least as high are true; the mean over
 * labels, then over rows. A row without labels, or with all of them, counts 1.
 * @param scores of the classes of each row, row-major `[rows, classes]`
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.label_ranking_average_precision_score.html
 */
export function labelRankingAveragePrecision(labels: LabelSets, scores: LabelSets, classes: number): number {
  const rows = rowsOf("labelRankingAveragePrecision", labels, scores, classes);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const ids = Array.from({ length: classes }, (_, k) => row * classes + k);
    const own = ids.filter((i) => labels[i] === 1);
    if (own.length === 0 || own.length === classes) {
      sum += 1;
      continue;
    }
    const atLeast = (among: readonly number[], i: number): number =>
      among.filter((j) => scores[j]! >= scores[i]!).length;
    sum += own.reduce((total, i) => total + atLeast(own, i) / atLeast(ids, i), 0) / own.length;
  }
  return sum / rows;
}
