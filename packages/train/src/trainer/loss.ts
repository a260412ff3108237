import type { BertForSequenceClassification, HeadOutput } from "@gpugrad/bert";
import { autocast, crossEntropy, fromArray, keep, Tensor } from "@gpugrad/tensor";
import type { Batch } from "../data/batch.ts";
import type { StepInputs } from "./recorded-steps.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

/** A loss of one's own: the mean over the rows of a batch, from what the model gives and the labels on the device. */
export type ComputeLoss = (output: HeadOutput, labels: Tensor) => Tensor;

/** How the loss of a batch is made, and weighed against other batches. It follows the arguments, also where a callback changes them. */
export interface Loss {
  /** The model's forward, in the precision that was asked for; with labels there is a loss. */
  forward(model: BertForSequenceClassification, inputs: StepInputs): HeadOutput;
  /** What the mean of a batch counts in a mean over several: its rows, or the sum of their class weights. */
  weightOf(batch: Batch): number;
  /** What decides on the host how `forward` works, as a text; undefined for a loss of one's own, which may do anything. */
  dependsOn(): string | undefined;
  dispose(): void;
}

/**
 * The model's own loss; with label smoothing or class weights cross-entropy, or else `computeLoss`: then the model sees no labels, as in
 * Transformers.
 * @param options.balanced the weights of classes that are "balanced"
 */
export function lossOf(
  args: TrainingArguments,
  { balanced, computeLoss }: { balanced?: readonly number[] | undefined; computeLoss?: ComputeLoss | undefined },
): Loss {
  const weights = (): readonly number[] | undefined =>
    args.classWeights === "balanced" ? balanced : (args.classWeights ?? undefined);
  let onDeviceNow: { values: string; tensor: Tensor } | undefined;
  const weightTensor = (values: readonly number[]): Tensor => {
    if (onDeviceNow?.values !== values.join()) {
      onDeviceNow?.tensor.dispose();
      onDeviceNow = { values: values.join(), tensor: keep(fromArray(values, [values.length])) };
    }
    return onDeviceNow.tensor;
  };
  const own = (): ComputeLoss | undefined => {
    const { labelSmoothingFactor: labelSmoothing } = args;
    const weight = weights();
    if (computeLoss || !(labelSmoothing > 0 || weight)) return computeLoss;
    return ({ logits }, labels) =>
      crossEntropy(logits, labels, { ...(weight && { weight: weightTensor(weight) }), labelSmoothing });
  };
  return {
    forward: (model, inputs) =>
      autocast(
        () => {
          const loss = own();
          if (!loss || inputs.labels === undefined) return model.forward(inputs);
          const { labels, ...rest } = inputs;
          const output = model.forward(rest);
          return { ...output, loss: loss(output, onDevice(labels)) };
        },
        { dtype: args.fp16 ? "f16" : "f32" },
      ),
    weightOf({ arrays: { labels }, rows }) {
      const weight = weights();
      return weight && labels ? Array.from(labels.data).reduce((sum, label) => sum + weight[label]!, 0) : rows.length;
    },
    dependsOn: () =>
      computeLoss ? undefined : JSON.stringify([args.fp16, args.labelSmoothingFactor, weights()?.join()]),
    dispose: () => onDeviceNow?.tensor.dispose(),
  };
}

/** Labels as a tensor: class ids, or numbers. */
function onDevice(labels: NonNullable<StepInputs["labels"]>): Tensor {
  if (labels instanceof Tensor) return labels;
  const { data, shape } = labels as { data: Int32Array | Float32Array; shape: readonly number[] };
  return fromArray(data, shape, data instanceof Float32Array ? "f32" : "i32");
}
