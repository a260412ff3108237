/** Metrics of predicted numbers, with the definitions and numbers of scikit-learn and SciPy. NaN gives NaN, as SciPy's `propagate`. */
import { checkSamples, NUMBERS } from "./check.ts";

function meanOf(values: ArrayLike<number>, f: (value: number, i: number) => number = (v) => v): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += f(values[i]!, i);
  return sum / values.length;
}

const checkPairs = (owner: string, labels: ArrayLike<number>, predictions: ArrayLike<number>): void =>
  void checkSamples(owner, { labels, predictions }, { rule: NUMBERS, hint: "One of each per sample.", least: 1 });

/**
 * Mean of (prediction − label)².
 * @throws when the lengths differ or are 0
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.mean_squared_error.html
 */
export function meanSquaredError(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("meanSquaredError", labels, predictions);
  return meanOf(labels, (label, i) => (predictions[i]! - label) ** 2);
}

/**
 * Mean of |prediction − label|.
 * @throws when the lengths differ or are 0
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.mean_absolute_error.html
 */
export function meanAbsoluteError(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("meanAbsoluteError", labels, predictions);
  return meanOf(labels, (label, i) => Math.abs(predictions[i]! - label));
}

/**
 * The share of the labels' variance that the predictions explain, 1 − Σ (p − y)² / Σ (y − ȳ)²; of constant labels 1 where all are hit, else 0.
 * @throws when the lengths differ or are 0
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.metrics.r2_score.html
 */
export function r2Score(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("r2Score", labels, predictions);
  const mean = meanOf(labels);
  const [error, spread] = [
    meanOf(labels, (label, i) => (predictions[i]! - label) ** 2),
    meanOf(labels, (label) => (label - mean) ** 2),
  ];
  return spread === 0 ? Number(error === 0) : 1 - error / spread;
}

/**
 * Pearson's correlation Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² Σ (y − ȳ)²), in [−1, 1]; NaN where either side is constant.
 * @throws when the lengths differ or are 0
 * @see https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.pearsonr.html
 */
export function pearsonr(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("pearsonr", labels, predictions);
  const [x, y] = [meanOf(labels), meanOf(predictions)];
  const covariance = meanOf(labels, (label, i) => (label - x) * (predictions[i]! - y));
  const spread = meanOf(labels, (label) => (label - x) ** 2) * meanOf(predictions, (p) => (p - y) ** 2);
  return spread === 0 ? NaN : covariance / Math.sqrt(spread);
}

/**
 * Spearman's correlation: Pearson's of the ranks, ties sharing their mean rank; NaN where a value is, which has no rank.
 * @throws when the lengths differ or are 0
 * @see https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.spearmanr.html
 */
export function spearmanr(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("spearmanr", labels, predictions);
  return pearsonr(ranksOf(labels), ranksOf(predictions));
}

/**
 * Kendall's τ-b: (pairs in the same order − pairs in opposite order) / √(pairs untied in labels · pairs untied in predictions); NaN where either side
 * is constant. It looks at each pair of samples.
 * @throws when the lengths differ or are 0
 * @see https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.kendalltau.html
 */
export function kendallTau(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkPairs("kendallTau", labels, predictions);
  let [agreement, x, y] = [0, 0, 0];
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [Math.sign(labels[i]! - labels[j]!), Math.sign(predictions[i]! - predictions[j]!)];
      agreement += a * b;
      x += Math.abs(a);
      y += Math.abs(b);
    }
  }
  return x === 0 || y === 0 ? NaN : agreement / Math.sqrt(x * y);
}

function ranksOf(values: ArrayLike<number>): Float64Array {
  const ranks = new Float64Array(values.length);
  if (Array.prototype.some.call(values, Number.isNaN)) return ranks.fill(NaN);
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i]! - values[j]! || 0); // ∞ − ∞: they are equal
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && values[order[end]!] === values[order[first]!]) end++;
    for (let k = first; k < end; k++) ranks[order[k]!] = (first + end - 1) / 2;
    first = end;
  }
  return ranks;
}
