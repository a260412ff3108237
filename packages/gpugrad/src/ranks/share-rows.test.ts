import { loopback, Ranks } from "@gpugrad/train";
import { expect, test } from "vitest";
import { inRowOrder, sharedRows } from "./share-rows.ts";

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield await Promise.resolve(i);
}

/** Results as they come: some rows at a time. */
async function* inPieces(rows: AsyncIterable<number>, size: number): AsyncGenerator<string[]> {
  let some: string[] = [];
  for await (const row of rows) {
    some.push(`row ${row}`);
    if (some.length === size) {
      yield some;
      some = [];
    }
  }
  if (some.length > 0) yield some;
}

test.each([
  [3, 0, 0],
  [3, 1, 0],
  [3, 47, 0],
  [2, 40, 0],
  [4, 41, 7],
  [1, 10, 3],
])("%i ranks give the results of %i rows in order, from row %i on", async (size, count, skip) => {
  const block = 5;
  const outputs = await Promise.all(
    loopback(size).map(async (communicator) => {
      const ranks = new Ranks(communicator, 10);
      const rows = sharedRows(numbers(count), ranks, { block, skip });
      const given: string[] = [];
      for await (const some of inRowOrder(ranks, inPieces(rows, 1 + ranks.rank), block)) given.push(...some);
      return given;
    }),
  );
  expect(outputs[0]).toEqual(Array.from({ length: Math.max(0, count - skip) }, (_, i) => `row ${i + skip}`));
  for (const other of outputs.slice(1)) expect(other).toEqual([]);
});
