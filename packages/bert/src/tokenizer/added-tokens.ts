import { check } from "@gpugrad/tensor";
import { isWhiteSpace, wordCharacters } from "./unicode.ts";

/** A token that is found in the text as it is written, before words are split. */
export interface AddedToken {
  id: number;
  content: string;
  /** Only where no letter or digit is next to it. */
  single_word: boolean;
  /** Takes the white space before it along. */
  lstrip: boolean;
  /** Takes the white space after it along. */
  rstrip: boolean;
  /** Looked for in the normalized text. */
  normalized: boolean;
  special: boolean;
}

/** A stretch of a text: an added token, or what lies between two. */
export interface Section {
  start: number;
  end: number;
  token?: AddedToken;
}

/**
 * Splits a text into added tokens (the leftmost, of those the longest) and what lies between, as Hugging Face's Rust tokenizers
 * do, in time linear in the text. The generator yields undefined between two windows: a place to pause.
 *
 * @param form The content as the text has it: itself, or normalized.
 * @param splitSpecial Leave special tokens in the text as ordinary words.
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/tokenizer/added_vocabulary.rs `find_matches`
 */
export function addedTokenFinder(
  tokens: readonly AddedToken[],
  form: (content: string) => string,
  splitSpecial = false,
): (text: string) => Generator<Section | undefined> {
  const byContent = new Map(tokens.map((token) => [form(token.content), token]));
  byContent.delete("");
  const search = new WordSearch([...byContent.keys()]);

  return function* (text) {
    let done = 0; // what is before belongs to a section
    let from = 0; // where the next match may begin
    let spacesEnd = 0; // of the white space that was last taken along
    for (let at = 0; byContent.size > 0 && at < text.length; at += search.window) {
      if (at > 0) yield undefined;
      for (const [first, last] of search.longest(text, at, Math.min(at + search.window, text.length))) {
        if (first < from) continue; // inside of the match before
        from = last;
        const token = byContent.get(text.slice(first, last))!;
        if (splitSpecial && token.special) continue;
        if (token.single_word && (wordEnds(text, first) || wordBegins(text, last))) continue;
        let [start, end] = [first, last];
        if (token.lstrip) {
          while (start > done && isWhiteSpace(text[start - 1]!)) start--;
          start = Math.max(start, done);
        }
        if (token.rstrip) {
          if (end >= spacesEnd)
            for (spacesEnd = end; spacesEnd < text.length && isWhiteSpace(text[spacesEnd]!);) spacesEnd++;
          end = spacesEnd;
        }
        if (start >= end) continue;
        // Of white space that the token before took along, a token may be made once more.
        if (start > done) yield { start: done, end: start };
        yield { start, end, token };
        done = end;
      }
    }
    if (done < text.length) yield { start: done, end: text.length };
  };
}

const wordCharacter = new RegExp(`^${wordCharacters}$`, "v");

const wordBegins = (text: string, at: number): boolean =>
  at < text.length && wordCharacter.test(String.fromCodePoint(text.codePointAt(at)!));

function wordEnds(text: string, at: number): boolean {
  if (at === 0) return false;
  const pair = at > 1 ? text.codePointAt(at - 2)! : 0; // beyond U+FFFF where the two units before are one character
  return wordCharacter.test(pair > 0xffff ? String.fromCodePoint(pair) : text[at - 1]!);
}

/**
 * Finds words in a text: Aho–Corasick over the reversed words, run from right to left, so that at each place it knows the longest
 * word that begins there.
 */
class WordSearch {
  /** By state · 2¹⁶ + UTF-16 unit: the state that comes next. State 0 is the beginning of all words. */
  readonly #edges = new Map<number, number>();
  /** By UTF-16 unit: whether a state follows state 0. Most units of a text need only this look-up. */
  readonly #begins = new Uint8Array(0x10000);
  /** By state: the state of its longest proper suffix. */
  readonly #fallback = [0];
  /** By state: the length of the longest word that has been read, 0 for none. */
  readonly #found = [0];
  readonly #longestWord: number;
  /** UTF-16 units to search at a time. */
  readonly window: number;

  constructor(words: readonly string[]) {
    this.#longestWord = words.reduce((most, { length }) => Math.max(most, length), 0);
    this.window = Math.max(this.#longestWord, 16_384); // what is searched twice is at most as much again
    const parents: [parent: number, unit: number][] = [[0, 0]];
    const depths = [0];
    for (const word of words) {
      check(
        !/\p{Surrogate}/u.test(word),
        () => `tokenizer: added token ${JSON.stringify(word)}: half of a surrogate pair.`,
      );
      let state = 0;
      for (let i = word.length - 1; i >= 0; i--) {
        const edge = state * 0x10000 + word.charCodeAt(i);
        const next = this.#edges.get(edge) ?? parents.length;
        if (next === parents.length) {
          this.#edges.set(edge, next);
          parents.push([state, word.charCodeAt(i)]);
          depths.push(word.length - i);
          this.#found.push(0);
        }
        state = next;
      }
      this.#found[state] = word.length;
      this.#begins[word.charCodeAt(word.length - 1)] = 1;
    }
    // Shorter states first: a suffix is shorter.
    const states = parents.map((_, state) => state).sort((a, b) => depths[a]! - depths[b]!);
    for (const state of states.slice(1)) {
      const [parent, unit] = parents[state]!;
      const suffix = parent === 0 ? 0 : this.#next(this.#fallback[parent]!, unit);
      this.#fallback[state] = suffix;
      this.#found[state] ||= this.#found[suffix]!;
    }
  }

  /** Start and end of the longest word that begins at each place from `start` to `end`, in order. */
  longest(text: string, start: number, end: number): [start: number, end: number][] {
    const found: [number, number][] = [];
    let state = 0;
    for (let i = Math.min(end + this.#longestWord, text.length) - 1; i >= start; i--) {
      const unit = text.charCodeAt(i);
      if (state === 0 && this.#begins[unit] === 0) continue;
      state = this.#next(state, unit);
      const length = this.#found[state]!;
      if (length > 0 && i < end) found.push([i, i + length]);
    }
    return found.reverse();
  }

  #next(from: number, unit: number): number {
    for (let state = from; ; state = this.#fallback[state]!) {
      const next = this.#edges.get(state * 0x10000 + unit);
      if (next !== undefined) return next;
      if (state === 0) return 0;
    }
  }
}
