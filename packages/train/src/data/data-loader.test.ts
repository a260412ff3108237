import { bertTokenizer } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { shuffledIndices, splitMix64 } from "../random.ts";
import type { Batch, BatchTokenizer, NamedArray } from "./batch.ts";
import { collate, DataLoader } from "./data-loader.ts";
import { Dataset } from "./dataset.ts";
import { tokenizeDataset } from "./tokenize-dataset.ts";

/** BERT's tokenizer with a vocabulary of one letter: a word of n letters is n tokens. */
const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##w"];
const tokenizer: BatchTokenizer = bertTokenizer(vocab, { do_lower_case: true });

const rows = Array.from({ length: 7 }, (_, i) => ({ text: "w".repeat(i + 1), label: i % 2 }));
const data = Dataset.fromRows(rows);

async function all(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const list: Batch[] = [];
  for await (const batch of batches) list.push(batch);
  return list;
}

test("SplitMix64 gives the published numbers", () => {
  const random = splitMix64(1234567);
  expect([random.next(), random.next(), random.next()]).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
  ]);
});

test("a shuffle is a permutation, the same for seed and epoch, another for others", () => {
  const order = shuffledIndices(1000, 42, 0);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect(shuffledIndices(1000, 42, 0)).toEqual(order);
  const inPlace = (other: Int32Array) => other.filter((value, i) => value === order[i]).length;
  expect(inPlace(shuffledIndices(1000, 42, 1))).toBeLessThan(10);
  expect(inPlace(shuffledIndices(1000, 43, 0))).toBeLessThan(10);
  expect([...shuffledIndices(8, 0, 0)]).toMatchInlineSnapshot(`
    [
      3,
      6,
      5,
      4,
      7,
      1,
      0,
      2,
    ]
  `);
});

test("pads to the longest, masks padding, keeps the rest", async () => {
  const [first, last] = await all(new DataLoader(data, tokenizer, { batchSize: 4 }));
  const { input_ids, attention_mask, labels } = first!.arrays;
  expect(input_ids).toMatchObject({ shape: [4, 6], dtype: "i32" });
  expect([...input_ids.data.subarray(0, 12)]).toEqual([2, 5, 3, 0, 0, 0, 2, 5, 6, 3, 0, 0]);
  expect(attention_mask).toMatchObject({ shape: [4, 6], dtype: "i32" });
  expect([...attention_mask!.data.subarray(0, 12)]).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]);
  expect(labels).toEqual({ data: new Int32Array([0, 1, 0, 1]), shape: [4], dtype: "i32" });
  expect(last!.arrays.input_ids.shape).toEqual([3, 9]);
  expect(last!.rows).toEqual([4, 5, 6]);
});

test("rows of one length have no mask", async () => {
  const alike = Dataset.fromRows([{ text: "ww" }, { text: "w w" }]);
  const [batch] = await all(new DataLoader(alike, tokenizer));
  expect(Object.keys(batch!.arrays)).toEqual(["input_ids", "token_type_ids"]);
});

test("the mask of a tokenizer that pads by itself is kept", () => {
  const padding: BatchTokenizer = {
    modelMaxLength: 8,
    encodeBatch: () => [
      { input_ids: [7, 0], attention_mask: [1, 0], token_type_ids: [0, 0] },
      { input_ids: [8, 9], attention_mask: [1, 1], token_type_ids: [0, 0] },
    ],
  };
  const { arrays } = collate(padding, [{ text: "a" }, { text: "bc" }], [0, 1]);
  expect([...arrays.input_ids.data]).toEqual([7, 0, 8, 9]);
  expect([...arrays["attention_mask"]!.data]).toEqual([1, 0, 1, 1]);
});

test("fixed padding, truncation, multiples, dropLast", async () => {
  const shapes = async (options: ConstructorParameters<typeof DataLoader>[2]) =>
    (await all(new DataLoader(data, tokenizer, { batchSize: 4, ...options }))).map(
      (batch) => batch.arrays.input_ids.shape,
    );
  expect(await shapes({ padding: "max_length", maxLength: 12 })).toEqual([[4, 12], [3, 12]]); // prettier-ignore
  expect(await shapes({ padToMultipleOf: 8 })).toEqual([[4, 8], [3, 16]]); // prettier-ignore
  expect(await shapes({ dropLast: true, maxLength: 5 })).toEqual([[4, 5]]);
  await expect(shapes({ padToMultipleOf: 8, maxLength: 12 })).rejects.toThrow(/12 is not a multiple of .* 8/);
});

test("shuffles by epoch, continues in the middle of one, follows indices", async () => {
  const loader = new DataLoader(data, tokenizer, { batchSize: 2, shuffle: true, seed: 1 });
  const rowsOf = async (batches: AsyncIterable<Batch>) => (await all(batches)).map((batch) => [...batch.rows]);
  const whole = await rowsOf(loader.epoch(3));
  expect(whole.flat()).toEqual([...shuffledIndices(7, 1, 3)]);
  expect(await rowsOf(loader.epoch(3, { skip: 2 }))).toEqual(whole.slice(2));
  expect(loader.length).toBe(4);
  const chosen = new DataLoader(data, tokenizer, { batchSize: 2, indices: [6, 0, 6] });
  expect(await rowsOf(chosen)).toEqual([[6, 0], [6]]);
  expect(chosen.length).toBe(2);
  expect(() => new DataLoader(data, tokenizer, { indices: [0], shuffle: true })).toThrow("leave out shuffle");
  expect(() => new DataLoader(data, tokenizer, { indices: [7] })).toThrow("no row 7");
});

