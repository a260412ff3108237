import { add, cast, cumsum, mul, ne, type Tensor } from "@gpugrad/tensor";

/**
 * RoBERTa's positions: tokens that are not padding count up from `padding` + 1, padding is at `padding`. They come from the ids, not from
 * the attention mask.
 *
 * @param ids i32 [B, T]
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/modeling_roberta.py (create_position_ids_from_input_ids)
 */
export function positionsOfTokens(ids: Tensor, padding: number): Tensor {
  const isToken = cast(ne(ids, padding), "i32");
  return add(mul(cumsum(isToken, { dim: 1 }), isToken), padding);
}
