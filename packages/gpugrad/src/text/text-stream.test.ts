import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import type { BadRow, TextRow } from "./input-rows.ts";
import { runTexts } from "./text-stream.ts";
import { sideBySide, type TextModel } from "./text-model.ts";

/** Gives each text its number of words, and records its batches. */
function countingModel(batches: number[][] = []): Pick<TextModel, "encode" | "compute" | "join"> {
  return {
    join: sideBySide,
    encode: async (rows) =>
      rows.map(({ text }) => {
        const { length } = text.split(" ");
        return { input_ids: new Array<number>(length).fill(7), token_type_ids: new Array<number>(length).fill(0) };
      }),
    async compute(batch) {
      const lengths = batch.map(({ input_ids }) => input_ids.length);
      batches.push(lengths);
      await setTimeout(lengths.length % 3); // the later batch may be done first
      return lengths.map((length) => Float32Array.of(length));
    },
  };
}

const textOf = (words: number): TextRow => ({ text: Array<string>(words).fill("a").join(" ") });

it("gives results in the order of rows, from batches sorted by length", async () => {
  const words = Array.from({ length: 300 }, (_, i) => 1 + ((i * 37) % 101));
  const rows = async function* (): AsyncGenerator<TextRow | BadRow> {
    for (const [i, count] of words.entries()) yield i % 50 === 49 ? { error: `row ${i}` } : textOf(count);
  };
  const batches: number[][] = [];
  const results = [];
  for await (const window of runTexts(countingModel(batches), rows(), { batchSize: 4 })) results.push(...window);
  expect(results.map(({ row, values }) => ("error" in row ? row.error : values![0]))).toEqual(
    words.map((count, i) => (i % 50 === 49 ? `row ${i}` : count)),
  );
  // The longest rows of a window come first: what doesn't fit into memory fails at once.
  const firstWindow = words.slice(0, 64 * 4).filter((_, i) => i % 50 !== 49);
  expect(batches.slice(0, 2).flat()).toEqual(firstWindow.sort((a, b) => b - a).slice(0, 8));
  // 64 batches of 4 make a window; padding is what the longest of a batch has more than the others.
  const good = words.filter((_, i) => i % 50 !== 49);
  expect(batches.flat().sort()).toEqual(good.sort());
  const padding = batches.reduce((sum, lengths) => sum + lengths.length * Math.max(...lengths), 0);
  expect(padding / good.reduce((a, b) => a + b)).toBeLessThan(1.05);
});

it("gives a window of bad rows alone", async () => {
  const rows = async function* (): AsyncGenerator<BadRow> {
    for (let i = 0; i < 300; i++) yield { error: String(i) };
  };
  let count = 0;
  for await (const window of runTexts(countingModel(), rows(), { batchSize: 4 })) count += window.length;
  expect(count).toBe(300);
});

it("reads no further ahead than two windows, of rows without end", async () => {
  let read = 0;
  const endless = async function* () {
    for (;;) {
      read++;
      yield textOf(1 + (read % 5));
    }
  };
  const window = 64 * 4;
  let taken = 0;
  for await (const results of runTexts(countingModel(), endless(), { batchSize: 4 })) {
    taken += results.length;
    await setTimeout(20); // whoever takes the results is slow
    expect(read - taken).toBeLessThanOrEqual(3 * window);
    if (taken >= 5 * window) break;
  }
});

it("stops between batches when asked to", async () => {
  const stop = new AbortController();
  const batches: number[][] = [];
  const rows = async function* () {
    for (let i = 0; i < 256; i++) yield textOf(3);
  };
  const model = countingModel(batches);
  const stopping = {
    ...model,
    compute: (batch: Parameters<typeof model.compute>[0]) => (stop.abort(), model.compute(batch)),
  };
  await expect(runTexts(stopping, rows(), { batchSize: 4, signal: stop.signal }).next()).rejects.toThrow(/abort/);
  expect(batches.length).toBeLessThanOrEqual(2);
});
