import { argumentCheck } from "@gpugrad/tensor";
import { DataError } from "../errors.ts";
import { partOf } from "../parallel/communicator.ts";
import { shuffledIndices } from "../random.ts";
import {
  collatorFor,
  encodeRows,
  padTokens,
  withLabels,
  type Batch,
  type BatchTokenizer,
  type Collate,
  type Arrays,
  type EncodedRow,
  type Tokens,
} from "./batch.ts";
import type { Dataset, Row } from "./dataset.ts";
import { lengthGroupedIndices, windowedIndices } from "./sampling.ts";
import type { TokenizedDataset } from "./tokenize-dataset.ts";
import { unpackTokens } from "./tokens.ts";

export type CollateOptions = {
  /** Tokens per example at most; longer ones are truncated. Default: the model's limit, at most 512. */
  maxLength?: number;
  /** To the longest of the batch (default), or to `maxLength`, so that every batch has one shape. */
  padding?: "longest" | "max_length";
  /** With `longest`: T is rounded up to a multiple of this, of which `maxLength` is one too; fewer different shapes. */
  padToMultipleOf?: number;
};

/** Tokens of a row at most, unless something else is asked for. */
const maxLengthOf = ({ modelMaxLength }: BatchTokenizer): number => Math.min(modelMaxLength, 512);

/** Tokenizes rows and makes a batch of them. `rows[i]` comes from row `numbers[i]` of its dataset. */
export function collate(
  tokenizer: BatchTokenizer,
  rows: readonly Row[],
  numbers: readonly number[],
  options: CollateOptions & { regression?: boolean } = {},
): Batch {
  const { maxLength = maxLengthOf(tokenizer), regression = false } = options;
  const make = withLabels(regression ? "f32" : "i32");
  const pad = (some: readonly Tokens[]): Arrays => padTokens(some, tokenizer, { ...options, maxLength });
  const arrays = make(encodeRows(tokenizer, rows, maxLength), pad, { rows: numbers, epoch: 0 });
  return { arrays, rows: numbers };
}

export type DataLoaderOptions = CollateOptions & {
  /** Makes tokens of rows. Default: of their texts. */
  encode?: (rows: readonly Row[], tokenizer: BatchTokenizer, maxLength: number) => EncodedRow[];
  /** Makes batches of rows. Default: tokens, and the labels as the dataset has them. */
  collate?: Collate;
  /** Whether `collate` takes more of a row than its label: with `tokenized`, rows are then read as well (default false). */
  readsRows?: boolean;
  /** Rows per batch (default 8). */
  batchSize?: number;
  /** A new order for each epoch, given by `seed` and the epoch alone (default false: the dataset's order). */
  shuffle?: boolean;
  /** Default 42, as in the Trainer. */
  seed?: number;
  /**
   * With `shuffle`: shuffle blocks of rows that lie together in their file, then rows within windows of this many. So only these
   * rows are in memory, where the default, a shuffle of all rows, takes each from another place. A window whose texts have more than 40 Mi
   * characters is larger than what parquet keeps, and is read more than once.
   */
  shuffleBuffer?: number;
  /** Tokens that were made ahead by `tokenizeDataset`, with the same `maxLength`; texts are then not read. */
  tokenized?: TokenizedDataset;
  /** Rows of like length together, so that there is little padding; needs `tokenized`, which knows the lengths (default false). */
  groupByLength?: boolean;
  /** With `groupByLength`: rows that are to be alike. Default `batchSize`; the Trainer's is what one update sees. */
  groupSize?: number;
  /** Leave out a last batch that is not full (default false). */
  dropLast?: boolean;
  /** These rows in this order, as `--train_indices` gives them; not to be shuffled. */
  indices?: ArrayLike<number>;
  /** Batches that are tokenized ahead while the GPU works (default 2). */
  prefetch?: number;
  /** Which part of each batch to make, where several ranks share it. Default: all of it. */
  share?: BatchShare;
};

