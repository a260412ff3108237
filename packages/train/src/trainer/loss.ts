import type { BertForSequenceClassification, HeadOutput } from "@gpugrad/bert";
import { autocast, crossEntropy, fromArray, keep, Tensor } from "@gpugrad/tensor";
import type { Batch } from "../data/data-loader.ts";
import type { StepInputs } from "./recorded-steps.ts";
import type { TrainingArguments } from "./training-arguments.ts";

/** A loss of one's own: the mean over the rows of a batch, from what the model gives and the labels on the device. */
export type ComputeLoss = (output: HeadOutput, labels: Tensor) => Tensor;

/** How the loss of a batch is made, and weighed against other batches. */
export interface Loss {
  /** The model's forward, in the precision that was asked for; with labels there is a loss. */
  forward(model: BertForSequenceClassification, inputs: StepInputs): HeadOutput;
  /** What the mean of a batch counts in a mean over several: its rows, or the sum of their class weights. */
  weightOf(batch: Batch): number;
  dispose(): void;
}

/**
 * The model's own loss; with label smoothing or class weights cross-entropy, or else `computeLoss`: then the model sees no labels, as in
 * Transformers.
 */
export function lossOf(
  { fp16, labelSmoothingFactor }: TrainingArguments,
  {
    classWeights,
    computeLoss,
  }: { classWeights?: readonly number[] | undefined; computeLoss?: ComputeLoss | undefined },
): Loss {
  const dtype = fp16 ? "f16" : "f32";
  const weight = classWeights && keep(fromArray(classWeights, [classWeights.length]));
  const own: ComputeLoss | undefined =
    computeLoss ??
    (labelSmoothingFactor > 0 || weight
      ? ({ logits }, labels) => crossEntropy(logits, labels, { weight, labelSmoothing: labelSmoothingFactor })
      : undefined);
  return {
    forward: (model, inputs) =>
      autocast(
        () => {
          if (!own || inputs.labels === undefined) return model.forward(inputs);
          const { labels, ...rest } = inputs;
          const output = model.forward(rest);
          return { ...output, loss: own(output, onDevice(labels)) };
        },
        { dtype },
      ),
    weightOf: ({ labels, shape: [B] }) =>
      classWeights && labels ? Array.from(labels).reduce((sum, label) => sum + classWeights[label]!, 0) : B,
    dispose: () => weight?.dispose(),
  };
}

/** Labels as a tensor: class ids, or numbers. */
function onDevice(labels: NonNullable<StepInputs["labels"]>): Tensor {
  if (labels instanceof Tensor) return labels;
  const { data, shape } = labels as { data: Int32Array | Float32Array; shape: readonly number[] };
  return fromArray(data, shape, data instanceof Float32Array ? "f32" : "i32");
}
