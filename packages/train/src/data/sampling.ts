import { shuffledIndices } from "../random.ts";

/**
 * The rows of a dataset in random order, with the rows of only a few blocks in memory at a time: blocks are shuffled, then put
 * into windows of `buffer` rows or a little more, and each window is shuffled. The same for the same seed and epoch.
 *
 * @param blockOf the block of a row; rows of one block are neighbours.
 * @see https://huggingface.co/docs/datasets/stream#shuffle (which shuffles shards, then within a buffer)
 */
export function windowedIndices(
  length: number,
  blockOf: (i: number) => number,
  { buffer, seed, epoch = 0 }: { buffer: number; seed: number; epoch?: number },
): Int32Array {
  const starts: number[] = [];
  for (let i = 0, last: number | undefined; i < length; i++) {
    const block = blockOf(i);
    if (block !== last) starts.push(i);
    last = block;
  }
  const rows: number[] = []; // blocks in their new order
  const order = new Int32Array(length);
  let done = 0;
  const shuffleWindow = () => {
    const permutation = shuffledIndices(rows.length, seed + done, epoch);
    for (const i of permutation) order[done++] = rows[i]!;
    rows.length = 0;
  };
  for (const block of shuffledIndices(starts.length, seed, epoch)) {
    for (let i = starts[block]!; i < (starts[block + 1] ?? length); i++) rows.push(i);
    if (rows.length >= buffer) shuffleWindow();
  }
  shuffleWindow();
  return order;
}

/**
 * An order in which rows of like length are together, as Transformers' `LengthGroupedSampler` has it: of an order that is
 * shuffled already, each stretch of 50 groups is sorted, longest first; the longest row of all comes first of all, so that memory that
 * doesn't suffice is noticed at once. Short data has shorter stretches: a quarter of it.
 *
 * @param groupSize rows that one update sees.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/trainer_pt_utils.py
 */
export function lengthGroupedIndices(
  order: ArrayLike<number>,
  lengths: ArrayLike<number>,
  groupSize: number,
): Int32Array {
  const stretch = groupSize * Math.max(1, Math.min(Math.floor(order.length / (groupSize * 4)), 50));
  const grouped = Int32Array.from(order);
  let longest = 0; // the place of the stretch that begins with the longest row
  for (let start = 0; start < grouped.length; start += stretch) {
    grouped.subarray(start, start + stretch).set(sortedByLength(grouped.subarray(start, start + stretch), lengths));
    if (lengths[grouped[start]!]! > lengths[grouped[longest]!]!) longest = start;
  }
  if (grouped.length > 0) [grouped[0], grouped[longest]] = [grouped[longest]!, grouped[0]!];
  return grouped;
}

/** Longest first; rows of one length stay in their order. */
const sortedByLength = (rows: Int32Array, lengths: ArrayLike<number>): Int32Array =>
  rows.slice().sort((a, b) => lengths[b]! - lengths[a]!);

/** How batches are made, as far as padding is concerned. */
export type PaddingOptions = {
  batchSize: number;
  /** Tokens per row at most; longer rows count as this many. */
  maxLength: number;
  padToMultipleOf?: number;
};

/** The share of padding among the tokens of an epoch whose rows come in this order, each batch padded to its longest row or to `maxLength`. */
export function paddingShare(
  lengths: ArrayLike<number>,
  order: ArrayLike<number>,
  { batchSize, maxLength, padToMultipleOf = 1 }: PaddingOptions,
  padding: "longest" | "max_length" = "longest",
): number {
  let [tokens, places] = [0, 0];
  for (let start = 0; start < order.length; start += batchSize) {
    let longest = 0;
    const end = Math.min(start + batchSize, order.length);
    for (let k = start; k < end; k++) {
      const length = Math.min(lengths[order[k]!]!, maxLength);
      tokens += length;
      longest = Math.max(longest, length);
    }
    const width = padding === "max_length" ? maxLength : Math.ceil(longest / padToMultipleOf) * padToMultipleOf;
    places += (end - start) * width;
  }
  return places === 0 ? 0 : 1 - tokens / places;
}

/** What each way to pad and to order would waste: shares of padding among all tokens of the first epoch. */
export type PaddingReport = { max_length: number; longest: number; group_by_length: number };

/**
 * The padding that each way to pad costs, to choose one before training.
 *
 * @example
 * const { lengths } = await tokenizeDataset(train, tokenizer, { maxLength: 256 });
 * paddingReport(lengths, { batchSize: 16, maxLength: 256 }); // { max_length: 0.11, longest: 0.1, group_by_length: 0.002 }
 */
export function paddingReport(
  lengths: ArrayLike<number>,
  options: PaddingOptions & { seed?: number; groupSize?: number },
): PaddingReport {
  const { seed = 42, batchSize, groupSize = batchSize } = options;
  const order = shuffledIndices(lengths.length, seed);
  return {
    max_length: paddingShare(lengths, order, options, "max_length"),
    longest: paddingShare(lengths, order, options),
    group_by_length: paddingShare(lengths, lengthGroupedIndices(order, lengths, groupSize), options),
  };
}
