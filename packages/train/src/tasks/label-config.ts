import type { ProblemType } from "@gpugrad/bert";
import { DataError } from "../errors.ts";
import type { Dataset } from "../data/dataset.ts";

/**
 * The values of a configuration that make a model fit the labels of a dataset.
 * @param numLabels classes of the model, where the data has no rows of some
 * @throws {@link DataError} where the data has no labels, or more classes than `numLabels`
 */
export function labelConfig(
  { name, labels, id2label }: Dataset,
  { numLabels = labels.numLabels }: { numLabels?: number | undefined } = {},
): { problem_type: ProblemType; num_labels: number; id2label?: Record<string, string> } {
  if (labels.numLabels === 0)
    throw new DataError(`${name}: no labels to train on. Name their column with --label_column.`);
  if (labels.numLabels === 1 && !labels.multiLabel) return { problem_type: "regression", num_labels: 1 };
  if (numLabels < labels.numLabels)
    throw new DataError(
      `${name}: ${labels.numLabels} classes, but --num_labels is ${numLabels}. Leave it out, or raise it.`,
    );
  const problem_type = labels.multiLabel ? "multi_label_classification" : "single_label_classification";
  if (!id2label) return { problem_type, num_labels: numLabels };
  const names = Array.from({ length: numLabels }, (_, id) => [id, id2label[id] ?? `LABEL_${id}`] as const);
  return { problem_type, num_labels: numLabels, id2label: Object.fromEntries(names) };
}
