/** A word's tokens: the UTF-16 unit at which each ends, and where it begins if that is not where the one before ends. */
export interface Word {
  ids: readonly number[];
  starts?: readonly number[];
  ends: readonly number[];
}

/** Splits a word into tokens. */
export type Model = (word: string) => Word;
