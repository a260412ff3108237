import type { Tokens } from "./batch.ts";

/** The tokens of some rows, one row after the other: what is kept on disk, and sent between threads. */
export type TokenChunk = {
  ids: Int32Array;
  /** Tokens of each row. */
  lengths: Int32Array;
  /** Tokens of each row that belong to the first text: they have token type 0, those after them 1. */
  firsts: Int32Array;
};

/** Rows of tokens in one piece. */
export function packTokens(rows: readonly Tokens[]): TokenChunk {
  const lengths = Int32Array.from(rows, ({ input_ids }) => input_ids.length);
  const firsts = Int32Array.from(rows, ({ input_ids, token_type_ids = [] }) => {
    const second = Array.prototype.indexOf.call(token_type_ids, 1);
    return second < 0 ? input_ids.length : second;
  });
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  rows.reduce((at, { input_ids }) => (ids.set(input_ids, at), at + input_ids.length), 0);
  return { ids, lengths, firsts };
}

/** The rows that were {@link packTokens}. */
export function unpackTokens({ ids, lengths, firsts }: TokenChunk): Tokens[] {
  let at = 0;
  return Array.from(lengths, (length, i) => ({
    input_ids: ids.subarray(at, (at += length)),
    token_type_ids: new Int32Array(length).fill(1, firsts[i]),
  }));
}
