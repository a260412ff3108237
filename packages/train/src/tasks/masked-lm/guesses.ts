import { softmax } from "../sequence-classification/predictions.ts";

/** A word that may have been hidden, under the names of Transformers' fill-mask pipeline. */
export interface WordGuess {
  score: number;
  token: number;
  token_str: string;
  /** The text with the word in its place. */
  sequence: string;
}

/** What guesses need of a tokenizer; `AutoTokenizer` of @gpugrad/bert gives it. */
export interface GuessDecoder {
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
}

/**
 * The likeliest words for a hidden one, the best first, as Transformers' fill-mask pipeline gives them.
 * @param logits of all words, at the hidden token
 * @param hidden the text's tokens, and which of them it is; where it isn't the only one, sequences show special tokens
 * @param options `targets`: only these tokens are looked at; their scores are those among all words
 * @see https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.FillMaskPipeline
 */
export function wordGuesses(
  logits: ArrayLike<number>,
  hidden: { ids: readonly number[]; place: number; isOnly: boolean },
  tokenizer: GuessDecoder,
  { topK = 5, targets }: { topK?: number; targets?: readonly number[] | undefined } = {},
): WordGuess[] {
  const scores = softmax(logits);
  const candidates = targets ?? scores.map((_, token) => token);
  const best = candidates.toSorted((a, b) => scores[b]! - scores[a]!).slice(0, topK);
  return best.map((token) => ({
    score: scores[token]!,
    token,
    token_str: tokenizer.decode([token]),
    sequence: tokenizer.decode(hidden.ids.with(hidden.place, token), { skipSpecialTokens: hidden.isOnly }),
  }));
}