test("a shuffle by windows takes rows of few blocks at a time, and continues in the middle of an epoch", async () => {
  const source = new Dataset({
    name: "blocks",
    length: 100,
    labels: { numLabels: 0 },
    row: (i) => Promise.resolve({ text: "w".repeat(1 + (i % 3)) }),
    blockOf: (i) => Math.floor(i / 10),
  });
  const loader = new DataLoader(source, tokenizer, { batchSize: 4, shuffle: true, shuffleBuffer: 20, seed: 3 });
  const rowsOf = async (batches: AsyncIterable<Batch>) => (await all(batches)).flatMap((batch) => [...batch.rows]);
  const whole = await rowsOf(loader.epoch(1));
  for (let start = 0; start < 100; start += 20) {
    const blocks = new Set(whole.slice(start, start + 20).map((i) => source.blockOf(i)));
    expect(blocks.size).toBe(2);
  }
  expect(await rowsOf(loader.epoch(1, { skip: 13 }))).toEqual(whole.slice(52));
  expect(await rowsOf(loader.epoch(2))).not.toEqual(whole);
});

test("pairs, numbers as labels, no labels", async () => {
  const pairs = Dataset.fromRows([{ text: "w", text_pair: "w ww", label: 0.5 }]);
  const [batch] = await all(new DataLoader(pairs, tokenizer));
  expect([...batch!.arrays["token_type_ids"]!.data]).toEqual([0, 0, 0, 1, 1, 1, 1]);
  expect(batch!.arrays["labels"]).toEqual({ data: new Float32Array([0.5]), shape: [1], dtype: "f32" });
  const [unlabelled] = await all(new DataLoader(Dataset.fromRows([{ text: "w" }]), tokenizer));
  expect(unlabelled!.arrays["labels"]).toBeUndefined();
});

test("prepares ahead, and a bad row is thrown when its batch is due", async () => {
  const asked: number[] = [];
  const source = new Dataset({
    name: "source",
    length: 10,
    labels: { numLabels: 2 },
    row: (i) => {
      asked.push(i);
      return i === 5 ? Promise.reject(new Error("row 5 is bad")) : Promise.resolve({ text: "w", label: 0 });
    },
  });
  const seen: number[] = [];
  const walk = async () => {
    for await (const batch of new DataLoader(source, tokenizer, { batchSize: 1, prefetch: 3 })) {
      seen.push(batch.rows[0]!);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(asked.length).toBe(Math.min(10, seen.length + 3));
    }
  };
  await expect(walk()).rejects.toThrow("row 5 is bad");
  expect(seen).toEqual([0, 1, 2, 3, 4]);
});

test("a row without a second text is encoded as it is without its neighbours, on the way and ahead", async () => {
  const mixed = Dataset.fromRows([{ text: "w", text_pair: "ww" }, { text: "ww" }, { text: "w" }]);
  const tokenized = await tokenizeDataset(mixed, tokenizer, { maxLength: 16, cacheDir: false });
  for (const options of [{ maxLength: 16 }, { maxLength: 16, tokenized }]) {
    const [batch] = await all(new DataLoader(mixed, tokenizer, options));
    const row = ({ data }: NamedArray, b: number) => [...data.subarray(6 * b, 6 * b + 6)];
    expect(row(batch!.arrays.input_ids, 0)).toEqual([2, 5, 3, 5, 6, 3]);
    expect(row(batch!.arrays["token_type_ids"]!, 0)).toEqual([0, 0, 0, 1, 1, 1]);
    expect(row(batch!.arrays.input_ids, 1)).toEqual([2, 5, 6, 3, 0, 0]); // one [SEP]
    expect(row(batch!.arrays.input_ids, 2)).toEqual([2, 5, 3, 0, 0, 0]);
    expect(row(batch!.arrays["token_type_ids"]!, 2)).toEqual([0, 0, 0, 0, 0, 0]);
  }
});

test("without a padding token, rows of one length make a batch and others are refused, on the way and ahead", async () => {
  const encodeBatch = (texts: readonly string[]) => texts.map((text) => new Encoding(text));
  class Encoding {
    readonly input_ids: number[];
    readonly attention_mask: number[];
    readonly token_type_ids: number[];
    constructor(text: string) {
      this.input_ids = Array.from(text, () => 7);
      this.attention_mask = this.input_ids.map(() => 1);
      this.token_type_ids = this.input_ids.map(() => 0);
    }
  }
  const bare: BatchTokenizer = { modelMaxLength: 8, encodeBatch };
  const alike = Dataset.fromRows([{ text: "ab" }, { text: "cd" }]);
  const different = Dataset.fromRows([{ text: "ab" }, { text: "c" }]);
  const batchesOf = async (rows: Dataset) => {
    const tokenized = await tokenizeDataset(rows, bare, { maxLength: 8, cacheDir: false });
    return all(new DataLoader(rows, bare, { maxLength: 8, tokenized }));
  };
  expect([...(await batchesOf(alike))[0]!.arrays.input_ids.data]).toEqual([7, 7, 7, 7]);
  await expect(batchesOf(different)).rejects.toThrow(/no padding token/);
  const real = bertTokenizer(["[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##w"], { do_lower_case: true });
  const asTheyCome = (rows: Dataset) => all(new DataLoader(rows, real, { maxLength: 8 }));
  expect((await asTheyCome(Dataset.fromRows([{ text: "ww" }, { text: "w w" }])))[0]!.arrays.input_ids.shape).toEqual([
    2, 4,
  ]);
  await expect(asTheyCome(Dataset.fromRows([{ text: "ww" }, { text: "w" }]))).rejects.toThrow(/no padding token/);
});
