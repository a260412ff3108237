import { padRows, type ModelInputs, type Tokenizer } from "@gpugrad/bert";
import type { TextRow } from "./input-rows.ts";

/** The tokens of a text, cut where they are too many, not padded. */
export interface Encoded {
  input_ids: ArrayLike<number>;
  token_type_ids: ArrayLike<number>;
  /** Whether the text has more, where that is known. */
  isCut?: boolean;
}

/** Tokens of texts, or of pairs of texts, `maxLength` each at most. */
export function encodeRows(tokenizer: Tokenizer, rows: readonly TextRow[], maxLength: number): Encoded[] {
  const texts = rows.map(({ text }) => text);
  const textPairs = rows.map(({ text_pair }) => text_pair);
  const encodings = tokenizer.encodeBatch(texts, { textPairs, truncation: true, maxLength });
  return encodings.map(({ input_ids, token_type_ids }) => ({ input_ids, token_type_ids })); // offsets are large
}

/** A batch as models take it, padded to its longest text. @throws {@link GpugradError} when that needs a padding token and there is none */
export function padBatch(tokenizer: Tokenizer, batch: readonly Encoded[]): ModelInputs {
  const { shape, ...columns } = padRows(batch, tokenizer);
  return {
    input_ids: { data: columns.input_ids, shape },
    token_type_ids: { data: columns.token_type_ids, shape },
    attention_mask: { data: columns.attention_mask, shape },
  };
}
