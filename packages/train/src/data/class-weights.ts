import type { Dataset } from "./dataset.ts";
import { shownText } from "./shown.ts";

/** How many rows each class has, by id. Labels of files are known without reading the rows. */
export async function labelCounts(dataset: Dataset): Promise<number[]> {
  const counts = new Array<number>(dataset.labels.numLabels < 2 ? 0 : dataset.labels.numLabels).fill(0);
  for (let i = 0; i < dataset.length; i++) {
    for (const label of await dataset.labelsOf(i)) if (counts[label] !== undefined) counts[label]++;
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

/** Of more classes, only the largest are listed. */
const LISTED = 16;

/** Rows by class as a line of text: `neg 12,500 (50.0 %) · pos 12,500 (50.0 %)`; of many classes, the largest. */
export function formatLabelCounts(counts: readonly number[], names?: readonly string[]): string {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const ids = [...counts.keys()];
  const listed = ids.length > LISTED ? ids.sort((a, b) => counts[b]! - counts[a]!).slice(0, LISTED) : ids;
  const lines = listed.map((id) => {
    const share = ((100 * counts[id]!) / Math.max(rows, 1)).toFixed(1);
    return `${shownText(names?.[id] ?? String(id))} ${counts[id]!.toLocaleString("en-US")} (${share} %)`;
  });
  const more = counts.length - listed.length;
  return [...lines, ...(more > 0 ? [`… and ${more.toLocaleString("en-US")} more`] : [])].join(" · ");
}
