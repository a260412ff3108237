import { sizesOf } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { savedBatchSizes } from "../checkpoint/run-files.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import { DataLoader, type DataLoaderOptions } from "../data/data-loader.ts";
import type { Dataset } from "../data/dataset.ts";
import { tokenizeByRanks } from "../data/join-tokens.ts";
import type { TokenizedDataset } from "../data/tokenize-dataset.ts";
import type { Ranks } from "../parallel/ranks.ts";
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
  ranks: Ranks;
}

/** Makes the batches of a Trainer: to train on, and to evaluate on. */
export class Loaders {
  readonly #parts: LoaderParts;
  /** Tokens that are made ahead, while a run is under way. */
  readonly #tokens = new Map<Dataset, Promise<TokenizedDataset>>();

  /** Rows of a batch in training, of all ranks together. */
  batchSize: number;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.batchSize = parts.args.perDeviceTrainBatchSize * parts.ranks.size;
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
    const { dataloaderDropLast } = this.#parts.args;
    const rows = trainIndices?.length ?? trainDataset.length;
    const batches = (dataloaderDropLast ? Math.floor : Math.ceil)(rows / this.batchSize);
    if (batches > 0) return batches;
    throw new GpugradError(
      `Trainer: an epoch has no batch: ${rows} rows in batches of ${this.batchSize}` +
        `${dataloaderDropLast ? ", and the last one is left out if it isn't full" : ""}.`,
    );
  }

  /**
   * A run that continues on another number of ranks keeps its batches, of which each rank then has another share: the order of the data and
   * the updates are the same.
   */
  async keepBatchSize(from: string | undefined): Promise<void> {
    const { args, ranks, events } = this.#parts;
    const each = args.perDeviceTrainBatchSize;
    const { size } = ranks;
    const saved = from === undefined ? undefined : await savedBatchSizes(from);
    const keeps = saved !== undefined && saved.each === each && saved.all !== each * size;
    this.batchSize = keeps ? saved.all : each * size;
    if (keeps)
      await events.warn(
        `batches of ${from} have ${saved.all} rows, and have so on ${size === 1 ? "one rank" : `${size} ranks`} too: ${size === 1 ? "it" : "each of them"} takes ` +
          `${Math.ceil(saved.all / size)} of them, at most ${each} at once.`,
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
      ...this.#shared(this.batchSize, args.perDeviceTrainBatchSize),
      seed: args.dataSeed ?? args.seed,
      dropLast: args.dataloaderDropLast,
      ...(trainIndices ? { indices: trainIndices } : { shuffle: args.trainSamplingStrategy !== "sequential" }),
      ...(args.shuffleBuffer !== null && { shuffleBuffer: args.shuffleBuffer }),
      ...(groupByLength && { groupByLength, groupSize: this.batchSize * args.gradientAccumulationSteps }),
    });
  }

  /** @param options.repeats whether the run reads it again: its tokens are then kept */
  async evaluation(dataset: Dataset, { repeats }: { repeats: boolean }): Promise<DataLoader> {
    const { args, tokenizer, task } = this.#parts;
    const tokenized = repeats && tokenizer.savePretrained && !task.encode ? await this.#tokensOf(dataset) : undefined;
    const { perDeviceEvalBatchSize: rows } = args;
    return new DataLoader(dataset, tokenizer, {
      ...this.#common(tokenized),
      ...this.#shared(rows * this.#parts.ranks.size, rows),
    });
  }

  /** Batches of this many rows, of which each rank has its share. */
  #shared(batchSize: number, mostRows: number): Pick<DataLoaderOptions, "batchSize" | "share"> {
    const { rank, size } = this.#parts.ranks;
    return { batchSize, ...(size > 1 && { share: { rank, size, mostRows } }) };
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
    const { args, tokenizer, ranks } = this.#parts;
    const options = { numWorkers: args.dataloaderNumWorkers, maxLength: this.maxLength };
    const tokens = tokenizeByRanks(dataset, tokenizer, ranks, options);
    this.#tokens.set(dataset, tokens);
    const { note } = await tokens;
    if (note) await this.#parts.events.warn(note);
    return tokens;
  }

  /** Forgets the tokens that were made ahead. */
  async close(): Promise<void> {
    for (const tokens of this.#tokens.values()) await (await tokens.catch(() => undefined))?.close();
    this.#tokens.clear();
  }
}
