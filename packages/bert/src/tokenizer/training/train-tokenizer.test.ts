import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { growth } from "../../../test/growth.ts";
import { AutoTokenizer } from "../auto-tokenizer.ts";
import { learnPieces } from "./learn-pieces.ts";
import { trainTokenizer, type TrainTokenizerOptions } from "./train-tokenizer.ts";

// Made by the Rust library: see make_trained_tokenizers.py beside it.
const golden = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/trained-tokenizers.json", import.meta.url), "utf8"),
) as {
  texts: string[];
  cases: { name: string; options: TrainTokenizerOptions; vocab: string[]; merges?: string[] }[];
};

describe("trainTokenizer", () => {
  it.each(golden.cases)("learns what the Rust library does: $name", async ({ options, vocab, merges }) => {
    const tokenizer = await trainTokenizer(golden.texts, options);
    expect(Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.idToToken(id))).toEqual(vocab);
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-vocabulary-"));
    try {
      await tokenizer.savePretrained(folder);
      const saved = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")) as {
        model: { merges?: [string, string][] };
      };
      expect(saved.model.merges?.map((pair) => pair.join(" "))).toEqual(merges);
      const opened = await AutoTokenizer.fromPretrained(folder);
      const text = golden.texts[3]!;
      expect(opened.encode(text).input_ids).toEqual(tokenizer.encode(text).input_ids);
      expect(opened.maskTokenId).toBe(4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("numbers special tokens, letters, letters within words, then pieces: the most frequent first, of equals the first letters' first", async () => {
    const tokenizer = await trainTokenizer(["ab ab cd cd"], { model: "wordpiece", vocabSize: 13 });
    const tokens = Array.from({ length: 8 }, (_, i) => tokenizer.idToToken(5 + i));
    expect(tokens).toEqual(["a", "b", "c", "d", "##b", "##d", "ab", "cd"]);
  });

  it("leaves out the rarest letters, and words with them are unknown", async () => {
    const tokenizer = await trainTokenizer(["ab ab abz"], { model: "wordpiece", limitAlphabet: 2 });
    expect(tokenizer.tokenToId("z")).toBeUndefined();
    expect(tokenizer.encode("abz", { addSpecialTokens: false }).input_ids).toEqual([tokenizer.unkTokenId]);
  });

  it("takes no more than twice the time for twice the words", () => {
    const word = (i: number) => i.toString(7).replace(/\d/g, (digit) => "abcdefg"[Number(digit)]!);
    const ratio = growth(2000, (size) => {
      const counts = new Map(Array.from({ length: size }, (_, i) => [word(i * 7919 + 7), 1 + (i % 5)]));
      learnPieces(counts, { vocabSize: 300, minFrequency: 2, specialTokens: [], prefix: "##" });
    });
    expect(ratio).toBeLessThan(3);
  });

  it.each([
    ["nothing to learn from", [""], { model: "bpe" }, "no words: there are no texts, or they are empty"],
    ["no room for letters", ["abc"], { model: "bpe", vocabSize: 100 }, "vocabSize 100 has no room for 261 special tokens and letters"], // prettier-ignore
    [
      "a size that is not a number",
      ["abc"],
      { model: "bpe", vocabSize: NaN },
      "vocabSize: NaN is not a positive integer",
    ],
    ["another model", ["abc"], { model: "unigram" as "bpe" }, 'model: "unigram" is neither "wordpiece" nor "bpe"'],
    ["special tokens without [CLS]", ["abc"], { model: "wordpiece", specialTokens: ["[UNK]"] }, "no [CLS]"],
  ] as const)("refuses %s", async (_, texts, options, message) => {
    await expect(trainTokenizer(texts, options)).rejects.toThrow(message);
  });
});
