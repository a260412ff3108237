import { add, cast, cumsum, mul, ne, ones, sub, type Tensor } from "@gpugrad/tensor";

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

/** The numbers 0, 1, … of `count` positions, i32. They are made on the device, so that they can be recorded: `arange` uploads. */
export const firstPositions = (count: number): Tensor => sub(cumsum(ones([count], { dtype: "i32" }), { dim: 0 }), 1);
