import { bertTokenizer } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { Dataset } from "../../data/dataset.ts";
import { openTable } from "../../data/readers/open-table.ts";
import { byteSource } from "@gpugrad/bert";
import { documentDataset } from "./dataset.ts";
import { pairSentences, type PairOptions } from "./pair-sentences.ts";

/** Twelve documents of up to 20 sentences of up to 6 words, each word with a token of its own; some of two pieces. */
const [DOCUMENTS, SENTENCES] = [12, 20];
const wordsOf = (d: number, s: number): string[] =>
  Array.from({ length: 1 + ((d + s) % 6) }, (_, w) => `d${d}s${s}w${w}${w % 3 === 2 ? "x" : ""}`);
const documents = Array.from({ length: DOCUMENTS }, (_, d) =>
  Array.from({ length: SENTENCES - d }, (__, s) => wordsOf(d, s)),
);
const vocabulary = documents.flat(2).map((word) => word.replace("x", ""));
const tokenizer = bertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##x", ...vocabulary]);
const data = Dataset.fromRows(
  documents.map((sentences) => ({ text: "", sentences: sentences.map((words) => words.join(" ")) })),
);

/** Where a token is from. */
interface Place {
  document: number;
  sentence: number;
  /** Its number among those of the document. */
  at: number;
}
const places = new Map<string, Place>();
documents.forEach((sentences, document) => {
  let at = 0;
  sentences.forEach((words, sentence) =>
    words.forEach((word) => {
      places.set(word.replace("x", ""), { document, sentence, at });
      at += word.endsWith("x") ? 2 : 1;
    }),
  );
});

interface Row {
  input_ids: number[];
  token_type_ids: number[];
  special_tokens_mask: number[];
  words?: number[];
  label: number;
}

/** All rows, with where the tokens of both texts are from. */
async function pairsOf(options: Partial<PairOptions>) {
  const pairs = await pairSentences(data, tokenizer, { kind: "next-sentence", maxLength: 40, ...options });
  const rows = await Promise.all(Array.from({ length: pairs.length }, (_, i) => pairs.row(i)));
  return rows.map(({ packed }) => {
    const row = packed as Row;
    const tokens = row.input_ids.map((id) => tokenizer.idToToken(id)!);
    const placed = tokens.map((token, i): Place | undefined => {
      const before = places.get(tokens[i - 1]!);
      return token === "##x" ? before && { ...before, at: before.at + 1 } : places.get(token);
    });
    const texts = [0, 1].map((type) => placed.filter((_, i) => row.token_type_ids[i] === type && !row.special_tokens_mask[i]).filter((place) => place !== undefined)); // prettier-ignore
    return { ...row, tokens, texts: texts as [Place[], Place[]] };
  });
}

const isStretch = (text: Place[]): boolean => text.every(({ document, at }, i) => i === 0 || (document === text[0]!.document && at === text[i - 1]!.at + 1)); // prettier-ignore

test("next sentence: the second text follows the first, or is another document's; half of each", async () => {
  const rows = (await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => pairsOf({ seed })))).flat();
  for (const { tokens, texts, label, input_ids } of rows) {
    const [first, second] = texts;
    expect([tokens[0], tokens.at(-1), tokens.filter((token) => token === "[SEP]").length]).toEqual(["[CLS]", "[SEP]", 2]); // prettier-ignore
    expect(input_ids.length).toBeLessThanOrEqual(40);
    expect([first.length > 0, second.length > 0, isStretch(first), isStretch(second)]).toEqual([true, true, true, true]); // prettier-ignore
    const isSame = first[0]!.document === second[0]!.document;
    expect([isSame, label]).toEqual([label === 0, label]);
    if (label === 1) continue;
    expect(second[0]!.sentence).toBeGreaterThan(first.at(-1)!.sentence);
    if (input_ids.length < 40) expect(second[0]!.at).toBe(first.at(-1)!.at + 1); // else something may be cut between them
  }
  const other = rows.filter(({ label }) => label === 1).length;
  expect(Math.abs(other / rows.length - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / rows.length));
});

