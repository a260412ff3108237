import type { Dataset } from "./dataset.ts";

/** How many rows each class has, by id. Labels of files are known without reading the rows. */
export async function labelCounts(dataset: Dataset): Promise<number[]> {
  const counts = new Array<number>(dataset.labels.numLabels < 2 ? 0 : dataset.labels.numLabels).fill(0);
  for (let i = 0; i < dataset.length; i++) {
    const label = await dataset.label(i);
    if (label !== undefined && counts[label] !== undefined) counts[label]++;
  }
  return counts;
}

/**
 * Weights that make up for classes of unequal size: n / (k · n_c) for n rows, k classes that have rows and n_c rows of class c, as
 * scikit-learn's `class_weight="balanced"`. A class without rows has weight 0.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.utils.class_weight.compute_class_weight.html
 */
export function classWeights(counts: readonly number[]): number[] {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const classes = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count > 0 ? rows / (classes * count) : 0));
}

/** Of more classes, only the first are listed. */
const LISTED = 16;

/** Rows by class as a line of text: `neg 12,500 (50.0 %) · pos 12,500 (50.0 %)`. */
export function formatLabelCounts(counts: readonly number[], names?: readonly string[]): string {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const share = (count: number) => `${((100 * count) / Math.max(rows, 1)).toFixed(1)} %`;
  const more = counts.length > LISTED ? ` · … ${counts.length.toLocaleString("en-US")} classes in all` : "";
  const listed = counts.slice(0, LISTED);
  return (
    listed.map((count, id) => `${names?.[id] ?? id} ${count.toLocaleString("en-US")} (${share(count)})`).join(" · ") +
    more
  );
}
