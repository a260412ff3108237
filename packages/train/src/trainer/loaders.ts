import { sizesOf } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import { DataLoader } from "../data/data-loader.ts";
import type { Dataset } from "../data/dataset.ts";
import { tokenizeDataset, type TokenizedDataset } from "../data/tokenize-dataset.ts";
import type { Task, TrainableModel } from "../tasks/task.ts";
import type { Events } from "./events.ts";

/** What batches are made of. */
export interface LoaderParts {
  args: TrainingArguments;
  model: TrainableModel;
  task: Task;
  tokenizer: BatchTokenizer;
  trainDataset?: Dataset | undefined;
  trainIndices?: ArrayLike<number> | undefined;
  events: Events;
}

/** Makes the batches of a Trainer: to train on, and to evaluate on. */
export class Loaders {
  readonly #parts: LoaderParts;
  /** Tokens that are made ahead, while a run is under way. */
  readonly #tokens = new Map<Dataset, Promise<TokenizedDataset>>();

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /** Tokens per example at most: what was asked for, and no more than model and tokenizer take. */
  get maxLength(): number {
    const { args, model, tokenizer } = this.#parts;
    const { max_position_embeddings: longest = Infinity } = sizesOf(model.config);
    return Math.min(args.maxLength, tokenizer.modelMaxLength, longest);
  }

  /** @throws where there is nothing to train on */
  get batchesPerEpoch(): number {
    const { trainDataset, trainIndices } = this.#parts;
    if (!trainDataset) throw new GpugradError("Trainer: train() needs a trainDataset.");
    const { perDeviceTrainBatchSize, dataloaderDropLast } = this.#parts.args;
    const rows = trainIndices?.length ?? trainDataset.length;
    const batches = (dataloaderDropLast ? Math.floor : Math.ceil)(rows / perDeviceTrainBatchSize);
    if (batches > 0) return batches;
    throw new GpugradError(
      `Trainer: an epoch has no batch: ${rows} rows in batches of ${perDeviceTrainBatchSize}` +
        `${dataloaderDropLast ? ", and the last one is left out if it isn't full" : ""}.`,
    );
  }

  async train(): Promise<DataLoader> {
    void this.batchesPerEpoch; // says what is missing
    const { args, trainDataset, trainIndices, tokenizer, task } = this.#parts;
    const groupByLength = args.trainSamplingStrategy === "group_by_length";
    if (task.encode && (groupByLength || args.dataloaderNumWorkers > 0))
      throw new GpugradError(
        `Trainer: ${task.name} makes its tokens batch by batch, but ${groupByLength ? "trainSamplingStrategy is group_by_length" : "dataloaderNumWorkers is not 0"}, which needs them ahead. Leave it out.`,
      );
    const tokenized = groupByLength || args.dataloaderNumWorkers > 0 ? await this.#tokensOf(trainDataset!) : undefined;
    return new DataLoader(trainDataset!, tokenizer, {
      ...this.#common(tokenized),
      batchSize: args.perDeviceTrainBatchSize,
      seed: args.dataSeed ?? args.seed,
      dropLast: args.dataloaderDropLast,
      ...(trainIndices ? { indices: trainIndices } : { shuffle: args.trainSamplingStrategy !== "sequential" }),
      ...(args.shuffleBuffer !== null && { shuffleBuffer: args.shuffleBuffer }),
      ...(groupByLength && { groupByLength, groupSize: args.perDeviceTrainBatchSize * args.gradientAccumulationSteps }),
    });
  }

  /** @param options.repeats whether the run reads it again: its tokens are then kept */
  async evaluation(dataset: Dataset, { repeats }: { repeats: boolean }): Promise<DataLoader> {
    const { args, tokenizer, task } = this.#parts;
    const tokenized = repeats && tokenizer.savePretrained && !task.encode ? await this.#tokensOf(dataset) : undefined;
    return new DataLoader(dataset, tokenizer, { ...this.#common(tokenized), batchSize: args.perDeviceEvalBatchSize });
  }

  #common(tokenized: TokenizedDataset | undefined) {
    const { args, task } = this.#parts;
    return {
      ...{ maxLength: this.maxLength, padding: args.padding, prefetch: args.dataloaderPrefetch },
      ...{ collate: task.collate, readsRows: task.readsRows === true },
      ...(task.encode && { encode: task.encode.bind(task) }),
      ...(tokenized && { tokenized }),
    };
  }

  /** The tokens of a dataset that is read more than once in a run. */
  async #tokensOf(dataset: Dataset): Promise<TokenizedDataset> {
    const known = this.#tokens.get(dataset);
    if (known) return known;
    const { args, tokenizer, events } = this.#parts;
    const options = { numWorkers: args.dataloaderNumWorkers, maxLength: this.maxLength };
    const tokens = tokenizeDataset(dataset, tokenizer, options);
    this.#tokens.set(dataset, tokens);
    const { note } = await tokens;
    if (note) await events.warn(note);
    return tokens;
  }

  /** Forgets the tokens that were made ahead. */
  async close(): Promise<void> {
    for (const tokens of this.#tokens.values()) await (await tokens.catch(() => undefined))?.close();
    this.#tokens.clear();
  }
}
