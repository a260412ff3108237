import { expect, test } from "vitest";
import { splitMix64 } from "../../random.ts";
import { maskTokens, wordsOfTokens } from "./mask-tokens.ts";

const vocabulary = { maskTokenId: 4, vocabSize: 50 };
const row = {
  input_ids: [2, ...Array.from({ length: 40 }, (_, i) => 5 + i), 3, 0],
  special_tokens_mask: [1, ...new Array<number>(40).fill(0), 1, 1],
};

/** Whether a share of `trials` lies where chance lets it. */
const isShare = (count: number, trials: number, p: number): boolean =>
  Math.abs(count / trials - p) <= 5 * Math.sqrt((p * (1 - p)) / trials);

test("15 % of the tokens are chosen: of these 80 % become [MASK], 10 % any token, 10 % stay", () => {
  let [chosen, masked, kept] = [0, 0, 0];
  for (let i = 0; i < 2000; i++) {
    const { input_ids, labels } = maskTokens(row, vocabulary, splitMix64(1, i));
    labels.forEach((label, t) => {
      const [id, original] = [input_ids[t]!, row.input_ids[t]!];
      if (label === -100) return expect(id).toBe(original);
      expect([label, row.special_tokens_mask[t]]).toEqual([original, 0]);
      chosen++;
      if (id === vocabulary.maskTokenId) masked++;
      else if (id === original) kept++;
    });
  }
  expect(isShare(chosen, 2000 * 40, 0.15)).toBe(true);
  expect(isShare(masked, chosen, 0.8 + 0.1 / 50)).toBe(true);
  expect(isShare(kept, chosen, 0.1 + 0.1 / 50)).toBe(true);
});

test("words begin at gaps in the offsets and after special tokens; punctuation belongs to the word before it", () => {
  const offsets = [
    [0, 0],
    [0, 3],
    [3, 5],
    [5, 6],
    [7, 9],
    [0, 0],
    [0, 2],
  ] as const; // [CLS] un ##do . it [SEP] we
  expect([...wordsOfTokens(offsets, [1, 0, 0, 0, 0, 1, 0])]).toEqual([-1, 0, 0, 0, 1, -1, 2]);
});

test("whole words: all tokens of a word, all of them [MASK]", () => {
  const words = row.input_ids.map((_, t) => (row.special_tokens_mask[t] ? -1 : Math.floor((t - 1) / 3)));
  let drawn = 0;
  for (let i = 0; i < 2000; i++) {
    const { input_ids, labels } = maskTokens({ ...row, words }, vocabulary, splitMix64(2, i), { wholeWords: true });
    const chosen = new Set(words.filter((_, t) => labels[t] !== -100));
    drawn += chosen.size;
    words.forEach((word, t) => expect([labels[t] !== -100, input_ids[t] === 4]).toEqual(chosen.has(word) ? [true, true] : [false, false])); // prettier-ignore
  }
  expect(isShare(drawn, 2000 * 14, 0.15)).toBe(true);
});

test("the same draws give the same bytes", () => {
  const twice = [0, 1].map(() => maskTokens(row, vocabulary, splitMix64(3, 9), { probability: 0.5 }));
  expect(twice[0]).toEqual(twice[1]);
});
