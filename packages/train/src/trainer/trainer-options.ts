import type { BertForSequenceClassification } from "@gpugrad/bert";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Predictions } from "../tasks/sequence-classification/predictions.ts";
import type { Found, Labelled, Task, TrainableModel } from "../tasks/task.ts";
import type { CallbackFunction, TrainerCallback } from "./callbacks.ts";
import type { ComputeLoss } from "./loss.ts";
import type { TrainerServices } from "./services.ts";

/** What a Trainer is made of. */
export interface TrainerOptions<
  M extends TrainableModel = BertForSequenceClassification,
  F extends Found = Predictions,
> {
  model: M;
  /** What is learned. Default: what the model's head is for, classes, numbers, or several labels for a row. */
  task?: Task<F>;
  /** Names in camelCase or snake_case. */
  args?: Partial<TrainingArguments> | Readonly<Record<string, unknown>>;
  tokenizer: BatchTokenizer;
  trainDataset?: Dataset;
  evalDataset?: Dataset;
  /** Rows of the training set in the order to take them; then nothing is shuffled. */
  trainIndices?: ArrayLike<number>;
  callbacks?: readonly (TrainerCallback | CallbackFunction)[];
  /** Metrics of an evaluation, in place of the usual ones. */
  computeMetrics?: (found: Labelled<F>) => Record<string, number> | Promise<Record<string, number>>;
  /** The loss of a batch, in place of the model's. */
  computeLoss?: ComputeLoss;
  /** An optimizer of one's own, made again when a run continues after the loss of a device. */
  createOptimizer?: (model: M, args: TrainingArguments) => Optimizer;
  /** What it does with the world around it, where that isn't the platform's own. */
  services?: Partial<TrainerServices>;
}
