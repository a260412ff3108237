import type { BatchTokenizer } from "./data-loader.ts";
import type { Row } from "./dataset.ts";

/** Some rows as tokens, one row after the other; truncated, not padded. */
export type TokenChunk = {
  ids: Int32Array;
  /** Tokens of each row. */
  lengths: Int32Array;
  /** Tokens of each row that belong to the first text: they have token type 0, those after them 1. */
  firsts: Int32Array;
};

/** The second texts of rows, as a tokenizer takes them; a row without one is encoded as it is without its neighbours. */
export function pairsOf(rows: readonly Row[]): { textPairs?: readonly (string | undefined)[] } {
  return rows.some((row) => row.text_pair !== undefined) ? { textPairs: rows.map((row) => row.text_pair) } : {};
}

/** Rows as tokens, special ones included. */
export function encodeRows(tokenizer: BatchTokenizer, rows: readonly Row[], maxLength: number): TokenChunk {
  const encoded = tokenizer.encodeBatch(
    rows.map((row) => row.text),
    {
      ...pairsOf(rows),
      ...{ truncation: true, maxLength, padding: false, padToMultipleOf: 1 },
    },
  );
  const lengths = Int32Array.from(encoded, ({ input_ids }) => input_ids.length);
  const firsts = Int32Array.from(encoded, ({ token_type_ids }) => {
    const second = Array.prototype.indexOf.call(token_type_ids, 1);
    return second < 0 ? token_type_ids.length : second;
  });
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  encoded.reduce((at, { input_ids }) => (ids.set(input_ids, at), at + input_ids.length), 0);
  return { ids, lengths, firsts };
}
