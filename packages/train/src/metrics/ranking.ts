/**
 * Metrics of how well scores rank positives above negatives, with scikit-learn's definitions and numbers. They don't depend on a threshold.
 *
 * @see https://scikit-learn.org/stable/modules/model_evaluation.html#receiver-operating-characteristic-roc
 */
import { check, checkOptions } from "@gpugrad/tensor";
import { checkSamples, NUMBERS, NUMBERS_OR_BOOLEANS } from "./check.ts";

/** Samples that score at least `threshold`, counted from the highest score down: one entry for each score that occurs. */
interface Cut {
  threshold: number;
  truePositives: number;
  falsePositives: number;
}

function cuts(what: string, labels: ArrayLike<number>, scores: ArrayLike<number>, posLabel: number): Cut[] {
  checkOptions(what, { posLabel }, { posLabel: "number" });
  checkSamples(what, { labels, scores }, { rule: NUMBERS, hint: `One score of class ${posLabel} per sample.` });
  for (const [name, list] of Object.entries({ label: labels, score: scores })) {
    const at = Array.prototype.findIndex.call(list, Number.isNaN);
    check(at < 0, () => `${what}: the ${name} of sample ${at} is NaN.`);
  }
  const order = Array.from(labels, (_, i) => i).sort((i, j) => scores[j]! - scores[i]! || 0); // ∞ − ∞: they are equal
  const found: Cut[] = [];
  let [truePositives, falsePositives] = [0, 0];
  for (const [at, i] of order.entries()) {
    const threshold = scores[i]!;
    if (labels[i] === posLabel) truePositives++;
    else falsePositives++;
    if (at + 1 === order.length || scores[order[at + 1]!] !== threshold)
      found.push({ threshold, truePositives, falsePositives });
  }
  return found;
}

/** A point of the ROC curve: the shares of negatives and of positives that score at least `threshold`. */
export interface RocPoint {
  threshold: number;
  falsePositiveRate: number;
  truePositiveRate: number;
}

/**
 * The ROC curve, from (0, 0) at a threshold of infinity on.
 * @param posLabel the label that counts as positive; all others are negative
 * @throws when the lengths differ, a label or score is NaN, or either side has no sample
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_curve.html
 */
export function rocCurve(labels: ArrayLike<number>, scores: ArrayLike<number>, posLabel = 1): RocPoint[] {
  return curveOf("rocCurve", labels, scores, posLabel);
}

function curveOf(what: string, labels: ArrayLike<number>, scores: ArrayLike<number>, posLabel: number): RocPoint[] {
  const found = cuts(what, labels, scores, posLabel);
  const { truePositives: positives = 0, falsePositives: negatives = 0 } = found.at(-1) ?? {};
  check(
    positives > 0 && negatives > 0,
    () => `${what}: ${positives} samples of class ${posLabel} and ${negatives} of others. It takes some of both.`,
  );
  return [{ threshold: Infinity, truePositives: 0, falsePositives: 0 }, ...found].map((cut) => ({
    threshold: cut.threshold,
    falsePositiveRate: cut.falsePositives / negatives,
    truePositiveRate: cut.truePositives / positives,
  }));
}

/**
 * The area under the ROC curve: the probability that a positive scores higher than a negative, ties counting half.
 * @throws as {@link rocCurve}
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html
 */
export function rocAucScore(labels: ArrayLike<number>, scores: ArrayLike<number>, posLabel = 1): number {
  const curve = curveOf("rocAucScore", labels, scores, posLabel);
  return curve.reduce((area, point, i) => {
    const before = curve[i - 1] ?? point;
    const height = (point.truePositiveRate + before.truePositiveRate) / 2;
    return area + (point.falsePositiveRate - before.falsePositiveRate) * height;
  }, 0);
}

/**
 * Average precision: Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds, the area under the precision-recall curve without interpolation. 0 when no sample
 * is positive.
 * @throws when the lengths differ, or a label or score is NaN
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html
 */
export function averagePrecisionScore(labels: ArrayLike<number>, scores: ArrayLike<number>, posLabel = 1): number {
  const found = cuts("averagePrecisionScore", labels, scores, posLabel);
  const positives = found.at(-1)?.truePositives ?? 0;
  if (positives === 0) return 0;
  return found.reduce((area, { truePositives, falsePositives }, i) => {
    const gained = truePositives - (found[i - 1]?.truePositives ?? 0);
    return area + (gained / positives) * (truePositives / (truePositives + falsePositives));
  }, 0);
}

/** Predictions whose confidence lies in (from, to], and how often they were right. */
export interface CalibrationBin {
  from: number;
  to: number;
  count: number;
  /** Mean confidence; 0 for an empty bin. */
  confidence: number;
  /** Share of right predictions; 0 for an empty bin. */
  accuracy: number;
}

/**
 * How far confidence and accuracy are apart: predictions sorted by confidence into bins of equal width, and the expected calibration error
 * Σ count / n · |accuracy − confidence|. A confidence that is NaN is in no bin, and the error is NaN.
 * @param confidences the probability that the model gave to its prediction, per sample
 * @param correct whether the prediction was right
 * @see Guo et al., On Calibration of Modern Neural Networks, 2017. https://arxiv.org/abs/1706.04599
 */
export function calibration(
  confidences: ArrayLike<number>,
  correct: ArrayLike<boolean | number>,
  options: { bins?: number } = {},
): { error: number; bins: CalibrationBin[] } {
  checkOptions("calibration", options, { bins: "index?" });
  const { bins = 10 } = options;
  check(bins >= 1, () => `calibration: bins is ${bins}; there has to be one.`);
  checkSamples("calibration", { confidences, correct }, { rule: NUMBERS_OR_BOOLEANS, hint: "One of each per sample." });
  const found = Array.from({ length: bins }, (_, i) => {
    return { from: i / bins, to: (i + 1) / bins, count: 0, confidence: 0, accuracy: 0 };
  });
  for (let i = 0; i < confidences.length; i++) {
    if (Number.isNaN(confidences[i])) continue;
    const bin = found[Math.min(bins - 1, Math.max(0, Math.ceil(confidences[i]! * bins) - 1))]!;
    bin.count++;
    bin.confidence += confidences[i]!;
    bin.accuracy += Number(correct[i]);
  }
  let error = Array.prototype.some.call(confidences, Number.isNaN) ? NaN : 0;
  for (const bin of found) {
    if (bin.count === 0) continue;
    error += Math.abs(bin.accuracy - bin.confidence) / confidences.length;
    bin.confidence /= bin.count;
    bin.accuracy /= bin.count;
  }
  return { error, bins: found };
}
