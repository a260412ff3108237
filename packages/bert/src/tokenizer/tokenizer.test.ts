import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOf } from "@gpugrad/nn";
import { describe, expect, it } from "vitest";
import { shared } from "../../test/shared.ts";
import { AutoTokenizer } from "./auto-tokenizer.ts";
import type { EncodeBatchOptions, EncodeOptions, Encoding } from "./encoding.ts";
import { Tokenizer } from "./tokenizer.ts";

const vocab =
  "[PAD] [UNK] [CLS] [SEP] [MASK] the movie was great un ##want ##ed , . ! ' a b c d e σας ισ ##σ 豈 豈 don t cafe é ##s <br>".split(
    " ",
  );
const id = (token: string) => vocab.indexOf(token);
const tokenizer = (config: object = {}) =>
  AutoTokenizer.fromPretrained(
    folderOf({ "vocab.txt": `${vocab.join("\n")}\n`, "tokenizer_config.json": JSON.stringify(config) }),
  );
const tokens = (ids: number[]) => ids.map((i) => vocab[i]).join(" ");

describe("Tokenizer", () => {
  it("encodes words, pieces, punctuation and unknown words, with offsets", async () => {
    const t = await tokenizer();
    const text = "The  UNwanted, movie!zzz 👍 é";
    const encoding = t.encode(text);
    expect(tokens(encoding.input_ids)).toBe("[CLS] the un ##want ##ed , movie ! [UNK] [UNK] e [SEP]");
    expect(encoding.token_type_ids).toEqual(Array(12).fill(0));
    expect(encoding.attention_mask).toEqual(Array(12).fill(1));
    expect(encoding.special_tokens_mask).toEqual([1, ...Array<number>(10).fill(0), 1]);
    const parts = encoding.offsets.map(([start, end]) => [...text].slice(start, end).join(""));
    expect(parts).toEqual(["", "The", "UN", "want", "ed", ",", "movie", "!", "zzz", "👍", "é", ""]);
  });

  it("follows the Rust tokenizers where the JavaScript ones differ", async () => {
    const t = await tokenizer();
    expect(tokens(t.encode("ΙΣΣ").input_ids)).toBe("[CLS] ισ ##σ [SEP]"); // no final sigma
    expect(tokens(t.encode("a\uf900b").input_ids)).toBe("[CLS] a 豈 b [SEP]"); // a compatibility ideograph is a word
    expect(tokens(t.encode("a", { textPair: "" }).input_ids)).toBe("[CLS] a [SEP] [SEP]"); // an empty second text counts
    expect(t.encode("a", { textPair: "" }).token_type_ids).toEqual([0, 0, 0, 1]);
  });

  it("finds special tokens in the text, and only as they are written", async () => {
    const t = await tokenizer();
    const encoding = t.encode("the[MASK]was [mask]");
    expect(tokens(encoding.input_ids)).toBe("[CLS] the [MASK] was [UNK] [UNK] [UNK] [SEP]");
    expect(encoding.offsets[2]).toEqual([3, 9]);
    expect(encoding.special_tokens_mask).toEqual([1, 0, 0, 0, 0, 0, 0, 1]);
  });

  it("takes the normalizer's settings from tokenizer_config.json", async () => {
    expect(tokens((await tokenizer({ do_lower_case: false })).encode("the The é").input_ids)).toBe(
      "[CLS] the [UNK] é [SEP]",
    );
    expect(tokens((await tokenizer({ strip_accents: false })).encode("É").input_ids)).toBe("[CLS] é [SEP]");
  });

  describe("truncationSide head_tail", () => {
    const texts = (encoding: Encoding, text: string) =>
      encoding.offsets.map(([start, end]) => [...text].slice(start, end).join(""));

    it("keeps the first quarter of the tokens and the last three, with their offsets", async () => {
      const t = await tokenizer();
      const text = "the movie was great a b c d e , . !";
      const encoding = t.encode(text, { maxLength: 10, truncationSide: "head_tail" });
      expect(tokens(encoding.input_ids)).toBe("[CLS] the movie c d e , . ! [SEP]"); // of 8, 2 and 6
      expect(texts(encoding, text)).toEqual(["", "the", "movie", "c", "d", "e", ",", ".", "!", ""]);
      expect(encoding.special_tokens_mask).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
      expect(encoding.word_ids()).toEqual([null, 0, 1, 6, 7, 8, 9, 10, 11, null]);
      expect(tokens(t.encode(text, { maxLength: 14, truncationSide: "head_tail" }).input_ids)).toBe(
        "[CLS] the movie was great a b c d e , . ! [SEP]",
      );
      expect(tokens(t.encode(text, { maxLength: 3, truncationSide: "head_tail" }).input_ids)).toBe("[CLS] ! [SEP]");
      expect(tokens(t.encode(text, { maxLength: 2, truncationSide: "head_tail" }).input_ids)).toBe("[CLS] [SEP]");
    });

    it("is 128 and 382 of BERT's 510 tokens", async () => {
      const words = Array.from({ length: 600 }, (_, i) => (i < 128 ? "a" : i < 218 ? "b" : "c"));
      const { input_ids } = (await tokenizer()).encode(words.join(" "), {
        maxLength: 512,
        truncationSide: "head_tail",
      });
      expect(tokens(input_ids)).toBe(
        ["[CLS]", ...Array<string>(128).fill("a"), ...Array<string>(382).fill("c"), "[SEP]"].join(" "),
      );
    });

    it("cuts each text of a pair, and fills batches of other rows as they are", async () => {
      const t = await tokenizer();
      const pair = { textPairs: ["e d c b a e d c", undefined], truncation: true, maxLength: 11, truncationSide: "head_tail" } as const; // prettier-ignore
      const rows = t.encodeBatch(["a b c d e a b c", "a b"], pair);
      expect(rows.map(({ input_ids }) => tokens(input_ids))).toEqual([
        "[CLS] a a b c [SEP] e e d c [SEP]",
        "[CLS] a b [SEP]",
      ]);
      expect(rows[0]!.token_type_ids).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    });

    it("is kept by a tokenizer that has it, and by its files, whose truncation_side Transformers takes", async () => {
      const dir = await mkdtemp(join(tmpdir(), "head-tail-"));
      try {
        await (await tokenizer({ truncation_side: "left" })).withTruncationSide("head_tail").savePretrained(dir);
        const config = JSON.parse(await readFile(join(dir, "tokenizer_config.json"), "utf8")) as Record<
          string,
          unknown
        >;
        expect(config).toMatchObject({ truncation_side: "left", gpugrad_head_tail: true });
        const saved = await AutoTokenizer.fromPretrained(dir);
        expect(saved.truncationSide).toBe("head_tail");
        const cut = (t: Tokenizer) => tokens(t.encode("a b c d e", { maxLength: 6 }).input_ids);
        expect(cut(saved)).toBe("[CLS] a c d e [SEP]");
        expect(cut(saved.withTruncationSide("right"))).toBe("[CLS] a b c d [SEP]");
        expect(cut(saved.withTruncationSide("left"))).toBe("[CLS] b c d e [SEP]");
      } finally {
        await rm(dir, { recursive: true });
      }
    });

    it("has no windows", async () => {
      const t = await tokenizer();
      const side = { truncation: true, maxLength: 4, truncationSide: "head_tail" } as const;
      for (const options of [{ stride: 1 }, { returnOverflowingTokens: true }])
        expect(() => t.encodeBatch(["a b c d"], { ...side, ...options })).toThrow(/head_tail keeps both ends/);
      expect(() => t.withTruncationSide("middle" as never)).toThrow(/"middle" is not one of left, right, head_tail/);
    });
  });

  it.each<[EncodeOptions & { textPair?: string }, string]>([
    [{ truncation: true, maxLength: 4 }, "[CLS] a b [SEP]"],
    [{ maxLength: 4 }, "[CLS] a b [SEP]"],
    [{ maxLength: 2 }, "[CLS] [SEP]"],
    [{ maxLength: 1 }, "[CLS] a b c [SEP]"], // as Transformers: no room for the special tokens, so nothing is cut
    [{ truncation: false, maxLength: 4 }, "[CLS] a b c [SEP]"],
    [{ padding: "max_length", maxLength: 7 }, "[CLS] a b c [SEP] [PAD] [PAD]"],
    [{ padding: true, padToMultipleOf: 4 }, "[CLS] a b c [SEP] [PAD] [PAD] [PAD]"],
    [{ addSpecialTokens: false }, "a b c"],
    [{ textPair: "d e d e d", maxLength: 3 }, "[CLS] [SEP] [SEP]"],
    [{ textPair: "d e d e d", maxLength: 6 }, "[CLS] a [SEP] d e [SEP]"],
    [{ textPair: "d", maxLength: 6 }, "[CLS] a b [SEP] d [SEP]"],
    [{ textPair: "d e d e d", maxLength: 9, truncation: "only_first" }, "[CLS] a [SEP] d e d e d [SEP]"],
    [{ textPair: "d e d e d", maxLength: 7, truncation: "only_second" }, "[CLS] a b c [SEP] d [SEP]"],
  ])("cuts and pads: %o", async (options, expected) => {
    expect(tokens((await tokenizer()).encode("a b c", options).input_ids)).toBe(expected);
  });

  it("keeps the offsets of what it keeps, on either side", async () => {
    const offsets = async (side: string, options: EncodeOptions & { textPair?: string }) =>
      (await tokenizer({ truncation_side: side })).encode("un the é unwanted", options).offsets;
    expect(await offsets("right", { maxLength: 5 })).toEqual([[0, 0], [0, 2], [3, 6], [7, 8], [0, 0]]); // prettier-ignore
    expect(await offsets("left", { maxLength: 5 })).toEqual([[0, 0], [9, 11], [11, 15], [15, 17], [0, 0]]); // prettier-ignore
    expect(await offsets("left", { maxLength: 6, textPair: "a b c" })).toEqual([[0, 0], [11, 15], [15, 17], [0, 0], [4, 5], [0, 0]]); // prettier-ignore
  });

  it.each([
    ["BertProcessing", "[CLS] a [SEP] b b [SEP]", [0, 0, 0, 1, 1, 1]],
    ["RobertaProcessing", "[CLS] a [SEP] [SEP] b b [SEP]", [0, 0, 0, 0, 0, 0, 0]],
    ["Other", "a b b", [0, 1, 1]],
  ])("marks the second text as the post-processor %s does", (type, expected, types) => {
    const t = new Tokenizer({
      normalizer: { type: "BertNormalizer", lowercase: true },
      pre_tokenizer: { type: "BertPreTokenizer" },
      ...(type !== "Other" && { post_processor: { type, sep: ["[SEP]", id("[SEP]")], cls: ["[CLS]", id("[CLS]")] } }),
      model: { type: "WordPiece", vocab: Object.fromEntries(vocab.map((token, i) => [token, i])) },
    });
    const encoding = t.encode("a", { textPair: "b b" });
    expect([tokens(encoding.input_ids), encoding.token_type_ids]).toEqual([expected, types]);
    expect(tokens(t.encode("a").input_ids)).toBe(type === "Other" ? "a" : "[CLS] a [SEP]");
  });

  it("uses the one processor of a sequence that adds tokens, wherever it is", () => {
    const byteLevel = { type: "ByteLevel", trim_offsets: true };
    const bert = { type: "BertProcessing", sep: ["[SEP]", id("[SEP]")], cls: ["[CLS]", id("[CLS]")] };
    const encode = (post_processor: object, textPair?: string) => {
      const t = new Tokenizer({
        pre_tokenizer: { type: "WhitespaceSplit" },
        post_processor,
        model: {
          type: "WordPiece",
          unk_token: "[UNK]",
          vocab: Object.fromEntries(vocab.map((token, i) => [token, i])),
        },
      });
      const { input_ids, token_type_ids } = t.encode("a a", { textPair });
      return [tokens(input_ids), token_type_ids];
    };
    const sequence = (...processors: unknown[]) => ({ type: "Sequence", processors });
    for (const processor of [sequence(byteLevel, bert), sequence(bert, byteLevel), sequence(sequence(bert))]) {
      expect(encode(processor)).toEqual(["[CLS] a a [SEP]", [0, 0, 0, 0]]);
      expect(encode(processor, "b")).toEqual(["[CLS] a a [SEP] b [SEP]", [0, 0, 0, 0, 1, 1]]);
    }
    for (const processor of [byteLevel, sequence(byteLevel), sequence()]) {
      expect(encode(processor)).toEqual(["a a", [0, 0]]);
      expect(encode(processor, "b")).toEqual(["a a b", [0, 0, 1]]);
    }
    expect(() => encode(sequence(bert, bert))).toThrow("processors: more than one that adds special tokens");
    expect(() => encode({ type: "Sequence", processors: [null] })).toThrow("tokenizer.json: ");
  });

  it("fills a template that repeats or leaves out a text as the Rust tokenizers do", () => {
    const withTemplates = (single: string, pair: string) => {
      const items = (names: string) =>
        [...names].map((name) =>
          name === "C" ? { SpecialToken: { id: "[CLS]", type_id: 0 } } : { Sequence: { id: name, type_id: 0 } },
        );
      return new Tokenizer({
        normalizer: { type: "BertNormalizer", lowercase: true },
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: { type: "TemplateProcessing", single: items(single), pair: items(pair), special_tokens: {} },
        model: { type: "WordPiece", vocab: Object.fromEntries(vocab.map((token, i) => [token, i])) },
      });
    };
    const twice = withTemplates("CAA", "CAAB");
    const encoding = twice.encode("a b");
    expect(tokens(encoding.input_ids)).toBe("[CLS] a b a b");
    expect(encoding.offsets).toEqual([[0, 0], [0, 1], [2, 3], [0, 1], [2, 3]]); // prettier-ignore
    expect(tokens(twice.encode("a b c", { maxLength: 3 }).input_ids)).toBe("[CLS] a b a b");
    expect(tokens(twice.encode("a b", { textPair: "c" }).input_ids)).toBe("[CLS] a b a b c");
    const without = withTemplates("C", "CB");
    expect(tokens(without.encode("a b").input_ids)).toBe("[CLS]");
    expect(tokens(without.encode("a b", { textPair: "c d" }).input_ids)).toBe("[CLS] c d");
    expect(tokens(without.encode("a b", { padding: true, padToMultipleOf: 3 }).input_ids)).toBe("[CLS] [PAD] [PAD]");
    expect(() => withTemplates("CB", "CAB")).toThrow("single: names Sequence B, but there is only one text");
  });

  it("refuses options and texts that can't be, by name", async () => {
    const t = await tokenizer();
    const encode = (options: object) => () => t.encode("a", options);
    expect(encode({ max_length: 5 })).toThrow(/unknown option max_length. Known: addSpecialTokens,/);
    expect(encode({ maxLength: 2.5 })).toThrow(/maxLength 2.5 is not a non-negative integer/);
    expect(encode({ maxLength: NaN })).toThrow(/maxLength NaN is not/);
    expect(encode({ padding: "right" })).toThrow(/padding "right" is not true, false, "longest"/);
    expect(encode({ truncation: "first" })).toThrow(/truncation "first" is not true, false or one of longest_first,/);
    expect(encode({ padToMultipleOf: 0 })).toThrow(/padToMultipleOf 0 is not a positive integer/);
    expect(() => t.encode(5 as never)).toThrow(/text 0 is 5, not a string/);
  });

  it("says when it cannot cut or pad", async () => {
    const t = await tokenizer();
    const encode = (options: EncodeOptions & { textPair?: string }) => () => t.encode("a b c", options);
    expect(() => t.encode("a", { returnOverflowingTokens: true })).toThrow(/Use encodeBatch\(\[text\], …\)/);
    expect(() => t.encode(["a"])).toThrow(/text 0 is \["a"\], not a string. For words, set isSplitIntoWords/);
    expect(encode({ isSplitIntoWords: true })).toThrow(/text 0 is "a b c", not a list of words/);
    expect(encode({ stride: 2, maxLength: 4 })).toThrow(/stride 2 is not below the 2 tokens of a window/);
    expect(encode({ maxLength: 4, truncation: "only_second" })).toThrow(/no second text/);
    expect(encode({ textPair: "d e d e d", maxLength: 7, truncation: "only_first" })).toThrow(
      /only_first: 4 tokens too many/,
    );
    expect(encode({ maxLength: 7, truncation: true, padding: true, padToMultipleOf: 4 })).toThrow(/not a multiple/);
    expect(() => t.encodeBatch(["a"], { textPairs: [] })).toThrow(/1 texts and 0 second texts/);
  });

  it("pads a batch to its longest row, on either side", async () => {
    const rows = (await tokenizer()).encodeBatch(["a b", "a"], { padding: "longest" });
    expect(rows.map((r) => tokens(r.input_ids))).toEqual(["[CLS] a b [SEP]", "[CLS] a [SEP] [PAD]"]);
    expect(rows[1]!.attention_mask).toEqual([1, 1, 1, 0]);
    expect(rows[1]!.offsets).toEqual([[0, 0], [0, 1], [0, 0], [0, 0]]); // prettier-ignore
    const [, left] = (await tokenizer({ padding_side: "left" })).encodeBatch(["a b", "a"], { padding: true });
    expect(tokens(left!.input_ids)).toBe("[PAD] [CLS] a [SEP]");
    expect(left!.offsets[2]).toEqual([0, 1]);
    expect(tokens((await tokenizer({ truncation_side: "left" })).encode("a b c", { maxLength: 4 }).input_ids)).toBe(
      "[CLS] b c [SEP]",
    );
  });

  it("keeps what is cut off as windows, in the order of the Rust tokenizers", async () => {
    const t = await tokenizer();
    const windows = (options: EncodeBatchOptions, ...texts: string[]) =>
      t.encodeBatch(texts, { truncation: true, returnOverflowingTokens: true, ...options });
    const shown = (encodings: Encoding[]) =>
      encodings.map((e) => tokens(e.input_ids).replaceAll(/\[CLS\] | ?\[SEP\]/g, ""));
    expect(shown(windows({ maxLength: 5, stride: 1 }, "a b c d e"))).toEqual(["a b c", "c d e"]);
    expect(shown(windows({ maxLength: 5, stride: 2 }, "a b c d e"))).toEqual(["a b c", "b c d", "c d e"]);
    expect(shown(windows({ maxLength: 5, truncationSide: "left" }, "a b c d e"))).toEqual(["c d e", "a b"]);
    expect(shown(windows({ maxLength: 2 }, "a b"))).toEqual(["", "a b"]);
    const pairs = windows({ maxLength: 5, textPairs: ["c d e"] }, "a b c");
    expect(shown(pairs)).toEqual(["a c", "b c", "b d", "b e", "c c", "c d", "c e", "a d", "a e"]);
    const batch = windows({ maxLength: 4, padding: true, padToMultipleOf: 4 }, "a b c", "d");
    expect(batch.map((e) => [tokens(e.input_ids), e.sample])).toEqual([
      ["[CLS] a b [SEP]", 0],
      ["[CLS] c [SEP] [PAD]", 0],
      ["[CLS] d [SEP] [PAD]", 1],
    ]);
    const second = windows({ maxLength: 6, truncation: "only_second", textPairs: ["c d e"], stride: 1 }, "a");
    expect(second.map((e) => e.offsets.slice(3, -1))).toEqual([[[0, 1], [2, 3]], [[2, 3], [4, 5]]]); // prettier-ignore
  });

  it("knows the word and the text of each token", async () => {
    const t = await tokenizer();
    const pair = t.encode("unwanted, a", { textPair: "[MASK] b", padding: "max_length", maxLength: 11 });
    expect(tokens(pair.input_ids)).toBe("[CLS] un ##want ##ed , a [SEP] [MASK] b [SEP] [PAD]");
    expect(pair.word_ids()).toEqual([null, 0, 0, 0, 1, 2, null, 0, 1, null, null]);
    expect(pair.sequence_ids()).toEqual([null, 0, 0, 0, 0, 0, null, 1, 1, null, null]);
    expect([pair.charToToken(3), pair.charToToken(9), pair.charToToken(7, 1)]).toEqual([2, undefined, 8]);
    expect(pair.tokenToChars(2)).toEqual([2, 6]);

    const words = t.encode(["un", "wanted,", "", "the é"], { isSplitIntoWords: true, textPair: ["a"], maxLength: 9 });
    expect(tokens(words.input_ids)).toBe("[CLS] un [UNK] , the e [SEP] a [SEP]");
    expect(words.word_ids()).toEqual([null, 0, 1, 1, 3, 3, null, 0, null]);
    expect(words.offsets.slice(1, 6)).toEqual([[0, 2], [0, 6], [6, 7], [0, 3], [4, 5]]); // prettier-ignore
  });

  it("cuts and pads on the side that the call asks for", async () => {
    const t = await tokenizer({ truncation_side: "left" });
    expect(tokens(t.encode("a b c", { maxLength: 3 }).input_ids)).toBe("[CLS] c [SEP]");
    expect(tokens(t.encode("a b c", { maxLength: 3, truncationSide: "right" }).input_ids)).toBe("[CLS] a [SEP]");
    const padded = { padding: "max_length", maxLength: 4, paddingSide: "left" } as const;
    expect(tokens(t.encode("a", padded).input_ids)).toBe("[PAD] [CLS] a [SEP]");
    expect(tokens(t.encode("a b c", { truncation: "do_not_truncate", maxLength: 3 }).input_ids)).toBe(
      "[CLS] a b c [SEP]",
    );
  });

  it("takes its limit from model_max_length", async () => {
    const t = await tokenizer({ model_max_length: 4 });
    expect(tokens(t.encode("a b c", { truncation: true }).input_ids)).toBe("[CLS] a b [SEP]");
    expect(tokens(t.encode("a", { padding: "max_length" }).input_ids)).toBe("[CLS] a [SEP] [PAD]");
    expect((await tokenizer({ model_max_length: 1e30 })).encode("a", { padding: "max_length" }).length).toBe(3);
  });

  it("decodes, skipping special tokens and closing gaps when asked", async () => {
    const t = await tokenizer();
    const { input_ids } = t.encode("Don't, the movie was unwanted!");
    expect(t.decode(input_ids)).toBe("[CLS] don ' t, the movie was unwanted! [SEP]");
    expect(t.decode(input_ids, { skipSpecialTokens: true, cleanUpTokenizationSpaces: true })).toBe(
      "don't, the movie was unwanted!",
    );
    expect(t.batchDecode([[], [999, id("a")]])).toEqual(["", "a"]);
    expect([t.padTokenId, t.unkTokenId, t.clsTokenId, t.sepTokenId, t.maskTokenId]).toEqual([0, 1, 2, 3, 4]);
    expect(t.vocabSize).toBe(new Set(vocab).size);
    expect([t.tokenToId("great"), t.idToToken(8), t.tokenToId("zzz")]).toEqual([8, "great", undefined]);
  });

  it("saves what it read", async () => {
    const dir = await mkdtemp(join(tmpdir(), "tokenizer-"));
    const t = await tokenizer({ do_lower_case: false, model_max_length: 12 });
    await t.savePretrained(dir);
    const again = await AutoTokenizer.fromPretrained(dir);
    expect(again.encode("The unwanted é, the").input_ids).toEqual(t.encode("The unwanted é, the").input_ids);
    expect(again.modelMaxLength).toBe(12);
    const config = JSON.parse(await readFile(join(dir, "tokenizer_config.json"), "utf8")) as object;
    expect(config).toMatchObject({
      tokenizer_class: "BertTokenizer",
      do_lower_case: false,
      cls_token: "[CLS]",
      backend: "tokenizers",
    });
    await rm(dir, { recursive: true });
  });

  it("is saved as BERT's only where it is", async () => {
    const dir = await mkdtemp(join(tmpdir(), "tokenizer-"));
    const model = { type: "WordPiece", unk_token: "[UNK]", vocab: { "[UNK]": 0, a: 1 } };
    for (const normalizer of [{}, { normalizer: null }, { normalizer: { type: "Lowercase" } }]) {
      await new Tokenizer({ ...normalizer, pre_tokenizer: { type: "WhitespaceSplit" }, model }).savePretrained(dir);
      const config = JSON.parse(await readFile(join(dir, "tokenizer_config.json"), "utf8")) as object;
      expect(config).toMatchObject({ backend: "tokenizers", unk_token: "[UNK]" });
      expect(config).not.toHaveProperty("tokenizer_class");
    }
    await rm(dir, { recursive: true });
  });

  it("says when a folder has no tokenizer", async () => {
    await expect(AutoTokenizer.fromPretrained(folderOf({}, "here"))).rejects.toThrow(/here: no tokenizer/);
    await expect(AutoTokenizer.fromPretrained(folderOf({ "spiece.model": "\n" }, "here"))).rejects.toThrow(
      'here: spiece.model without tokenizer.json. Convert it in Python: AutoTokenizer.from_pretrained("here").save_pretrained("here")',
    );
    const roberta = { "vocab.json": '{"<s>":0,"a":1}', "merges.txt": "#version: 0.2\n" };
    await expect(AutoTokenizer.fromPretrained(folderOf(roberta))).rejects.toThrow(
      /no <\/s>. Is it RoBERTa's vocabulary/,
    );
    await expect(AutoTokenizer.fromPretrained(folderOf({ "vocab.txt": "a\nb" }))).rejects.toThrow(
      /no \[CLS\]. Is it BERT's/,
    );
  });
});

