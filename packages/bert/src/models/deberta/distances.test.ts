import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { distanceBuckets } from "../mpnet/encoder.ts";
import { logarithmicBucket, rowIn } from "./distances.ts";

// Made by Transformers: see fixtures/make_tiny_families.py.
type Runs = [number: number, distances: number][];
const golden = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/distance-buckets.json", import.meta.url), "utf8"),
) as { mpnet: Runs; deberta: Record<string, Runs> };
const unrolled = (runs: Runs): number[] => runs.flatMap(([number, distances]) => new Array<number>(distances).fill(number)); // prettier-ignore

test.each(Object.entries(golden.deberta))("DeBERTa's buckets and reach %s, as PyTorch rounds", (sizes, runs) => {
  const [buckets, reach] = sizes.split(" ").map(Number) as [number, number];
  const want = unrolled(runs);
  expect(want.map((_, distance) => logarithmicBucket(distance, buckets, reach))).toEqual(want);
  expect(want.map((_, distance) => 0 - logarithmicBucket(-distance, buckets, reach))).toEqual(want.map((n) => n - 0));
});

test("MPNet's buckets, as PyTorch rounds: keys after the query have the second half", () => {
  const want = unrolled(golden.mpnet);
  const got = distanceBuckets(want.length);
  expect(got.slice(want.length - 1)).toEqual(want);
  expect(got.slice(0, want.length - 1).reverse()).toEqual(want.slice(1).map((n) => n + 16));
});

test("a distance beyond the table has its last row", () => {
  expect([-5, -3, 0, 2, 3, 9].map((distance) => rowIn(distance, 3))).toEqual([0, 0, 3, 5, 5, 5]);
});
