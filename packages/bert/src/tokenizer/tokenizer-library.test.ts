import { describe, expect, it } from "vitest";
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

describe("a tokenizer that is not BERT's", () => {
  // Of Python's tokenizers 0.22.
  it.each([
    ["ab  abc's xxx!11", [8, 3, 11, 4, 6, 7, 9, 5, 10, 10], "ab  abc's c!11"],
    ["ca b   c?", [4, 1, 3, 2, 3, 3, 9, 0], "ca b   c<unk>"],
    ["", [], ""],
  ])("encodes and decodes %j as Rust's", (text, ids, decoded) => {
    const encoding = bpe({}).encode(text);
    expect(encoding.input_ids).toEqual(ids);
    expect(bpe({}).decode(ids)).toBe(decoded);
    if (ids.length > 0) expect(() => encoding.offsets).toThrow(/does not keep them/);
  });

  it("names the file in whatever its library throws", () => {
    expect(() => bpe({ normalizer: { type: "Upper" } })).toThrow(
      /tokenizer.json: .* can't read it: Unknown Normalizer/,
    );
    const behavior = { ...split(" "), behavior: 5 };
    expect(() => bpe({ pre_tokenizer: behavior }).encode("a b")).toThrow(/tokenizer.json: .* can't encode with it: .*behavior/); // prettier-ignore
    const content = { type: "Replace", pattern: { Regex: "a" }, content: Symbol() };
    expect(() => bpe({ decoder: content }).decode([1])).toThrow(/tokenizer.json: .* can't decode with it: .*symbol/i);
    const noUnknown = bpe({ model: { type: "WordPiece", vocab: { a: 0 }, max_input_chars_per_word: 9 } });
    expect(() => noUnknown.encode("b")).toThrow(/tokenizer.json: model: no id for an unknown word/);
  });

  it.each(["(a+)+$", "(a|a)*!", "(a|aa)+b", "a*a*a*a*a*a*a*a*!"])(
    "stops a regular expression that backtracks without end: %s",
    (Regex) => {
      const text = `${"a".repeat(100)}?`;
      const encode = (parts: object) => () => bpe(parts).encode(text);
      expect(encode({ pre_tokenizer: split(Regex) })).toThrow(
        /tokenizer.json: .* can't encode with it: stopped after 1006 ms/,
      );
    },
  );

  it("stops one in the normalizer and in the decoder", () => {
    const replace = { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" };
    const vocab = { "<unk>": 0, [`${"a".repeat(100)}?`]: 1 };
    const model = { type: "WordPiece", unk_token: "<unk>", vocab, max_input_chars_per_word: 9 };
    expect(() => bpe({ normalizer: replace }).encode(`${"a".repeat(100)}?`)).toThrow(/stopped after/);
    expect(() => bpe({ decoder: replace, model }).decode([1])).toThrow(/can't decode with it: stopped after/);
  });
});
