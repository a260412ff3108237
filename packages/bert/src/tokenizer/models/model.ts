/** A word's tokens: the UTF-16 unit at which each ends, and where it begins if that is not where the one before ends. */
export interface Word {
  ids: readonly number[];
  starts?: readonly number[];
  ends: readonly number[];
}

/** Splits a word into tokens. */
export interface Model {
  (word: string): Word;
  /** The same, some of the work at a time: where words may be long. Each `yield` is a place to pause. */
  readonly inSteps?: (word: string) => Generator<void, Word>;
}

/** How much of a word, in characters or merges, is done between two places to pause: well below a millisecond. */
export const STEP = 1024;

/** A model that can pause, of how it splits a word in steps. */
export function modelInSteps(inSteps: (word: string) => Generator<void, Word>): Model {
  const split = (word: string): Word => {
    const work = inSteps(word);
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
    }
  };
  return Object.assign(split, { inSteps });
}
