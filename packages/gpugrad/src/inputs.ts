import type { ModelInputs, Tokenizer } from "@gpugrad/bert";
import { collate } from "@gpugrad/train";

/** Texts as a batch that models take, padded to the longest. */
export function encodeTexts(tokenizer: Tokenizer, texts: readonly string[], maxLength: number): ModelInputs {
  const rows = texts.map((text) => ({ text }));
  const { input_ids, attention_mask, token_type_ids, shape } = collate(tokenizer, rows, [...rows.keys()], {
    maxLength,
  });
  return {
    input_ids: { data: input_ids, shape },
    attention_mask: { data: attention_mask, shape },
    token_type_ids: { data: token_type_ids, shape },
  };
}
