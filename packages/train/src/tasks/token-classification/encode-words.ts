import type { Tokenizer } from "@gpugrad/bert";
import type { Arrays, EncodedRow } from "../../data/batch.ts";
import type { Row } from "../../data/dataset.ts";
import { DataError } from "../../errors.ts";

/** What a loss leaves out, as in PyTorch. */
export const IGNORED = -100;

/** A sentence as tokens. */
export interface EncodedWords extends EncodedRow {
  /** The tag that each token is to have, -100 where it doesn't count; undefined where the sentence has no tags. */
  readonly tokenTags?: readonly number[];
  /** The tokens that count: the first of each word, or all of a word. */
  readonly counted: readonly number[];
}

/**
 * Sentences as tokens, with the tag of each word on its first token and -100 on the others.
 * @param options `labelAllTokens`: the tag is on all tokens of a word; but what begins an entity continues it there, where there is such a tag
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/token-classification/run_ner.py
 */
export function encodeWords(
  tokenizer: Tokenizer,
  rows: readonly Row[],
  maxLength: number,
  { labelAllTokens, insideOf }: { labelAllTokens: boolean; insideOf: (tag: number) => number },
): EncodedWords[] {
  const words = rows.map((row) => {
    if (Array.isArray(row["words"])) return row["words"] as string[];
    throw new DataError(`token-classification: a row has no words: ${JSON.stringify(row.text).slice(0, 60)}. Read it with taggedDataset().`); // prettier-ignore
  });
  const encoded = tokenizer.encodeBatch(words, { isSplitIntoWords: true, truncation: true, maxLength });
  return encoded.map((encoding, i) => {
    const tags = rows[i]!["tags"] as readonly number[] | undefined;
    const wordIds = encoding.word_ids();
    const isFirst = (t: number): boolean => wordIds[t] !== null && wordIds[t] !== wordIds[t - 1];
    const tokenTags = tags && wordIds.map((word, t) => {
      if (word === null) return IGNORED;
      return isFirst(t) ? tags[word]! : labelAllTokens ? insideOf(tags[word]!) : IGNORED;
    }); // prettier-ignore
    const counted = wordIds.flatMap((word, t) => (word !== null && (labelAllTokens || isFirst(t)) ? [t] : []));
    const { input_ids, token_type_ids } = encoding;
    return { input_ids, token_type_ids, counted, ...(tokenTags && { tokenTags }) };
  });
}

/** How many places each row of a batch is moved to the right, by padding on the left. */
export function shiftsOf({ input_ids, attention_mask }: Arrays): number[] {
  const T = input_ids.shape.at(-1)!;
  return Array.from({ length: input_ids.data.length / T }, (_, b) => {
    const first = attention_mask?.data.subarray(b * T, (b + 1) * T).indexOf(1) ?? 0;
    return Math.max(first, 0);
  });
}

/** Values of each token as an array of the batch, `fill` at padding. */
export function alongTokens(arrays: Arrays, rows: readonly ArrayLike<number>[], fill: number): Arrays["input_ids"] {
  const { shape } = arrays.input_ids;
  const T = shape.at(-1)!;
  const data = new Int32Array(arrays.input_ids.data.length).fill(fill);
  for (const [b, shift] of shiftsOf(arrays).entries()) data.set(Array.from(rows[b]!), b * T + shift);
  return { data, shape, dtype: "i32" };
}
