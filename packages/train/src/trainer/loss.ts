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
  shareOf: (batch) => (batch.isSpare ? 0 : (task.weightOf?.(batch) ?? loss.weightOf?.(batch) ?? batch.rows.length)),
  dependsOn() {
    const own = loss.dependsOn?.() ?? (loss.compute ? undefined : "");
    return own === undefined ? undefined : `${args.fp16} ${own}`;
  },
  dispose: () => loss.dispose?.(),
});

/** What batches count in the loss of an update. */
export interface UpdateWeights {
  /** Of the batches of each rank. */
  all: readonly (readonly number[])[];
  rank: number;
  /** Batches of a rank that together with those of the others are one batch of the arguments. */
  pieces: number;
}

/** What part of an update's loss each of this rank's batches has. One batch alone has all of it: none is given. */
export function sharesOf(
  { all, rank, pieces }: UpdateWeights,
  { gradientAccumulationLoss: how }: Pick<TrainingArguments, "gradientAccumulationLoss">,
): number[] {
  const own = all[rank]!;
  if (all.length === 1 && own.length === 1) return [];
  const sum = (weights: readonly number[]): number => weights.reduce((a, b) => a + b, 0);
  if (how !== "sum" && how !== "mean") {
    const total = sum(all.flat());
    return own.map((weight) => weight / total);
  }
  const batches = own.length / pieces;
  return own.map((weight, i) => {
    const first = i - (i % pieces);
    const total = sum(all.flatMap((weights) => weights.slice(first, first + pieces)));
    const part = total > 0 ? weight / total : 1 / (pieces * all.length);
    return how === "sum" ? part : part * (1 / batches);
  });
}
