import type { Random } from "../../random.ts";

/** What a loss leaves out, as in PyTorch. */
export const IGNORED = -100;

/** What is hidden of a text, and how. */
export interface MaskingOptions {
  /** How likely it is that a token, or a word, is chosen. Default 0.15. */
  probability?: number;
  /** Words are chosen with all of their tokens, and all of these become [MASK]. Default false. */
  wholeWords?: boolean;
}

/** A text's tokens, ready to be hidden in part. */
export interface MaskableTokens {
  readonly input_ids: ArrayLike<number>;
  /** 1 for tokens that are not of the text: they are never chosen. */
  readonly special_tokens_mask: ArrayLike<number>;
  /** The word that each token belongs to, -1 for none: needed for whole words. */
  readonly words?: ArrayLike<number>;
}

/** What masking needs of a tokenizer. */
export interface MaskVocabulary {
  readonly maskTokenId: number;
  readonly vocabSize: number;
}

/** Of the tokens that are chosen, these shares become [MASK] and any token at all; the rest stay. */
const [BECOMES_MASK, BECOMES_RANDOM] = [0.8, 0.1];

/**
 * Hides tokens, and returns which they were: labels are the original ids where a token was chosen, else -100. Each token (or word) is chosen by itself; of
 * those chosen, 80 % become [MASK], 10 % a token drawn from the whole vocabulary, and 10 % stay. With whole words, all become [MASK].
 * @see https://huggingface.co/docs/transformers/main_classes/data_collator#transformers.DataCollatorForLanguageModeling
 */
export function maskTokens(
  { input_ids, special_tokens_mask, words }: MaskableTokens,
  { maskTokenId, vocabSize }: MaskVocabulary,
  random: Random,
  { probability = 0.15, wholeWords = false }: MaskingOptions = {},
): { input_ids: Int32Array; labels: Int32Array } {
  const ids = Int32Array.from(input_ids);
  const labels = new Int32Array(ids.length).fill(IGNORED);
  const isDrawn = (): boolean => random.uniform() < probability;
  const chosen = wholeWords
    ? wholeWordsOf(
        words!,
        Array.from(words!, (word, i) => word >= 0 && words![i - 1] !== word && isDrawn()),
      )
    : Array.from(ids, (_, i) => !special_tokens_mask[i] && isDrawn());
  for (const [i, isChosen] of chosen.entries()) {
    if (!isChosen) continue;
    labels[i] = ids[i]!;
    const draw = wholeWords ? 0 : random.uniform();
    if (draw < BECOMES_MASK) ids[i] = maskTokenId;
    else if (draw < BECOMES_MASK + BECOMES_RANDOM) ids[i] = random.below(vocabSize);
  }
  return { input_ids: ids, labels };
}

/**
 * The word of each token, from 0; -1 for special tokens. A word begins where there is a gap in the offsets, or after a special token: so punctuation
 * belongs to the word before it, as in Transformers 5.
 * @param offsets start and end of each token in its text
 */
export function wordsOfTokens(
  offsets: readonly (readonly [start: number, end: number])[],
  special: ArrayLike<number>,
): Int32Array {
  let word = -1;
  return Int32Array.from(offsets, ([start], i) => {
    if (special[i]) return -1;
    if (i === 0 || special[i - 1] || start !== offsets[i - 1]![1]) word++;
    return word;
  });
}

/** Whether each token is chosen, given the words' first tokens that were drawn. */
export function wholeWordsOf(words: ArrayLike<number>, drawn: readonly boolean[]): boolean[] {
  const chosen = new Set(Array.from(words).filter((_, i) => drawn[i]));
  return Array.from(words, (word) => word >= 0 && chosen.has(word));
}
