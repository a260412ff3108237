import { check } from "@gpugrad/tensor";
import { brief, type Part } from "../stage.ts";
import { byteFallback } from "./byte-fallback.ts";
import { Heap } from "./heap.ts";
import { modelInSteps, STEP, type Model, type Word } from "./model.ts";

/** Places in a word are kept below their rank in one number. */
const maxWord = 2 ** 25;
/** A pair of ids is one number. */
const maxId = 2 ** 26;

const isLess = (a: number, b: number): boolean => a < b;

/**
 * Byte-pair encoding: characters, of which the pair with the lowest rank is merged, until no pair has one. A word of n characters takes n log n.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/models/bpe/word.rs `merge_all`
 */
export function bpe(part: Part, vocab: ReadonlyMap<string, number>): Model {
  const option = (name: string) => (part.json[name] === null ? "" : part.string(name, ""));
  const [prefix, suffix, unknownToken] = ["continuing_subword_prefix", "end_of_word_suffix", "unk_token"].map(option) as [string, string, string]; // prettier-ignore
  const [fusesUnknown, ignoresMerges, fallsBack] = ["fuse_unk", "ignore_merges", "byte_fallback"].map((name) => part.boolean(name, false)); // prettier-ignore
  const dropout = part.json["dropout"] ?? 0;
  check(dropout === 0, () => `${part.where}.dropout: ${brief(dropout)} is not supported, only null.`);
  const { rankOf, merged } = readMerges(part, vocab, prefix);
  const bytesOf = fallsBack ? byteFallback(vocab) : () => undefined;
  const unknown = vocab.get(unknownToken);
  check(
    unknownToken === "" || unknown !== undefined,
    () => `${part.where}.unk_token: the vocabulary has no "${unknownToken}".`,
  );

  /** The characters of a word as tokens, with where each begins and ends. */
  function* characters(word: string) {
    const [ids, starts, ends]: [number[], number[], number[]] = [[], [], []];
    let isUnknown = false; // the token before
    const add = (id: number, start: number, end: number) => {
      ids.push(id);
      starts.push(start);
      ends.push(end);
    };
    let at = 0;
    for (const character of word) {
      if (ids.length % STEP === STEP - 1) yield;
      const end = at + character.length;
      const key = (at > 0 ? prefix : "") + character + (end === word.length ? suffix : "");
      const id = vocab.get(key);
      const bytes = id === undefined ? bytesOf(key) : undefined;
      if (id !== undefined) add(id, at, end);
      else if (bytes) for (const byte of bytes) add(byte, at, end);
      else if (unknown !== undefined) {
        if (isUnknown && fusesUnknown) ends[ends.length - 1] = end;
        else add(unknown, at, end);
      }
      isUnknown = id === undefined && !bytes && unknown !== undefined;
      at = end;
    }
    return { ids, starts, ends };
  }

  return modelInSteps(function* (word): Generator<void, Word> {
    const whole = ignoresMerges ? vocab.get(word) : undefined;
    if (whole !== undefined) return { ids: [whole], ends: [word.length] };
    check(word.length < maxWord, () => `tokenizer: a word of ${word.length} characters. Split the text.`);
    const { ids, starts, ends } = yield* characters(word);
    const next = ids.map((_, i) => i + 1);
    const previous = ids.map((_, i) => i - 1);
    const isGone = new Uint8Array(ids.length);
    const heap = new Heap(isLess);
    const push = (i: number) => {
      const j = next[i]!;
      const rank = j < ids.length ? rankOf(ids[i]!, ids[j]!) : undefined;
      if (rank !== undefined) heap.push(rank * maxWord + i);
    };
    for (let i = 0; i + 1 < ids.length; i++) {
      if (i % STEP === STEP - 1) yield;
      push(i);
    }
    let steps = 0;
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      if (++steps % STEP === 0) yield;
      const i = top % maxWord;
      const id = merged[Math.floor(top / maxWord)]!;
      const j = next[i]!;
      if (isGone[i] || j >= ids.length) continue;
      const rank = rankOf(ids[i]!, ids[j]!);
      if (rank === undefined || merged[rank] !== id) continue; // of a pair that is there no more
      ids[i] = id;
      ends[i] = ends[j]!;
      isGone[j] = 1;
      next[i] = next[j]!;
      if (next[i] < ids.length) previous[next[i]] = i;
      if (previous[i]! >= 0) push(previous[i]!);
      push(i);
    }
    const kept = (_: unknown, i: number) => isGone[i] === 0;
    return { ids: ids.filter(kept), starts: starts.filter(kept), ends: ends.filter(kept) };
  });
}

/** The rank of each pair of tokens, and the token that it becomes by rank. */
function readMerges(part: Part, vocab: ReadonlyMap<string, number>, prefix: string) {
  const ranks = new Map<number, number>();
  const merged: number[] = [];
  let size = 1;
  for (const id of vocab.values()) size = Math.max(size, id + 1);
  check(size <= maxId, () => `${part.where}.vocab: id ${size - 1} is not below ${maxId}.`);
  const keyOf = (left: number, right: number) => left * size + right;
  for (const [rank, merge] of part.list("merges").entries()) {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    check(
      Array.isArray(pair) && pair.length === 2 && pair.every((token) => typeof token === "string"),
      () => `${part.where}.merges[${rank}]: ${brief(merge)} is not a pair of tokens.`,
    );
    const [left, right] = pair as [string, string];
    const tokens = [left, right, left + (right.startsWith(prefix) ? right.slice(prefix.length) : right)];
    const ids = tokens.map((token) => {
      const id = vocab.get(token);
      check(id !== undefined, () => `${part.where}.merges[${rank}]: the vocabulary has no ${brief(token)}.`);
      return id;
    });
    ranks.set(keyOf(ids[0]!, ids[1]!), rank);
    merged.push(ids[2]!);
  }
  return { rankOf: (left: number, right: number) => ranks.get(keyOf(left, right)), merged };
}