test("next sentence: what a random text takes the place of comes later, so that no sentence is left out", async () => {
  const rows = await pairsOf({ maxLength: 200, shortSequenceProbability: 0 });
  const seen = new Set(rows.flatMap(({ texts: [first, second], label }) => [...first, ...(label === 0 ? second : [])].map(({ document, sentence }) => `${document} ${sentence}`))); // prettier-ignore
  expect(seen.size).toBe(documents.flat().length);
});

test("sentence order: both texts are of one document, side by side, and swapped where the label is 1", async () => {
  const rows = await pairsOf({ kind: "sentence-order", maxLength: 200 });
  expect(new Set(rows.map(({ label }) => label))).toEqual(new Set([0, 1]));
  for (const { texts, label } of rows) {
    const [first, second] = label === 0 ? texts : [texts[1], texts[0]];
    expect([second[0]!.document, second[0]!.at]).toEqual([first[0]!.document, first.at(-1)!.at + 1]);
  }
});

test("pairs go by the seed and the document; a share of the documents has short ones", async () => {
  const idsOf = async (options: Partial<PairOptions>) => JSON.stringify((await pairsOf(options)).map(({ input_ids }) => input_ids)); // prettier-ignore
  expect(await idsOf({ seed: 1 })).toBe(await idsOf({ seed: 1 }));
  expect(await idsOf({ seed: 1 })).not.toBe(await idsOf({ seed: 2 }));
  const mean = async (shortSequenceProbability: number): Promise<number> => {
    const rows = await pairsOf({ shortSequenceProbability, kind: "sentence-order" });
    return rows.reduce((sum, { input_ids }) => sum + input_ids.length, 0) / rows.length;
  };
  expect(await mean(1)).toBeLessThan((await mean(0)) - 5);
});

test("whole words: all tokens of a word have its number, and no word of the other text has it", async () => {
  for (const { tokens, words, special_tokens_mask } of await pairsOf({ wholeWords: true })) {
    const starts = tokens.map((token, i) => !special_tokens_mask[i] && (token !== "##x" || special_tokens_mask[i - 1] === 1)); // prettier-ignore
    let word = -1;
    const counted = tokens.map((_, i) => (special_tokens_mask[i] ? -1 : (word += starts[i] ? 1 : 0)));
    const numbers = [...new Set(words!.filter((number) => number >= 0))];
    expect(Array.from(words!, (number) => numbers.indexOf(number))).toEqual(counted);
  }
});

test("a text file: a sentence per line, documents between empty lines", async () => {
  const text = "\n One.\r\nTwo.\n\n\nThree.\n \nFour.\n";
  const table = await openTable("a.txt", () => Promise.resolve(byteSource(text)), { textFiles: "documents" });
  const rows = await documentDataset(table);
  const read = await Promise.all(Array.from({ length: rows.length }, (_, i) => rows.row(i)));
  expect(read.map(({ sentences }) => sentences)).toEqual([["One.", "Two."], ["Three."], ["Four."]]);
  expect([rows.where(0), rows.where(2)]).toEqual(["a.txt, line 2", "a.txt, line 8"]);
});

test.each([
  ["one document", { documents: [["a b", "c"]] }, "1 document: texts that don't follow each other are of two"],
  ["documents of one sentence", { documents: [["a"], ["b"]], kind: "sentence-order" }, "no document has two sentences"],
  ["no room", { documents: [["a"], ["b"]], maxLength: 4 }, "maxLength 4 has no room for two texts"],
  ["a share that is none", { documents: [["a"], ["b"]], shortSequenceProbability: NaN }, "shortSequenceProbability is NaN"], // prettier-ignore
] as const)("refuses %s", async (_, { documents, ...options }, message) => {
  const rows = Dataset.fromRows(documents.map((sentences) => ({ text: "", sentences })));
  await expect(pairSentences(rows, tokenizer, { kind: "next-sentence", maxLength: 40, ...options })).rejects.toThrow(message); // prettier-ignore
});
