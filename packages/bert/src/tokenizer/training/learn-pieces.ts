import { check } from "@gpugrad/tensor";
import { Heap } from "../models/heap.ts";

/** How a vocabulary is learned. */
export interface PieceOptions {
  /** Tokens at most, special tokens and letters included. */
  vocabSize: number;
  /** Pairs that occur less often are not merged. */
  minFrequency: number;
  /** The first tokens, in this order. */
  specialTokens: readonly string[];
  /** Letters that are tokens whether they occur or not. */
  initialAlphabet?: readonly string[] | undefined;
  /** How many letters are kept, the most frequent ones; words lose the others. */
  limitAlphabet?: number | undefined;
  /** What tokens that continue a word begin with: `##` of WordPiece. */
  prefix?: string | undefined;
}

/** A vocabulary, a token's place being its id, and the pairs that become one token, in the order of their ranks. */
export interface Pieces {
  vocab: string[];
  merges: [left: string, right: string][];
}

/** Pairs of the same two tokens in some words, waiting for their turn. */
interface Candidate {
  pair: number;
  count: number;
  words: number[];
}

/** A pair of ids is one number. */
const SPAN = 2 ** 26;

/** The most frequent pair comes first; of equals, the one with the lesser ids. */
const isBefore = (a: Candidate, b: Candidate): boolean => a.count > b.count || (a.count === b.count && a.pair < b.pair);

/**
 * Byte-pair encoding learned from words, token for token and merge for merge as the Rust library's `BpeTrainer` and `WordPieceTrainer` learn it: words
 * start as letters, and again and again the most frequent pair of neighbours becomes one token. Counts are kept up to date instead of made again, and
 * a heap of candidates may hold counts that are out of date: these go back with the count of now when they come up.
 *
 * The Rust library gives letters that continue a word (`##e`) their ids in the order of a hash map, another one in each run; here they are sorted.
 *
 * @param counts how often each word occurs
 * @throws {@link GpugradError} where the vocabulary has no room for special tokens and letters
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/models/bpe/trainer.rs
 */
export function learnPieces(counts: ReadonlyMap<string, number>, options: PieceOptions): Pieces {
  const { vocabSize, minFrequency, specialTokens, prefix = "" } = options;
  const vocab: string[] = [];
  const ids = new Map<string, number>();
  const idOf = (token: string): number => {
    const known = ids.get(token);
    if (known !== undefined) return known;
    ids.set(token, vocab.length);
    return vocab.push(token) - 1;
  };
  for (const token of specialTokens) idOf(token);
  for (const letter of alphabetOf(counts, options)) idOf(letter);
  const letters = [...counts.keys()].map((word) =>
    Array.from(word).map((c, i) => [c, i > 0 ? prefix + c : c] as const),
  );
  const kept = letters.map((word) => word.flatMap(([letter, token]) => (ids.has(letter) ? [token] : [])));
  for (const token of [...new Set(kept.flat())].sort(byCodePoint)) idOf(token);
  check(
    vocab.length <= vocabSize,
    () => `trainTokenizer: vocabSize ${vocabSize} has no room for ${vocab.length} special tokens and letters.`,
  );
  const words = kept.map((word) => word.map(idOf));
  const frequencies = [...counts.values()];

  const pairCounts = new Map<number, number>();
  const queue = new Heap(isBefore);
  let found = new Map<number, number[]>(); // pairs that are new, with the words that have them
  const note = (word: number, left: number, right: number, change: 1 | -1): void => {
    const pair = left * SPAN + right;
    pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + change * frequencies[word]!);
    if (change < 0) return;
    const places = found.get(pair);
    if (!places) found.set(pair, [word]);
    else if (places.at(-1) !== word) places.push(word);
  };
  const enqueue = (): void => {
    for (const [pair, places] of found) {
      const count = pairCounts.get(pair)!;
      if (count > 0) queue.push({ pair, count, words: places });
    }
    found = new Map();
  };
  for (const [w, word] of words.entries()) for (let i = 0; i + 1 < word.length; i++) note(w, word[i]!, word[i + 1]!, 1);
  enqueue();

  const ranks = new Map<number, undefined>(); // in order; a pair that is merged a second time has the later rank
  while (vocab.length < vocabSize) {
    const top = queue.pop();
    if (!top) break;
    const count = pairCounts.get(top.pair)!;
    if (top.count !== count) {
      queue.push({ ...top, count });
      continue;
    }
    if (count < Math.max(1, minFrequency)) break;
    const [left, right] = [Math.floor(top.pair / SPAN), top.pair % SPAN];
    const merged = idOf(vocab[left]! + withoutPrefix(vocab[right]!, prefix));
    ranks.delete(top.pair);
    ranks.set(top.pair, undefined);
    for (const w of top.words) merge(words[w]!, left, right, merged, (a, b, change) => note(w, a, b, change));
    enqueue();
  }
  const merges = Array.from(ranks.keys(), (pair): Pieces["merges"][number] => [
    vocab[Math.floor(pair / SPAN)]!,
    vocab[pair % SPAN]!,
  ]);
  return { vocab, merges };
}

const withoutPrefix = (token: string, prefix: string): string =>
  token.startsWith(prefix) ? token.slice(prefix.length) : token;

/** Makes one token of each pair in a word, from the left, and says which pairs of neighbours come and go. */
function merge(
  word: number[],
  left: number,
  right: number,
  merged: number,
  note: (left: number, right: number, change: 1 | -1) => void,
): void {
  let length = 0;
  for (let i = 0; i < word.length; i++) {
    if (word[i] !== left || word[i + 1] !== right) {
      word[length++] = word[i]!;
      continue;
    }
    const [before, after] = [word[length - 1], word[i + 2]];
    if (length > 0) {
      note(before!, left, -1);
      note(before!, merged, 1);
    }
    if (after !== undefined) {
      note(right, after, -1);
      note(merged, after, 1);
    }
    word[length++] = merged;
    i++;
  }
  word.length = length;
}

/** The letters of words, sorted: those that are kept. */
function alphabetOf(
  counts: ReadonlyMap<string, number>,
  { initialAlphabet = [], limitAlphabet = Infinity }: PieceOptions,
): string[] {
  const letters = new Map<string, number>();
  for (const [word, count] of counts)
    for (const letter of word) letters.set(letter, (letters.get(letter) ?? 0) + count);
  for (const letter of initialAlphabet) letters.set(letter, Infinity);
  const byFrequency = [...letters].sort(([a, x], [b, y]) => (x === y ? byCodePoint(a, b) : y - x));
  return byFrequency.slice(0, limitAlphabet).map(([letter]) => letter).sort(byCodePoint); // prettier-ignore
}

/** Not the order of UTF-16 units, in which letters beyond U+FFFF come before some others. */
function byCodePoint(a: string, b: string): number {
  const [x, y] = [Array.from(a, (c) => c.codePointAt(0)!), Array.from(b, (c) => c.codePointAt(0)!)];
  const at = x.findIndex((code, i) => code !== y[i]);
  return at < 0 ? x.length - y.length : x[at]! - (y[at] ?? -1);
}
