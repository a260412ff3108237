import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { lengthGroupedIndices, paddingReport, paddingShare, windowedIndices } from "./sampling.ts";

// Expected: get_length_grouped_indices(lengths, groupSize) of Transformers 5.23, with torch.randperm giving `order`.
test.each([
  {
    groupSize: 2, // stretches of 6
    lengths: [4, 10, 9, 3, 6, 10, 8, 11, 10, 2, 10, 1, 8, 5, 9, 4, 4, 12, 8, 9, 9, 8, 7, 11, 3, 4, 11, 3, 9, 7],
    order: [
      14, 4, 16, 10, 6, 3, 19, 20, 22, 26, 25, 7, 27, 29, 11, 17, 13, 12, 15, 8, 28, 9, 1, 18, 5, 2, 24, 21, 0, 23,
    ],
    expected: [
      17, 14, 6, 4, 16, 3, 26, 7, 19, 20, 22, 25, 10, 12, 29, 13, 27, 11, 8, 1, 28, 18, 15, 9, 23, 5, 2, 21, 0, 24,
    ],
  },
  {
    groupSize: 4, // too little for four stretches
    lengths: [5, 7, 9, 7, 6, 9, 7, 4, 6, 1],
    order: [1, 3, 8, 0, 7, 6, 9, 5, 2, 4],
    expected: [5, 3, 8, 0, 1, 6, 7, 9, 2, 4],
  },
  { groupSize: 8, lengths: [5, 3, 3], order: [1, 2, 0], expected: [0, 1, 2] },
  { groupSize: 8, lengths: [], order: [], expected: [] },
])("groups by length as Transformers does: $groupSize rows", ({ lengths, order, groupSize, expected }) => {
  expect([...lengthGroupedIndices(order, lengths, groupSize)]).toEqual(expected);
});

test("groups a thousand rows by length as Transformers does", () => {
  const lengths = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 293);
  const order = Array.from({ length: 1000 }, (_, i) => (i * 617 + 5) % 1000);
  const grouped = lengthGroupedIndices(order, lengths, 4);
  expect([...grouped.subarray(0, 6), ...grouped.subarray(200, 203)]).toEqual([
    769, 366, 622, 512, 109, 768, 659, 256, 146,
  ]);
  const digest = createHash("sha256").update(grouped.join()).digest("hex");
  expect(digest).toBe("45ea778f6a16204e705f3f26f2fce20fcf389f3a76a195d98be7aaf248785e42");
});

test("a window shuffles within few blocks, and all of it for seed and epoch alone", () => {
  const blockOf = (i: number) => Math.floor(i / 10) * 10;
  const options = { buffer: 35, seed: 7 };
  const order = windowedIndices(203, blockOf, options);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 203 }, (_, i) => i));
  expect(windowedIndices(203, blockOf, options)).toEqual(order);
  expect(windowedIndices(203, blockOf, { ...options, epoch: 1 })).not.toEqual(order);
  expect(windowedIndices(203, blockOf, { ...options, seed: 8 })).not.toEqual(order);

  // A block begins and ends within one window: four blocks are open at a time, or one more where the last one is short.
  const open = new Map<number, { from: number; to: number }>();
  order.forEach((row, at) => {
    const span = open.get(blockOf(row)) ?? { from: at, to: at };
    open.set(blockOf(row), { ...span, to: at });
  });
  for (const { from } of open.values()) {
    const together = [...open.values()].filter((span) => span.from <= from && span.to >= from).length;
    expect(together).toBeLessThanOrEqual(5);
  }
  expect(order.slice(0, 40)).not.toEqual(order.slice(0, 40).sort());
  expect(new Set(Array.from(order.slice(0, 40), blockOf)).size).toBeGreaterThanOrEqual(4);
});

test("a window as large as the data mixes all of it; without blocks every row is one", () => {
  const order = windowedIndices(1000, () => 0, { buffer: 1000, seed: 1 });
  expect([...order.slice(0, 100)].filter((row) => row >= 500).length).toBeGreaterThan(30);
  expect(new Set(windowedIndices(1000, (i) => i, { buffer: 10, seed: 1 })).size).toBe(1000);
  expect(windowedIndices(0, (i) => i, { buffer: 10, seed: 1 }).length).toBe(0);
});

test("padding, counted by hand", () => {
  const lengths = [2, 8, 3, 5, 20]; // 20 is cut at 10
  const options = { batchSize: 2, maxLength: 10 };
  // 28 tokens: [2 8] takes 16 places, [3 5] 10, [20] 10
  expect(paddingShare(lengths, [0, 1, 2, 3, 4], options)).toBeCloseTo(1 - 28 / 36, 12);
  expect(paddingShare(lengths, [0, 1, 2, 3, 4], options, "max_length")).toBeCloseTo(1 - 28 / 50, 12);
  // padded to multiples of 5: 2 · 10, 2 · 5, 10
  expect(paddingShare(lengths, [0, 1, 2, 3, 4], { ...options, padToMultipleOf: 5 })).toBeCloseTo(1 - 28 / 40, 12);
  expect(paddingShare([], [], options)).toBe(0);
});

test("grouping by length wastes the least", () => {
  const lengths = Array.from({ length: 2000 }, (_, i) => 5 + ((i * 7919) % 251));
  const report = paddingReport(lengths, { batchSize: 16, maxLength: 256 });
  expect(report.max_length).toBeCloseTo(1 - 130 / 256, 2); // the mean length is 130
  expect(report.longest).toBeGreaterThan(0.4);
  expect(report.group_by_length).toBeLessThan(0.05);
});