/** A rank's part of each batch, even to one row. */
export interface BatchShare {
  rank: number;
  /** How many ranks there are. */
  size: number;
  /** Rows to compute at once at most: of a larger part, pieces are made. */
  mostRows: number;
}

const checkLoader = argumentCheck("DataLoader", {
  ...{ dataset: "object", tokenizer: "object" },
  options: {
    ...{ maxLength: "number?", padding: ["longest", "max_length"], padToMultipleOf: "number?", encode: "function?" },
    ...{ collate: "function?", readsRows: "boolean?", batchSize: "any?", shuffle: "boolean?", seed: "number?" },
    ...{ shuffleBuffer: "number?", tokenized: "object?", groupByLength: "boolean?", groupSize: "number?" },
    ...{ dropLast: "boolean?", indices: "any?", prefetch: "number?", share: "object?" },
  },
});

/**
 * Batches of a dataset, epoch by epoch.
 *
 * @example
 * const loader = new DataLoader(train, tokenizer, { batchSize: 16, shuffle: true, maxLength: 256 });
 * for (let epoch = 0; epoch < 3; epoch++) for await (const batch of loader.epoch(epoch)) await step(batch);
 */
export class DataLoader {
  readonly dataset: Dataset;
  /** Batches per epoch. */
  readonly length: number;
  /** Into how many batches each one of `batchSize` rows is cut: one, unless a rank's share is more than it computes at once. */
  readonly pieces: number;
  readonly #tokenizer: BatchTokenizer;
  readonly #options: DataLoaderOptions;
  readonly #batchSize: number;
  readonly #maxLength: number;

  /** @throws {@link DataError} for a batch size below 1, indices that are to be shuffled, or rows that are not there. */
  constructor(dataset: Dataset, tokenizer: BatchTokenizer, options: DataLoaderOptions = {}) {
    checkLoader([dataset, tokenizer, options]);
    const { batchSize = 8, dropLast = false, indices, shuffle = false, tokenized } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new DataError(`DataLoader: batchSize is not a whole number above 0: ${batchSize}.`);
    }
    if (indices && shuffle) throw new DataError("DataLoader: indices set the order of rows: leave out shuffle.");
    if (indices && options.groupByLength) {
      throw new DataError("DataLoader: indices set the order of rows: leave out groupByLength.");
    }
    if (options.groupByLength && !tokenized) {
      throw new DataError(
        "DataLoader: groupByLength needs the lengths of rows: pass tokenized, from tokenizeDataset().",
      );
    }
    if (indices) dataset.select(indices); // checks them
    this.#maxLength = options.maxLength ?? maxLengthOf(tokenizer);
    const { padToMultipleOf = 1 } = options;
    if (this.#maxLength % padToMultipleOf !== 0) {
      throw new DataError(
        `DataLoader: maxLength ${this.#maxLength} is not a multiple of padToMultipleOf ${padToMultipleOf}, so padding would exceed it.`,
      );
    }
    if (tokenized && (tokenized.length !== dataset.length || tokenized.maxLength !== this.#maxLength)) {
      throw new DataError(
        `DataLoader: the tokens are not this dataset's: ${tokenized.length} rows of at most ${tokenized.maxLength} tokens · ` +
          `${dataset.length} rows of at most ${this.#maxLength}. Give tokenizeDataset() the same dataset and maxLength.`,
      );
    }
    this.dataset = dataset;
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#batchSize = batchSize;
    const rows = indices?.length ?? dataset.length;
    const { share } = options;
    this.pieces = share ? Math.ceil(Math.ceil(batchSize / share.size) / share.mostRows) : 1;
    this.length = (dropLast ? Math.floor : Math.ceil)(rows / batchSize) * this.pieces;
  }

