import { autocast, fromArray, Tensor } from "@gpugrad/tensor";
import type { HeadOutput } from "@gpugrad/bert";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Batch, Inputs } from "../data/batch.ts";
import type { Loss, ModelOutput, Task, TrainableModel } from "../tasks/task.ts";

/** A loss of one's own: the mean over the rows of a batch, from what the model gives and the labels on the device. */
export type ComputeLoss = (output: HeadOutput, labels: Tensor) => Tensor;

/** A model's forward with its loss, in the precision that was asked for. */
export interface LossFunction {
  /** With labels there is a loss. */
  forward(model: TrainableModel, inputs: Inputs): ModelOutput;
  /** What the mean of a batch counts in a mean over several: in an evaluation, its rows, as in Transformers. */
  weightOf(batch: Batch): number;
  /** The same for the batches of one update. */
  shareOf(batch: Batch): number;
  /** What decides on the host how `forward` works, as a text; undefined where that can't be known. */
  dependsOn(): string | undefined;
  dispose(): void;
}

/** What a model gives for a batch, as its task runs it. */
export const outputOf = (task: Pick<Task, "forward">, model: TrainableModel, inputs: Inputs): ModelOutput =>
  task.forward?.(model, inputs) ?? (model.forward(inputs) as ModelOutput);

/** The model's own loss, or the one in its place. */
export const lossFunction = (
  args: TrainingArguments,
  loss: Loss,
  task: Pick<Task, "forward" | "weightOf">,
): LossFunction => ({
  forward: (model, inputs) =>
    autocast(
      () => {
        const { labels, ...others } = inputs;
        if (!loss.compute || labels === undefined) return outputOf(task, model, inputs);
        const output = outputOf(task, model, { ...others, input_ids: inputs.input_ids });
        const placed = labels instanceof Tensor ? labels : fromArray(labels.data, labels.shape, labels.dtype);
        return { ...output, loss: loss.compute(output, placed, inputs) };
      },
      { dtype: args.fp16 ? "f16" : "f32" },
    ),
  weightOf: (batch) => loss.weightOf?.(batch) ?? batch.rows.length,
  shareOf: (batch) => task.weightOf?.(batch) ?? loss.weightOf?.(batch) ?? batch.rows.length,
  dependsOn() {
    const own = loss.dependsOn?.() ?? (loss.compute ? undefined : "");
    return own === undefined ? undefined : `${args.fp16} ${own}`;
  },
  dispose: () => loss.dispose?.(),
});

/** What part of an update's loss each of its batches has. */
export function sharesOf(
  batches: readonly Batch[],
  { gradientAccumulationLoss: how }: TrainingArguments,
  loss: LossFunction,
): number[] {
  if (how === "sum") return batches.map(() => 1);
  if (how === "mean") return batches.map(() => 1 / batches.length);
  const weights = batches.map((batch) => loss.shareOf(batch));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}
