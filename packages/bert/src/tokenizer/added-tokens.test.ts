import { readFileSync } from "node:fs";
import { folderOf } from "@gpugrad/nn";
import { describe, expect, it } from "vitest";
import { addedTokenFinder } from "./added-tokens.ts";
import { AutoTokenizer } from "./auto-tokenizer.ts";

// Made by Transformers: see make_added_tokens.py beside it.
const golden = JSON.parse(readFileSync(new URL("../../test/fixtures/added-tokens.json", import.meta.url), "utf8")) as {
  vocab: string[];
  folders: {
    name: string;
    files: Record<string, object>;
    rows: { text: string; ids: number[]; offsets: [number, number][] }[];
  }[];
};
const folder = (files: Record<string, object>) =>
  folderOf(
    {
      "vocab.txt": `${golden.vocab.join("\n")}\n`,
      ...Object.fromEntries(Object.entries(files).map(([name, content]) => [name, JSON.stringify(content)])),
    },
    "here",
  );

describe("added tokens", () => {
  it.each(golden.folders)("are those of Transformers: $name", async ({ files, rows }) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder(files));
    for (const { text, ids, offsets } of rows) {
      const encoding = tokenizer.encode(text);
      expect([text, encoding.input_ids, encoding.offsets]).toEqual([text, ids, offsets]);
    }
  });

  it("are kept in tokenizer.json when they are saved, and found by their ids", async () => {
    const tokenizer = await AutoTokenizer.fromPretrained(
      folder({ "added_tokens.json": { "<X>": golden.vocab.length } }),
    );
    expect(tokenizer.tokenToId("<X>")).toBe(golden.vocab.length);
    expect(tokenizer.decode([5, golden.vocab.length])).toBe("a <X>");
    expect(tokenizer.vocabSize).toBe(golden.vocab.length + 1);
  });

  it("prefer the longest of those that begin at a place, and know no other text", async () => {
    const n = golden.vocab.length;
    const added = { a1: n, a1b: n + 1, "1b2": n + 2, b2b2: n + 3 };
    const tokenizer = await AutoTokenizer.fromPretrained(folder({ "added_tokens.json": added }));
    const tokens = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).input_ids;
    expect(tokens("a1b2b2")).toEqual([
      n + 1,
      golden.vocab.indexOf("2"),
      golden.vocab.indexOf("##b"),
      golden.vocab.indexOf("##2"),
    ]);
    expect(tokens("a11b2b2b2")).toEqual([n, n + 2, n + 3]);
    const far = "x ".repeat(20_000); // over the windows in which the text is searched
    for (const shift of ["", "x", "xx"]) expect(tokens(far + shift + " a1b").at(-1)).toBe(n + 1);
    for (let i = 16_380; i < 16_388; i++)
      expect(tokens(`${"!".repeat(i)}a1b`)).toEqual([...Array<number>(i).fill(golden.vocab.indexOf("!")), n + 1]);
  });

  it("are found in windows, between which there is a pause; no section is empty", () => {
    const token = (content: string, id: number, flags: object = {}) => {
      const none = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
      return { ...none, ...flags, id, content };
    };
    const sections = (text: string, ...tokens: ReturnType<typeof token>[]) =>
      Array.from(
        addedTokenFinder(tokens, (content) => content)(text),
        (section) => section && [section.start, section.end, section.token?.id],
      );
    const x = token("[X]", 7, { lstrip: true, rstrip: true });
    const windows = 3 * 16_384;
    expect(sections("a".repeat(windows), x)).toEqual([undefined, undefined, [0, windows, undefined]]);
    expect(sections("a".repeat(windows))).toEqual([[0, windows, undefined]]); // nothing is looked for
    expect(sections("", x)).toEqual([]);
    expect(sections("[X][X]", x)).toEqual([[0, 3, 7], [3, 6, 7]]); // prettier-ignore
    expect(sections("a [X]  [X] b", x)).toEqual([[0, 1, undefined], [1, 7, 7], [7, 11, 7], [11, 12, undefined]]); // prettier-ignore
    const spaces = token("  ", 8, { lstrip: true }); // all of it is the other token's already
    expect(sections("[X]  a", x, spaces)).toEqual([[0, 5, 7], [5, 6, undefined]]); // prettier-ignore
  });

  it.each<[Record<string, object>, RegExp]>([
    [{ "added_tokens.json": { "<X>": "7" } }, /here: added_tokens.json: "<X>": expected an id/],
    [
      { "tokenizer_config.json": { added_tokens_decoder: [] } },
      /here: .*added_tokens_decoder: expected tokens by their ids/,
    ],
    [
      { "tokenizer_config.json": { added_tokens_decoder: { 7: "x" } } },
      /added_tokens_decoder\["7"\]: "x" is not a token/,
    ],
    [
      { "tokenizer_config.json": { added_tokens_decoder: { 7: { content: "x", lstrip: 1 } } } },
      /lstrip: 1 is not true or/,
    ],
    [{ "tokenizer_config.json": { extra_special_tokens: [5] } }, /extra_special_tokens: 5 is not a token/],
    [{ "tokenizer_config.json": { extra_special_tokens: ["\ud800"] } }, /half of a surrogate pair/],
    [{ "tokenizer_config.json": { do_lower_case: "yes" } }, /do_lower_case: "yes" is not true or false/],
    [{ "tokenizer_config.json": { model_max_length: 0 } }, /model_max_length: 0 is not a positive integer/],
    [{ "tokenizer_config.json": { padding_side: "up" } }, /padding_side: "up" is neither/],
    [{ "tokenizer.json": { model: [] } }, /here: tokenizer.json: model: expected an object/],
    [{ "tokenizer.json": { model: { vocab: { a: -1 } } } }, /model.vocab: "a" has id -1/],
    [{ "tokenizer.json": { model: { vocab: { a: 0 } }, added_tokens: [{}] } }, /added_tokens\[0\]: id: undefined/],
    [
      { "tokenizer.json": { model: { type: "WordLevel", vocab: { a: 0 } }, normalizer: { type: "No" } } },
      /tokenizer.json: normalizer: type "No" is not supported/,
    ],
  ])("refuses %j", async (files, message) => {
    await expect(AutoTokenizer.fromPretrained(folder(files))).rejects.toMatchObject({
      name: "GpugradError",
      message: expect.stringMatching(message) as unknown,
    });
  });
});
