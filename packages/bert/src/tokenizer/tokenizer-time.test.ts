import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { growth, processorTime } from "../../test/growth.ts";
import { bertTokenizer } from "./auto-tokenizer.ts";
import type { EncodeOptions } from "./encoding.ts";
import { tokenizerPipeline, type Pieces } from "./pipeline.ts";
import { Tokenizer } from "./tokenizer.ts";
import { completeTokenizer } from "./tokenizer-json.ts";

const vocab = [..."[PAD] [UNK] [CLS] [SEP] [MASK] the a b ##a ##b é ! 字".split(" "), "a".repeat(40)];
const tokenizer = bertTokenizer(vocab);
const token = (content: string, flags: object = {}) => ({ content, normalized: false, ...flags });
const withTokens = bertTokenizer(vocab, {
  added_tokens_decoder: Object.fromEntries(
    [
      token("<l>", { lstrip: true }),
      token("<r>", { rstrip: true }),
      token("  ", { rstrip: true }),
      token("<w>", { single_word: true }),
      token("éa", { normalized: true }),
      token("b a", { normalized: true, lstrip: true, rstrip: true }),
      token(`${"a".repeat(300)}b`),
      token(`${"é".repeat(300)}!`, { normalized: true }),
    ].map((entry, i) => [vocab.length + i, entry]),
  ),
});

describe("the time of encode doubles with the text", () => {
  const texts = {
    words: "the a b ",
    "special tokens": "a [SEP] ",
    "special tokens side by side": "[CLS]",
    "special tokens between ideographs": "字[MASK]",
    accents: "éÉ ",
    "combining marks": "\u0301",
    ideographs: "字",
    "white space": " ",
    "other white space": "\u3000\t",
    "one long word": "a",
    "one long word beyond U+FFFF": "𝐀",
    "words of a hundred letters": `${"a".repeat(99)}z `,
    punctuation: "!",
    "control characters": "\u0001\u200b",
    "half a surrogate pair": "\ud835",
  };
  it.each(Object.entries(texts))("%s", (_, piece) => {
    const size = Math.ceil(16_000 / piece.length);
    expect(growth(size, (n) => tokenizer.encode(piece.repeat(n)))).toBeLessThan(3);
    expect(growth(size, (n) => withTokens.encode(piece.repeat(n)))).toBeLessThan(3);
  });

  it.each(["a<l>", "<r> ", "   <l><r>", "<w>a<w> ", "éa ", "b a  ", "b A", "<w>𝐀"])(
    "with added tokens: %j",
    (piece) => {
      const size = Math.ceil(12_000 / piece.length);
      expect(growth(size, (n) => withTokens.encode(piece.repeat(n)))).toBeLessThan(3);
    },
  );

  it.each<[string, EncodeOptions]>([
    ["cut on the right", { maxLength: 9 }],
    ["cut one text", { maxLength: 100, truncation: "only_first" }],
    ["padded", { padding: "longest", padToMultipleOf: 64 }],
  ])("of pairs, %s", (_, options) => {
    const work = (n: number) =>
      tokenizer.encodeBatch(["a é ".repeat(n), "b"], { ...options, textPairs: ["a".repeat(n), "b"] });
    expect(growth(5_000, work)).toBeLessThan(3);
  });

  it("and so does that of offsets and of decoding", () => {
    const encoding = (n: number) => tokenizer.encode("a [SEP] é ".repeat(n));
    const [once, twice] = [encoding(3_000), encoding(6_000)];
    const of = (n: number) => (n === 1 ? once : twice);
    expect(growth(1, (n) => of(n).offsets)).toBeLessThan(3);
    expect(growth(1, (n) => tokenizer.decode(of(n).input_ids, { skipSpecialTokens: true }))).toBeLessThan(3);
  });
});

