import type { OutputOptions, PreTrainedModel } from "@gpugrad/bert";
import type { Tensor } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Arrays, Batch, BatchTokenizer, Collate, EncodedRow, Inputs, NamedArray } from "../data/batch.ts";
import type { Dataset, Row } from "../data/dataset.ts";
import type { Findings } from "../report/findings.ts";

/** What a model gives, by the names it has for it: `logits` of most heads; with labels among its inputs, the mean loss of the batch, too. */
export interface ModelOutput {
  logits: Tensor;
  loss?: Tensor;
  readonly [name: string]: Tensor | readonly Tensor[] | undefined;
}

/** A model that the Trainer can train. */
export interface TrainableModel extends PreTrainedModel {
  forward(inputs: Inputs, options?: OutputOptions): object;
}

/** How the loss of a batch is made where it isn't the model's own, for one run or one evaluation. */
export interface Loss {
  /**
   * The mean over a batch; the model is then given no labels, as in Transformers. It is looked up at each batch, so that it may come and go with
   * arguments that callbacks change: undefined means the model's own loss. `inputs` is the whole batch.
   */
  readonly compute?: ((output: ModelOutput, labels: Tensor, inputs: Inputs) => Tensor) | undefined;
  /** What the mean of a batch counts in a mean over several. Default: its rows. */
  weightOf?(batch: Batch): number;
  /** What on the host decides how `compute` works, as a text. Without it, updates with a `compute` are not recorded. */
  dependsOn?(): string;
  dispose?(): void;
}

/** What a loss may depend on. */
export interface LossSetting {
  args: TrainingArguments;
  trainDataset?: Dataset | undefined;
}

/** What a task makes of the predictions for a dataset. */
export interface Found {
  /** Undefined where not every row has one. */
  labels: readonly unknown[] | undefined;
}

/** The same where every row has labels. */
export type Labelled<F extends Found> = F & { labels: NonNullable<F["labels"]> };

/** What the Trainer's `predict()` and `evaluate()` give. */
export type Evaluated<F extends Found = Found> = F & {
  /** What was predicted: row i of the predictions is row i of this. */
  dataset: Dataset;
  /** `eval_loss`, `eval_accuracy`, …, under Transformers' names; `test_` in place of `eval_` for `predict()`. */
  metrics: Record<string, number>;
};

/** How a model card presents a task. */
export interface TaskCard {
  /** The Hub's tag: `text-classification`. */
  tag: string;
  name: string;
  /** Python that uses the model of this repository. */
  usage(repository: string): string;
  /** Names of the classes, where there are some. */
  labels?: readonly string[];
}

/**
 * What is learned, and how well: all that a Trainer has to ask about it. `F` is what the predictions for a dataset come to, `P` the prediction for
 * a row.
 *
 * ```ts
 * const lengths: Task<{ predictions: number[]; labels: number[] | undefined }, [number, number | undefined]> = {
 *   name: "length",
 *   collate: (rows, pad) => ({ ...pad(rows), labels: { data: Float32Array.from(rows, (row) => row.input_ids.length), shape: [rows.length], dtype: "f32" } }),
 *   decode: ({ logits }, { arrays }) => Array.from(logits.data, (value, i) => [value, arrays["labels"]?.data[i]]),
 *   gather: (found) => ({ predictions: found.map(([value]) => value), labels: found.map(([, label]) => label!) }),
 *   metrics: ({ predictions, labels }) => ({ mae: meanAbsoluteError(labels, predictions) }),
 * };
 * ```
 */
export interface Task<F extends Found = Found, P = unknown> {
  /** `text-classification`, … */
  readonly name: string;
  /** Rows as tokens, where that takes more than their texts; tokens are then not made ahead. */
  encode?(rows: readonly Row[], tokenizer: BatchTokenizer, maxLength: number): EncodedRow[];
  /** Makes a batch of rows: tokens, padded by `pad`, and what the loss needs. Without {@link labelNames} there is no loss. */
  collate: Collate;
  /** The arrays without which there is nothing to learn. Default `labels`. */
  readonly labelNames?: readonly string[];
  /** Whether `collate` takes more of a row than its label: where tokens were made ahead, rows are then read again. */
  readonly readsRows?: boolean;
  /** Looks at what goes to the device unseen by the model. @throws for values that the model would refuse */
  check?(arrays: Arrays, model: TrainableModel): void;
  /** What the model gives for a batch, with a loss where it can have one. Default: its own forward. It may be recorded. */
  forward?(model: TrainableModel, inputs: Inputs): ModelOutput;
  /** Default: the model's own loss, a mean over rows. */
  createLoss?(setting: LossSetting): Loss | Promise<Loss>;
  /** What is wrong with the arguments of a run; undefined where all is well. */
  problemWith?(args: TrainingArguments): string | undefined;
  /** What a row of so many tokens has beside them, so that what an update takes can be tried without data. Default: label 0. */
  example?(length: number): Readonly<Record<string, unknown>>;
  /** What a batch counts in the mean over the batches of one update, such as its labelled tokens. Default: as its loss says. */
  weightOf?(batch: Batch): number;
  /** What is read back of a model's output, by name; it may be computed on the device. Default: its logits. */
  read?(output: ModelOutput): Readonly<Record<string, Tensor>>;
  /** The predictions for the rows of a batch, with what is known of them, from what was read. */
  decode(read: Readonly<Record<string, NamedArray>>, batch: Batch): P[];
  /** The predictions for all rows of a dataset, in their order. */
  gather(predictions: readonly P[]): F;
  /** Where all rows have labels. @param loss of the evaluation */
  metrics(found: Labelled<F>, loss?: number): Record<string, number>;
  /** The names of the metrics, where they are known beforehand: one that a run goes by has to be among them. */
  readonly metricNames?: readonly string[];
  /** What a report shows of an evaluation, beside its metrics. */
  findings?(evaluated: Evaluated<F>): Promise<Findings>;
  /** An evaluation for people. @param unit what rows are called */
  summary?(evaluated: Evaluated<Labelled<F>>, unit: string): string;
  /** What the model gives, in words: `3 labels`. */
  readonly output?: string;
  /** What decides how it is learned beside the arguments, by name: the report and the model's card list it. */
  readonly facts?: Readonly<Record<string, string>>;
  /** The same task with models of its own on the present device, where it has any: what an update takes is tried on another one. */
  twin?(): Pick<Task<F, P>, "collate" | "example" | "forward"> & { dispose(): void };
  /** What is saved beside the model and its tokenizer: JSON by the name of its file. */
  readonly files?: Readonly<Record<string, unknown>>;
  /** How the model's card presents it. */
  readonly card?: TaskCard;
}
