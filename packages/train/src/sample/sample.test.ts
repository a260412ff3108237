import { describe, expect, test } from "vitest";
import { bagOfWordsBaseline } from "./bag-of-words.ts";
import { generateReviews } from "./reviews.ts";
import { SAMPLE_RECIPE } from "./sample.ts";
import { learnWordPieces, trainWordPiece } from "./wordpiece.ts";

/** The splits as `train:imdb --sample` makes them. */
function splits() {
  const { trainRows, testRows } = SAMPLE_RECIPE;
  const train = generateReviews({ count: trainRows, seed: 1 });
  return { train, test: generateReviews({ count: testRows, seed: 2, except: train.map(({ text }) => text) }) };
}

describe("reviews", () => {
  test("are the same for a seed, balanced, different, and read like sentences", () => {
    const reviews = generateReviews({ count: 500, seed: 3 });
    expect(generateReviews({ count: 500, seed: 3 })).toEqual(reviews);
    expect(generateReviews({ count: 500, seed: 4 })[0]).not.toEqual(reviews[0]);
    expect(reviews.filter(({ label }) => label === 1).length).toBe(250);
    expect(new Set(reviews.map(({ text }) => text)).size).toBe(500);
    for (const { text } of reviews) expect(text).toMatch(/^[A-Z][a-z ,.:A-Z]+\.$/);
  });

  test("of the test split are none of the training split's; all fit", () => {
    const { train, test } = splits();
    expect([train.length, test.length]).toEqual([SAMPLE_RECIPE.trainRows, SAMPLE_RECIPE.testRows]);
    const texts = new Set(train.map(({ text }) => text));
    expect(test.some(({ text }) => texts.has(text))).toBe(false);
    const tokenizer = trainWordPiece([...texts], SAMPLE_RECIPE);
    const encodings = [...train, ...test].map(({ text }) => tokenizer.encode(text));
    expect(Math.max(...encodings.map(({ length }) => length))).toBeLessThanOrEqual(SAMPLE_RECIPE.args.maxLength);
    expect(encodings.some(({ input_ids }) => input_ids.includes(tokenizer.unkTokenId!))).toBe(false);
  });

  test("are beyond counting words, though not altogether", () => {
    const { train, test } = splits();
    const { accuracy } = bagOfWordsBaseline(train, test);
    expect(accuracy).toBeGreaterThan(0.75);
    expect(accuracy).toBeLessThan(0.88);
  });
});

describe("WordPiece", () => {
  test("joins the most frequent pair, then the first in order", () => {
    // l-o-w 3 times, l-o-t once: "l ##o" 4; then "lo ##w" 3; then "lo ##t" 1.
    const vocab = learnWordPieces(["low low, low lot"], 12);
    expect(vocab).toEqual("[PAD] [UNK] [CLS] [SEP] [MASK] ##o ##t ##w , l lo low".split(" "));
    expect(learnWordPieces(["low low, low lot"], 100).slice(-2)).toEqual(["low", "lot"]);
    expect(() => learnWordPieces(["low"], 6)).toThrow("vocabSize 6 is below the 8 special tokens and letters");
  });

  test("encodes by the longest piece, lower-cased, without accents", () => {
    const tokenizer = trainWordPiece(["low low, low lot"], { vocabSize: 12, maxLength: 16 });
    const pieces = (text: string) => tokenizer.encode(text).input_ids.map((id) => tokenizer.idToToken(id));
    expect(pieces("Löw lot, x")).toEqual(["[CLS]", "low", "lo", "##t", ",", "[UNK]", "[SEP]"]);
    expect(tokenizer.modelMaxLength).toBe(16);
  });
});

describe("bag of words", () => {
  test("learns which words are predictive", () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({
      text: i % 2 ? `good film ${i}` : `bad film ${i}`,
      label: i % 2,
    }));
    expect(bagOfWordsBaseline(rows.slice(0, 40), rows.slice(40)).accuracy).toBe(1);
    expect(() => bagOfWordsBaseline([{ text: "a", label: 2 }], [])).toThrow("labels are to be 0 or 1: found 2");
  });
});
