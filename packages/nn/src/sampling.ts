import {
  check,
  checked,
  cumsum,
  div,
  amax,
  gather,
  gt,
  le,
  lt,
  maskedFill,
  mul,
  scatter,
  scope,
  slice,
  softmax,
  sort,
  topk,
  where,
  zeros,
  type Tensor,
} from "@gpugrad/tensor";

/** What is done to logits before a token is drawn; in this order. */
export interface FilterOptions {
  /** Logits of tokens in `ids` are divided by this, or multiplied where they are negative. */
  repetitionPenalty?: number | undefined;
  /** i32 [B, n]: tokens so far. */
  ids?: Tensor | undefined;
  temperature?: number | undefined;
  /** Only the k largest, and all that equal the k-th. */
  topK?: number | undefined;
  /** Only the likeliest that together reach this probability. */
  topP?: number | undefined;
  /** Only those at least this times as likely as the likeliest. */
  minP?: number | undefined;
}

/**
 * Logits [B, V] as sampling takes them: −∞ where a token is cut off. `multinomial(softmax(filterLogits(logits, …)), 1)` draws.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/generation/logits_process.py
 */
export const filterLogits = checked(
  "filterLogits",
  {
    logits: "tensor",
    options: {
      ...{ repetitionPenalty: "number?", ids: "tensor?", temperature: "number?" },
      ...{ topK: "index?", topP: "number?", minP: "number?" },
    },
  },
  (logits: Tensor, options: FilterOptions = {}): Tensor => {
    const { repetitionPenalty, ids, temperature = 1, topK, topP, minP } = options;
    check(
      (repetitionPenalty === undefined) === (ids === undefined),
      "filterLogits: repetitionPenalty and ids are given together.",
    );
    check(temperature > 0, () => `filterLogits: temperature is ${temperature}, not a positive number.`);
    check(topK === undefined || topK > 0, () => `filterLogits: topK is ${topK}, not a positive number.`);
    check(topP === undefined || (topP > 0 && topP <= 1), () => `filterLogits: topP is ${topP}, not in (0, 1].`);
    check(minP === undefined || (minP >= 0 && minP <= 1), () => `filterLogits: minP is ${minP}, not in [0, 1].`);
    return scope(() => {
      let x = logits;
      if (repetitionPenalty !== undefined && ids) {
        const seen = gather(x, 1, ids);
        x = scatter(x, 1, ids, where(gt(seen, 0), div(seen, repetitionPenalty), mul(seen, repetitionPenalty)));
      }
      if (temperature !== 1) x = div(x, temperature);
      if (topK !== undefined && topK < x.shape[1]!) {
        const least = slice(topk(x, topK).values, [[], [-1]]);
        x = maskedFill(x, lt(x, least), -Infinity);
      }
      if (topP !== undefined && topP < 1) {
        const { values, indices } = sort(x);
        const beyond = le(cumsum(softmax(values), { dim: 1 }), 1 - topP); // from the unlikeliest on
        x = maskedFill(x, scatter(zeros(x.shape, { dtype: "bool" }), 1, indices, beyond), -Infinity);
      }
      if (minP !== undefined) {
        const probabilities = softmax(x);
        x = maskedFill(x, lt(probabilities, mul(amax(probabilities, { dim: 1, keepdim: true }), minP)), -Infinity);
      }
      return x;
    });
  },
);
