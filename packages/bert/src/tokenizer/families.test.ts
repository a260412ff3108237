import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOf } from "@gpugrad/nn";
import { describe, expect, it } from "vitest";
import { AutoTokenizer } from "./auto-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What Python's Transformers makes of hard strings with a tiny tokenizer of each kind: see make_tokenizers.py beside the files. */
interface Golden {
  files: Record<string, object>;
  rows: {
    text: string | string[];
    pair?: string;
    words?: true;
    ids: number[];
    offsets: number[];
    word_ids: (number | null)[];
    decoded?: [withSpecial: string, without: string];
  }[];
}

const read = (kind: string) =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/tokenizers/${kind}.json`, import.meta.url), "utf8")) as Golden;
const open = ({ files }: Golden): Promise<Tokenizer> =>
  AutoTokenizer.fromPretrained(
    folderOf(Object.fromEntries(Object.entries(files).map(([name, content]) => [name, JSON.stringify(content)]))),
  );
const kinds = ["roberta", "modernbert", "albert", "deberta", "xlm", "llama", "bert"];

describe.each(kinds)("a tokenizer like that of %s", (kind) => {
  const golden = read(kind);

  it("has the ids, offsets and words of the Rust library, and decodes as it does", async () => {
    const tokenizer = await open(golden);
    for (const { text, pair, words, ids, offsets, word_ids, decoded } of golden.rows) {
      const got = tokenizer.encode(text, { textPair: pair, isSplitIntoWords: words === true });
      expect([text, got.input_ids, got.offsets.flat(), got.word_ids()]).toEqual([text, ids, offsets, word_ids]);
      if (!decoded) continue;
      const options = { cleanUpTokenizationSpaces: false };
      expect([tokenizer.decode(ids, options), tokenizer.decode(ids, { ...options, skipSpecialTokens: true })]).toEqual(
        decoded,
      );
    }
  });

  it("gives the same in the middle of a long text, of which it reads parts", async () => {
    const tokenizer = await open(golden);
    const filler = "the keeper counted ships and wrote ".repeat(300);
    for (const { text } of golden.rows.slice(8, 24)) {
      if (typeof text !== "string") continue;
      const short = tokenizer.encode(`ships and wrote the ${text} the keeper counted`);
      const long = tokenizer.encode(`${filler}ships and wrote the ${text} the keeper counted${filler}`);
      const start = long.offsets.findIndex(([from]) => from >= filler.length + 15);
      const first = short.offsets.findIndex(([from]) => from >= 15);
      const count = short.length - first - 8;
      expect([text, long.input_ids.slice(start, start + count)]).toEqual([
        text,
        short.input_ids.slice(first, first + count),
      ]);
      const moved = short.offsets.slice(first, first + count).map(([a, b]) => [a + filler.length, b + filler.length]);
      expect(long.offsets.slice(start, start + count)).toEqual(moved);
    }
  });

  it("is saved as it was read", async () => {
    const dir = await mkdtemp(join(tmpdir(), "tokenizer-"));
    const tokenizer = await open(golden);
    await tokenizer.savePretrained(dir);
    const again = await AutoTokenizer.fromPretrained(dir);
    for (const { text, ids, words } of golden.rows.filter(({ pair }) => pair === undefined))
      expect(again.encode(text, { isSplitIntoWords: words === true }).input_ids).toEqual(ids);
    await rm(dir, { recursive: true });
  });
});

it("opens RoBERTa's vocab.json and merges.txt as Transformers does", async () => {
  const golden = read("roberta");
  const { vocab, merges } = (golden.files["tokenizer.json"] as { model: { vocab: Record<string, number>; merges: string[][] } }).model; // prettier-ignore
  const tokenizer = await AutoTokenizer.fromPretrained(
    folderOf({
      "vocab.json": JSON.stringify({ ...vocab, "<mask>": Object.keys(vocab).length }),
      "merges.txt": `#version: 0.2\n${merges.map((pair) => pair.join(" ")).join("\n")}\n`,
      "tokenizer_config.json": JSON.stringify({
        add_prefix_space: true,
        mask_token: { content: "<mask>", lstrip: true },
      }),
    }),
  );
  for (const { text, pair, words, ids, offsets } of golden.rows) {
    const got = tokenizer.encode(text, { textPair: pair, isSplitIntoWords: words === true });
    expect([text, got.input_ids, got.offsets.flat()]).toEqual([text, ids, offsets]);
  }
  expect([tokenizer.bosToken, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual(["<s>", 2, 1]);
});

it("takes half a surrogate pair for U+FFFD", async () => {
  const tokenizer = await open(read("modernbert"));
  expect(tokenizer.encode("a\ud800b").input_ids).toEqual(tokenizer.encode("a\ufffdb").input_ids);
  expect(tokenizer.encode("😀\udc00x").offsets.at(-2)).toEqual([2, 3]);
});