describe("what is cut off is not tokenized", () => {
  it.each([
    ["words", "a b "],
    ["ideographs", "字"],
    ["accents", "é! "],
    ["special tokens", "a [SEP] "],
  ])("%s", (_, piece) => {
    const [short, long] = [piece.repeat(2_000), piece.repeat(80_000)];
    const cut = (text: string) => tokenizer.encode(text, { truncation: true, maxLength: 64 });
    expect(processorTime(() => cut(long))).toBeLessThan(processorTime(() => tokenizer.encode(long)) / 5);
    expect(cut(long)).toEqual(cut(short));
  });

  it("of a pair, as far as the shorter text goes: that one gets no odd token", () => {
    const [short, long] = ["a ".repeat(100), "b ".repeat(160_000)];
    const cut = (first: string, textPair: string) =>
      tokenizer.encode(first, { textPair, truncation: true, maxLength: 64 });
    const whole = processorTime(() => tokenizer.encode(long));
    const counts = ([first, second]: [string, string]) => {
      const { input_ids } = cut(first, second);
      const of = (token: string) => input_ids.filter((id) => id === vocab.indexOf(token)).length;
      return [of("a"), of("b")];
    };
    for (const texts of [
      [short, long],
      [long, short],
    ] as [string, string][]) {
      expect(counts(texts)).toEqual([30, 31]);
      expect(processorTime(() => cut(...texts))).toBeLessThan(whole / 5);
    }
  });
});

const families = ["roberta", "modernbert", "albert", "deberta", "xlm"].map((kind) => {
  const path = new URL(`../../test/fixtures/tokenizers/${kind}.json`, import.meta.url);
  const { files } = JSON.parse(readFileSync(path, "utf8")) as { files: Record<string, Record<string, unknown>> };
  return [kind, new Tokenizer(files["tokenizer.json"]!, files["tokenizer_config.json"]), files] as const;
});

it.each(families)("one long word has places to pause, in a tokenizer like that of %s", (_, family, files) => {
  const { complete, vocabulary } = completeTokenizer(files["tokenizer.json"]!, files["tokenizer_config.json"]!);
  const tokenize = tokenizerPipeline(complete, vocabulary, false);
  for (const piece of ["a", "thequick", "字海"]) {
    const text = piece.repeat(Math.ceil(25_000 / piece.length));
    const pieces: Pieces = { ids: [], offsets: [], words: [], margins: [] };
    let pauses = 0;
    for (const pause of tokenize(text, pieces)) pauses += pause === undefined ? 1 : 0;
    expect(pauses).toBeGreaterThanOrEqual(24); // one for each 1,024 characters
    expect(pieces.ids).toEqual(family.encode(text, { addSpecialTokens: false }).input_ids);
  }
});

describe.each(families)("a tokenizer like that of %s", (_, family) => {
  it.each(["the sea ", "a", "!", "\u3000\t", "\u0301\u0327", "字海", "👨‍👩‍👧", "\u1112\u1161\u11ab", "x [MASK]<mask>"])(
    "takes time that doubles with the text: %j",
    (piece) => {
      const size = Math.ceil(30_000 / piece.length);
      expect(growth(size, (n) => family.encode(piece.repeat(n)))).toBeLessThan(3);
    },
  );

  it.each(["the sea ", "Она ждала письма. ", "Zoë's café "])("does not tokenize what is cut off: %j", (piece) => {
    const [short, long] = [piece.repeat(800), piece.repeat(20_000)];
    const cut = (text: string) => family.encode(text, { truncation: true, maxLength: 64 });
    expect(processorTime(() => cut(long))).toBeLessThan(processorTime(() => family.encode(long)) / 5);
    expect(cut(long)).toEqual(cut(short));
  });
});

it("encodeBatchAsync gives the same, and leaves the thread to others meanwhile", async () => {
  const texts = ["a [SEP] é ".repeat(45_000), "b".repeat(50_000), "字 ".repeat(45_000)];
  const want = tokenizer.encodeBatch(texts, { padding: true });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const got = await tokenizer.encodeBatchAsync(texts, { padding: true });
  clearInterval(timer);
  expect(got).toEqual(want);
  expect(turns).toBeGreaterThan(5);
  const stop = new AbortController();
  const stopped = tokenizer.encodeBatchAsync(texts, { signal: stop.signal });
  stop.abort(new Error("the client is gone"));
  await expect(stopped).rejects.toThrow("the client is gone");
});