describe("golden tokens", () => {
  const bert = shared("data/tokenizers/bert-base-uncased");
  const json = async <T>(path: string) => JSON.parse(await readFile(path, "utf8")) as T;

  const hard = shared("data/golden/bert-base-uncased.rust-tokenizers.cases.json");
  it.skipIf(!bert || !hard)("agree with Rust's on hard strings, from tokenizer.json and from vocab.txt", async () => {
    type Case = { text: string; pair?: string; ids: number[]; type_ids: number[]; offsets: [number, number][] };
    const { cases } = await json<{ cases: Case[] }>(hard!);
    const fromVocabulary = folderOf({ "vocab.txt": await readFile(join(bert!, "vocab.txt"), "utf8") });
    for (const folder of [bert!, fromVocabulary]) {
      const t = await AutoTokenizer.fromPretrained(folder);
      for (const { text, pair, ids, type_ids, offsets } of cases) {
        const encoding = t.encode(text, { textPair: pair });
        expect([text, encoding.input_ids, encoding.token_type_ids, encoding.offsets]).toEqual([
          text,
          ids,
          type_ids,
          offsets,
        ]);
      }
    }
  });

  const saved = shared("reference/train/saved-with-tokenizer");
  it.skipIf(!saved)("are those of a folder that Python saved", async () => {
    const t = await AutoTokenizer.fromPretrained(saved!);
    type Row = {
      text: string | [string, string];
      input_ids: number[];
      token_type_ids: number[];
      attention_mask: number[];
    };
    const about = await json<{ encoded_with_max_length_16: Row[]; vocab_size: number }>(join(saved!, "about.json"));
    expect(t.vocabSize).toBe(about.vocab_size);
    for (const { text, ...columns } of about.encoded_with_max_length_16) {
      const [first, textPair] = [text].flat() as [string, string?];
      expect(t.encode(first, { textPair, truncation: true, padding: "max_length", maxLength: 16 })).toMatchObject(
        columns,
      );
    }
  });
});
