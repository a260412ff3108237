import { afterAll, beforeAll, expect, test } from "vitest";
import {
  add,
  defaultGenerator,
  destroy,
  device,
  dropout,
  dryRun,
  init,
  keep,
  leaks,
  matmul,
  memory,
  ones,
  OutOfMemoryError,
  relu,
  resetPeakMemory,
  scope,
  sum,
  tensor,
} from "./index.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const MIB = 2 ** 20;

const work = (): void =>
  scope(() => {
    const a = ones([300, 200]);
    const b = scope(() => relu(add(a, 1)));
    sum(dropout(matmul(b, ones([200, 400])), { p: 0.5 }));
  });

test("takes what the work takes, and leaves no trace", async () => {
  device().trim();
  resetPeakMemory();
  const before = { generator: defaultGenerator.state, leaks: leaks.count, allocated: device().pool.allocatedBytes };
  const { peakBytes, allocatedBytes } = dryRun(work);
  expect({ generator: defaultGenerator.state, leaks: leaks.count, allocated: device().pool.allocatedBytes }).toEqual(
    before,
  );
  expect(memory().peakBytes).toBe(memory().bytes);
  work();
  expect(memory().peakBytes).toBe(peakBytes);
  expect(device().pool.allocatedBytes).toBe(allocatedBytes);
  await device().finish();
});

test("the limit holds; afterwards the real device computes", async () => {
  expect(dryRun(() => scope(() => void ones([MIB / 4])), { memoryLimit: MIB }).peakBytes).toBe(MIB);
  expect(() => dryRun(() => ones([MIB / 4 + 1]), { memoryLimit: MIB })).toThrow(OutOfMemoryError);
  expect(await add(tensor([1, 2]), 1).data()).toEqual(Float32Array.of(2, 3));
});

test("numbers can't be read, and asynchronous work is refused", async () => {
  const { result } = dryRun(() => keep(ones([2])));
  await expect(result.data()).rejects.toThrow();
  expect(() => dryRun(async () => Promise.resolve(1))).toThrow("dryRun: the work is asynchronous");
});
