import { describe, expect, it } from "vitest";
import * as browser from "./oniguruma.browser.ts";
import { hasExpressions } from "./regular-expression.ts";
import { Tokenizer } from "./tokenizer.ts";

const tokens = ["<unk>", "a", "b", " ", "c", "!", "'", "s", "ab", " c", "1", " ab"];
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const words = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`; // as GPT-2's
const bpe = (parts: object) =>
  new Tokenizer({
    normalizer: { type: "Replace", pattern: { Regex: "x+" }, content: "c" },
    pre_tokenizer: split(words),
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [["a", "b"], [" ", "c"], [" ", "ab"]], // prettier-ignore
    },
    ...parts,
  });

describe("a pipeline with expressions of the file", () => {
  // Of Python's tokenizers 0.22.
  it.each([
    ["ab  abc's xxx!11", [8, 3, 11, 4, 6, 7, 9, 5, 10, 10], "ab  abc's c!11"],
    ["ca b   c?", [4, 1, 3, 2, 3, 3, 9, 0], "ca b   c<unk>"],
    ["", [], ""],
  ])("encodes and decodes %j as Rust's", (text, ids, decoded) => {
    const encoding = bpe({}).encode(text);
    expect(encoding.input_ids).toEqual(ids);
    expect(bpe({}).decode(ids)).toBe(decoded);
  });

  it("names the part of the file that can't be", () => {
    const refused = (parts: object, message: RegExp) => expect(() => bpe(parts)).toThrow(message);
    refused({ normalizer: { type: "Upper" } }, /tokenizer.json: normalizer: type "Upper" is not supported. Known: /);
    refused({ normalizer: 5 }, /tokenizer.json: normalizer: 5 is not an object/);
    refused({ pre_tokenizer: { ...split(" "), behavior: 5 } }, /pre_tokenizer.behavior: 5 is not one of Removed, /);
    refused({ pre_tokenizer: split("(") }, /tokenizer.json: pre_tokenizer.pattern: "\(": /);
    refused(
      { pre_tokenizer: { type: "Sequence", pretokenizers: [split(" "), { type: "Split" }] } },
      /pre_tokenizer.pretokenizers\[1\].pattern: undefined is not an object/,
    );
    refused(
      { decoder: { type: "Replace", pattern: { Regex: "a" }, content: Symbol() } },
      /decoder.content: undefined is not a string/,
    );
    const model = (parts: object) => ({
      model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]], ...parts },
    });
    refused(model({ merges: [["a", "c"]] }), /model.merges\[0\]: the vocabulary has no "c"/);
    refused(model({ merges: ["a b c"] }), /model.merges\[0\]: "a b c" is not a pair of tokens/);
    refused(model({ merges: { 0: "a b" } }), /model.merges: an object is not a list/);
    refused(model({ unk_token: "<unk>" }), /model.unk_token: the vocabulary has no "<unk>"/);
    refused(model({ dropout: 0.1 }), /model.dropout: 0.1 is not supported, only null/);
    refused(model({ type: "Bigram" }), /model: type "Bigram" is not supported. Known: BPE, Unigram, /);
    const unigram = (parts: object) => ({ model: { type: "Unigram", vocab: [["a", -1]], unk_id: 0, ...parts } });
    refused(unigram({ unk_id: 1 }), /model.unk_id: 1 is not an integer from 0 to 0/);
    refused(unigram({ vocab: [["a", "b"]] }), /model.vocab\[0\]: a list has no score/);
    refused(unigram({ vocab: [["a".repeat(1001), 0]] }), /a token of 1001 characters is longer than 1000/);
    expect(() => bpe(unigram({ unk_id: null })).encode("b")).toThrow(
      /model.unk_id: none, and the text has a character/,
    );
    const charsmap = (precompiled_charsmap: string) => ({ normalizer: { type: "Precompiled", precompiled_charsmap } });
    refused(charsmap("?"), /normalizer.precompiled_charsmap: not base64/);
    refused(charsmap(btoa("\x08\0\0\0abcd")), /a trie of 8 bytes does not fit in 8 bytes/);
    expect(bpe(charsmap(btoa("\x04\0\0\0\xff\xff\xff\xff\0"))).encode("ab").input_ids).toEqual([8]);
    const noUnknown = { model: { type: "WordPiece", vocab: { a: 0 }, max_input_chars_per_word: 9 } };
    refused(noUnknown, /tokenizer: the vocabulary has no "\[UNK\]"/);
  });

  it.each(["(a+)+$", "(a|a)*!", "(a|aa)+b", "a*a*a*a*a*a*a*a*!"])(
    "stops a regular expression that backtracks without end: %s",
    (Regex) => {
      const text = `${"a".repeat(100)}?`;
      const encode = (parts: object) => () => bpe(parts).encode(text);
      expect(encode({ pre_tokenizer: split(Regex) })).toThrow(
        /tokenizer.json: pre_tokenizer: stopped after \d+ ms. Does a regular expression match in very many ways/,
      );
    },
  );

  it("is translated in a browser once the translator is loaded, which a tokenizer with expressions asks for", async () => {
    expect(() => browser.toRegExp("a")).toThrow(/await loadTranslator\(\) before new Tokenizer\(\)/);
    await browser.loadTranslator();
    expect("baab".replace(browser.toRegExp(String.raw`(?<as>a)+`), "c")).toBe("bcb");
    expect(hasExpressions({ pre_tokenizer: { pretokenizers: [split(" ")] } })).toBe(true);
    expect(hasExpressions({ normalizer: null, model: { vocab: { Regex: 0 }, merges: [] } })).toBe(false);
  });

  it("stops one in the normalizer and in the decoder", () => {
    const replace = { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" };
    const vocab = { "<unk>": 0, [`${"a".repeat(100)}?`]: 1 };
    const model = { type: "WordPiece", unk_token: "<unk>", vocab, max_input_chars_per_word: 9 };
    expect(() => bpe({ normalizer: replace }).encode(`${"a".repeat(100)}?`)).toThrow(/stopped after/);
    expect(() => bpe({ decoder: replace, model }).decode([1])).toThrow(/tokenizer.json: decoder: stopped after/);
  });
});
