import { crossEntropy, fromArray, GpugradError, keep, type Tensor } from "@gpugrad/tensor";
import type { TrainingArguments } from "../../arguments/training-arguments.ts";
import { classWeights, labelCounts } from "../../data/class-weights.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Loss } from "../task.ts";

/**
 * Cross-entropy with label smoothing or class weights, where the arguments ask for them; else the model's own loss. It follows the arguments,
 * also where a callback changes them.
 * @param balanced the weights of classes that are "balanced"
 */
export function classLoss(args: TrainingArguments, balanced: readonly number[] | undefined): Loss {
  const weights = (): readonly number[] | undefined =>
    args.classWeights === "balanced" ? balanced : (args.classWeights ?? undefined);
  let onDevice: { values: string; tensor: Tensor } | undefined;
  const weightTensor = (values: readonly number[]): Tensor => {
    if (onDevice?.values !== values.join()) {
      onDevice?.tensor.dispose();
      onDevice = { values: values.join(), tensor: keep(fromArray(values, [values.length])) };
    }
    return onDevice.tensor;
  };
  return {
    get compute(): Loss["compute"] {
      const { labelSmoothingFactor: labelSmoothing } = args;
      const weight = weights();
      if (!(labelSmoothing > 0 || weight)) return undefined;
      return ({ logits }, labels) =>
        crossEntropy(logits, labels, { ...(weight && { weight: weightTensor(weight) }), labelSmoothing });
    },
    /** Its rows, or the sum of their class weights. */
    weightOf({ arrays: { labels }, rows }) {
      const weight = weights();
      return weight && labels ? Array.from(labels.data).reduce((sum, label) => sum + weight[label]!, 0) : rows.length;
    },
    dependsOn: () => JSON.stringify([args.labelSmoothingFactor, weights()?.join()]),
    dispose: () => onDevice?.tensor.dispose(),
  };
}

/** The weights of `classes` that make up for classes of unequal size; the data may have no rows of some. */
export async function balancedWeights(trainDataset: Dataset | undefined, classes: number): Promise<readonly number[]> {
  if (!trainDataset)
    throw new GpugradError("Trainer: classWeights is balanced, but there is no trainDataset to count.");
  const counts = await labelCounts(trainDataset);
  return classWeights(Array.from({ length: classes }, (_, label) => counts[label] ?? 0));
}
