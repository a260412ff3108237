import type { ModelInputs, Tokenizer } from "@gpugrad/bert";
import { check } from "@gpugrad/tensor";
import type { TextRow } from "./input-rows.ts";

/** The tokens of a text, cut where they are too many, not padded. */
export type Encoded = Pick<ReturnType<Tokenizer["encode"]>, "input_ids" | "token_type_ids">;

/** Tokens of texts, or of pairs of texts, `maxLength` each at most. */
export function encodeRows(tokenizer: Tokenizer, rows: readonly TextRow[], maxLength: number): Encoded[] {
  const texts = rows.map(({ text }) => text);
  const textPairs = rows.map(({ text_pair }) => text_pair);
  const encodings = tokenizer.encodeBatch(texts, { textPairs, truncation: true, maxLength });
  return encodings.map(({ input_ids, token_type_ids }) => ({ input_ids, token_type_ids })); // offsets are large
}

/** A batch as models take it, padded to its longest text on the tokenizer's side. @throws when there is no padding token */
export function padBatch(tokenizer: Tokenizer, batch: readonly Encoded[]): ModelInputs {
  const [B, T] = [batch.length, Math.max(...batch.map(({ input_ids }) => input_ids.length))];
  const shape = [B, T];
  const isPadded = batch.some(({ input_ids }) => input_ids.length < T);
  const pad = tokenizer.padTokenId ?? 0;
  check(
    !isPadded || tokenizer.padTokenId !== undefined,
    "predict: texts of different lengths, but the vocabulary has no padding token. Set pad_token in tokenizer_config.json.",
  );
  const input_ids = new Int32Array(B * T).fill(pad);
  const token_type_ids = new Int32Array(B * T);
  const attention_mask = new Int32Array(B * T);
  for (const [b, row] of batch.entries()) {
    const { length } = row.input_ids;
    const start = b * T + (tokenizer.paddingSide === "left" ? T - length : 0);
    input_ids.set(row.input_ids, start);
    token_type_ids.set(row.token_type_ids, start);
    attention_mask.fill(1, start, start + length);
  }
  return {
    input_ids: { data: input_ids, shape },
    token_type_ids: { data: token_type_ids, shape },
    attention_mask: { data: attention_mask, shape },
  };
}
