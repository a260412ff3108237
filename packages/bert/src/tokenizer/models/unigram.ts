import { check } from "@gpugrad/tensor";
import { brief, type Part } from "../stage.ts";
import { byteFallback } from "./byte-fallback.ts";
import { modelInSteps, STEP, type Model, type Word } from "./model.ts";
import { Trie } from "./trie.ts";

/** What an unknown character scores below the least likely token. */
const unknownPenalty = 10;
/** Time grows with the text times the longest token. */
const maxTokenLength = 1000;

/** By place in a word: the score of the best way there, the token it ends with, and where that begins. */
interface BestWays {
  readonly best: Float64Array;
  readonly tokens: Int32Array;
  readonly starts: Int32Array;
}

/**
 * The most likely tokens of a word (Viterbi): at each place the best way to get there. Unknown characters side by side are one token.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/models/unigram/model.rs `encode_optimized`
 */
export function unigram(part: Part, vocab: ReadonlyMap<string, number>): Model {
  const scores = part.list("vocab").map((entry, id) => {
    const score = (entry as unknown[])[1];
    check(
      typeof score === "number" && Number.isFinite(score),
      () => `${part.where}.vocab[${id}]: ${brief(entry)} has no score.`,
    );
    return score;
  });
  const unknown =
    (part.json["unk_id"] ?? null) === null ? undefined : part.integer("unk_id", undefined, [0, scores.length - 1]);
  const bytesOf = part.boolean("byte_fallback", false) ? byteFallback(vocab) : () => undefined;
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - unknownPenalty;
  const trie = new Trie();
  for (const [token, id] of vocab) {
    check(
      token.length <= maxTokenLength,
      () => `${part.where}.vocab: a token of ${token.length} characters is longer than ${maxTokenLength}.`,
    );
    trie.add(token, id);
  }

  const arraysFor = (length: number): BestWays => ({
    ...{ best: new Float64Array(length + 1), tokens: new Int32Array(length + 1), starts: new Int32Array(length + 1) },
  });
  /** Of words that are split without a pause; others have arrays of their own, since they may be split at the same time. */
  const shared = arraysFor(STEP);

  /** The best ways to all places up to the word's end. */
  function* findBest(word: string): Generator<void, BestWays> {
    const ways = word.length <= STEP ? shared : arraysFor(word.length);
    const { best, tokens, starts } = ways;
    starts.fill(-1, 0, word.length + 1);
    best[0] = 0;
    const reach = (start: number, end: number, id: number, score: number) => {
      const candidate = best[start]! + score;
      if (starts[end]! >= 0 && candidate <= best[end]!) return;
      best[end] = candidate;
      tokens[end] = id;
      starts[end] = start;
    };
    for (let at = 0, places = 1; at < word.length; places++) {
      if (places % STEP === 0 && ways !== shared) yield;
      const next = at + (word.codePointAt(at)! > 0xffff ? 2 : 1);
      let hasSingle = false;
      let state = trie.root;
      for (let end = at; end < word.length;) {
        state = trie.next(state, word.charCodeAt(end));
        if (state < 0) break;
        end++;
        const id = trie.valueOf(state);
        if (id < 0) continue;
        reach(at, end, id, scores[id]!);
        hasSingle ||= end === next;
      }
      if (!hasSingle) {
        check(
          unknown !== undefined,
          () => `${part.where}.unk_id: none, and the text has a character that no token has.`,
        );
        reach(at, next, unknown, unknownScore);
      }
      at = next;
    }
    return ways;
  }

  return modelInSteps(function* (word): Generator<void, Word> {
    const { tokens, starts } = yield* findBest(word);
    const found: { id: number; start: number; end: number }[] = [];
    for (let end = word.length; end > 0; end = starts[end]!) {
      const [id, start] = [tokens[end]!, starts[end]!];
      const after = found.at(-1);
      if (id === unknown && after?.id === unknown) after.start = start;
      else found.push({ id, start, end });
    }
    const result = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    for (const { id, start, end } of found.reverse())
      for (const token of (id === unknown && bytesOf(word.slice(start, end))) || [id]) {
        result.ids.push(token);
        result.starts.push(start);
        result.ends.push(end);
      }
    return result;
  });
}
