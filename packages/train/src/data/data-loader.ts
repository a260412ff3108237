import { DataError } from "../errors.ts";
import { shuffledIndices } from "../random.ts";
import type { Dataset, Row } from "./dataset.ts";

/** What batches need of a tokenizer; `AutoTokenizer` of @gpugrad/bert gives it. */
export interface BatchTokenizer {
  /** Longest input of the model, in tokens; Infinity where it is not known. */
  readonly modelMaxLength: number;
  /** Texts (or pairs) as ids with special tokens, truncated and padded to one length. */
  encodeBatch(
    texts: readonly string[],
    options: {
      textPairs?: readonly string[];
      truncation: true;
      maxLength: number;
      padding: "longest" | "max_length";
      padToMultipleOf: number;
    },
  ): readonly Record<"input_ids" | "attention_mask" | "token_type_ids", ArrayLike<number>>[];
  /** Writes it into a folder, beside a model. */
  savePretrained?(folder: string): Promise<void>;
}

/** Padded examples as plain arrays, row-major `[B, T]`. */
export type Batch = {
  input_ids: Int32Array; // [B, T]
  attention_mask: Int32Array; // [B, T] 1 for a token, 0 for padding
  token_type_ids: Int32Array; // [B, T] 0 for the first text and padding, 1 for the second
  /** [B] class ids, or numbers where the task is a regression; undefined for rows without labels. */
  labels: Int32Array | Float32Array | undefined;
  shape: readonly [B: number, T: number];
  /** Which rows of the dataset these are. */
  rows: readonly number[];
};

export type CollateOptions = {
  /** Tokens per example at most; longer ones are truncated. Default: the model's limit, at most 512. */
  maxLength?: number;
  /** To the longest of the batch (default), or to `maxLength`, so that every batch has one shape. */
  padding?: "longest" | "max_length";
  /** With `longest`: T is rounded up to a multiple of this, of which `maxLength` is one too; fewer different shapes. */
  padToMultipleOf?: number;
};

/** Tokenizes rows and pads them to one length. `rows[i]` comes from row `numbers[i]` of its dataset. */
export function collate(
  tokenizer: BatchTokenizer,
  rows: readonly Row[],
  numbers: readonly number[],
  options: CollateOptions & { regression?: boolean } = {},
): Batch {
  const { padding = "longest", padToMultipleOf = 1, regression = false } = options;
  const maxLength = options.maxLength ?? Math.min(tokenizer.modelMaxLength, 512);
  const isPair = rows.some((row) => row.text_pair !== undefined);
  const encoded = tokenizer.encodeBatch(
    rows.map((row) => row.text),
    {
      ...(isPair ? { textPairs: rows.map((row) => row.text_pair ?? "") } : {}),
      truncation: true,
      ...{ maxLength, padding, padToMultipleOf },
    },
  );
  const [B, T] = [rows.length, encoded[0]?.input_ids.length ?? 0];
  const matrix = (column: "input_ids" | "attention_mask" | "token_type_ids") => {
    const values = new Int32Array(B * T);
    encoded.forEach((encoding, b) => values.set(encoding[column], b * T));
    return values;
  };
  const labelled = rows.every((row) => row.label !== undefined);
  const targets = rows.map((row) => row.label ?? -1);
  const labels = labelled ? (regression ? Float32Array.from(targets) : Int32Array.from(targets)) : undefined;
  return {
    input_ids: matrix("input_ids"),
    attention_mask: matrix("attention_mask"),
    token_type_ids: matrix("token_type_ids"),
    labels,
    shape: [B, T],
    rows: numbers,
  };
}

export type DataLoaderOptions = CollateOptions & {
  /** Rows per batch (default 8). */
  batchSize?: number;
  /** A new order for each epoch, told by `seed` and the epoch alone (default false: the dataset's order). */
  shuffle?: boolean;
  /** Default 42, as in the Trainer. */
  seed?: number;
  /** Leave out a last batch that is not full (default false). */
  dropLast?: boolean;
  /** These rows in this order, as `--train_indices` gives them; not to be shuffled. */
  indices?: ArrayLike<number>;
  /** Batches that are tokenized ahead while the GPU works (default 2). */
  prefetch?: number;
};

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
  readonly #tokenizer: BatchTokenizer;
  readonly #options: DataLoaderOptions;
  readonly #batchSize: number;

  /** @throws {@link DataError} for a batch size below 1, indices that are to be shuffled, or rows that are not there. */
  constructor(dataset: Dataset, tokenizer: BatchTokenizer, options: DataLoaderOptions = {}) {
    const { batchSize = 8, dropLast = false, indices, shuffle = false } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new DataError(`DataLoader: batchSize is not a whole number above 0: ${batchSize}.`);
    }
    if (indices && shuffle) throw new DataError("DataLoader: indices set the order of rows: leave out shuffle.");
    if (indices) dataset.select(indices); // checks them
    this.dataset = dataset;
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#batchSize = batchSize;
    const rows = indices?.length ?? dataset.length;
    this.length = dropLast ? Math.floor(rows / batchSize) : Math.ceil(rows / batchSize);
  }

  /** Row numbers in the order of an epoch. */
  order(epoch = 0): Int32Array {
    const { indices, shuffle = false, seed = 42 } = this.#options;
    if (indices) return Int32Array.from(indices);
    return shuffle
      ? shuffledIndices(this.dataset.length, seed, epoch)
      : Int32Array.from({ length: this.dataset.length }, (_, i) => i);
  }

  /** The batches of an epoch; `skip` leaves out so many at the start, unread, to go on in the middle of an epoch. */
  async *epoch(epoch = 0, { skip = 0 }: { skip?: number } = {}): AsyncGenerator<Batch> {
    const order = this.order(epoch);
    const { prefetch = 2 } = this.#options;
    const pending: Promise<Batch>[] = [];
    let next = skip;
    const ahead = () => {
      while (next < this.length && pending.length <= prefetch) {
        const k = next++;
        // In a task of its own: the caller first submits its work to the GPU, and tokenizing overlaps with it.
        const batch = new Promise((resolve) => setTimeout(resolve)).then(() => this.#batch(order, k));
        batch.catch(() => {}); // it is thrown where the batch is awaited
        pending.push(batch);
      }
    };
    for (ahead(); pending.length > 0; ahead()) yield await pending.shift()!;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch> {
    return this.epoch(0);
  }

  async #batch(order: Int32Array, k: number): Promise<Batch> {
    const numbers = Array.from(order.subarray(k * this.#batchSize, (k + 1) * this.#batchSize));
    const rows = await Promise.all(numbers.map((i) => this.dataset.row(i)));
    const regression = this.dataset.labels.numLabels === 1;
    return collate(this.#tokenizer, rows, numbers, { ...this.#options, regression });
  }
}