  /** Row numbers in the order of an epoch. */
  order(epoch = 0): Int32Array {
    const { indices, shuffle = false, seed = 42, shuffleBuffer, tokenized, groupByLength = false } = this.#options;
    if (indices) return Int32Array.from(indices);
    const { dataset } = this;
    const order = !shuffle
      ? Int32Array.from({ length: dataset.length }, (_, i) => i)
      : shuffleBuffer === undefined
        ? shuffledIndices(dataset.length, seed, epoch)
        : windowedIndices(dataset.length, (i) => dataset.blockOf(i), { buffer: shuffleBuffer, seed, epoch });
    const { groupSize = this.#batchSize } = this.#options;
    return groupByLength ? lengthGroupedIndices(order, tokenized!.lengths, groupSize) : order;
  }

  /** The batches of an epoch; `skip` leaves out that many at the start, unread, to continue in the middle of an epoch. */
  async *epoch(epoch = 0, { skip = 0 }: { skip?: number } = {}): AsyncGenerator<Batch> {
    const order = this.order(epoch);
    const { prefetch = 2 } = this.#options;
    const pending: Promise<Batch>[] = [];
    let next = skip;
    const ahead = () => {
      while (next < this.length && pending.length <= prefetch) {
        const k = next++;
        // In a task of its own: the caller first submits its work to the GPU, and tokenizing overlaps with it.
        const batch = new Promise((resolve) => setTimeout(resolve)).then(() => this.#batch(order, k, epoch));
        batch.catch(() => {}); // it is thrown where the batch is awaited
        pending.push(batch);
      }
    };
    for (ahead(); pending.length > 0; ahead()) yield await pending.shift()!;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch> {
    return this.epoch(0);
  }

  async #batch(order: Int32Array, k: number, epoch: number): Promise<Batch> {
    const { numbers, isSpare } = this.#rowsOf(order, k);
    const { tokenized, collate = collatorFor(this.dataset.labels) } = this.#options;
    const options = { ...this.#options, maxLength: this.#maxLength };
    const rows = tokenized ? await this.#read(numbers, tokenized) : await this.#encode(numbers);
    const pad = (some: readonly Tokens[]): Arrays => padTokens(some, this.#tokenizer, options);
    const arrays = collate(rows, pad, { rows: numbers, epoch });
    return { arrays, rows: numbers, encoded: rows, ...(isSpare && { isSpare }) };
  }

  /** The rows of batch `k`: of the piece `k` that this rank has, where batches are shared. */
  #rowsOf(order: Int32Array, k: number): { numbers: number[]; isSpare: boolean } {
    const { rank, size } = this.#options.share ?? { rank: 0, size: 1 };
    const { pieces } = this;
    const first = Math.floor(k / pieces) * this.#batchSize;
    const all = order.subarray(first, first + this.#batchSize);
    const [begin, end] = partOf(all.length, rank * pieces + (k % pieces), size * pieces);
    const isSpare = begin === end;
    return { numbers: Array.from(isSpare ? all.subarray(0, 1) : all.subarray(begin, end)), isSpare };
  }

  async #encode(numbers: readonly number[]): Promise<EncodedRow[]> {
    const rows = await Promise.all(numbers.map((i) => this.dataset.row(i)));
    const { encode = (some) => encodeRows(this.#tokenizer, some, this.#maxLength) } = this.#options;
    return encode(rows, this.#tokenizer, this.#maxLength);
  }

  async #read(numbers: readonly number[], tokenized: TokenizedDataset): Promise<EncodedRow[]> {
    const { labels } = tokenized;
    const tokens = unpackTokens(await tokenized.read(numbers));
    if (this.#options.readsRows || this.dataset.labels.multiLabel) {
      const rows = await Promise.all(numbers.map((i) => this.dataset.row(i)));
      return tokens.map((own, i) => ({ ...rows[i], ...own }));
    }
    return labels ? tokens.map((own, i) => ({ ...own, label: labels[numbers[i]!]! })) : tokens;
  }
}
