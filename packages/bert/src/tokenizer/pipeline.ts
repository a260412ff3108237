/** Tokens of a text without special tokens around it; parallel arrays. */
export interface Pieces {
  readonly ids: number[];
  /** Where each token lies in the text: start and end, in code points, one pair after the other. */
  readonly offsets: number[];
  /** Which word of the text each token belongs to. */
  readonly words: number[];
}

/**
 * Adds the tokens of a text to `pieces`, some at a time. Each `yield` is a place to pause, or to stop where enough are there.
 *
 * @param word The number of the word that the text is; left out, its words are counted from 0.
 */
export type Tokenize = (text: string, pieces: Pieces, word?: number) => Generator<void>;
