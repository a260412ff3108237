import { afterAll, beforeAll, expect, test } from "vitest";
import {
  add,
  compileAhead,
  defaultGenerator,
  destroy,
  device,
  dropout,
  dryRun,
  init,
  keep,
  kernel,
  leaks,
  manualSeed,
  matmul,
  memory,
  ones,
  OutOfMemoryError,
  relu,
  resetPeakMemory,
  run,
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

test("kernels compiled ahead are those that the work uses, and compute the same", async () => {
  const values = () => {
    manualSeed(7);
    return dropout(matmul(ones([5, 30]), ones([30, 40])), { p: 0.5 });
  };
  const before = await values().data();
  await destroy();
  const { pipelines } = await init();
  manualSeed(7);
  const seeded = defaultGenerator.state;
  await compileAhead(values);
  expect(defaultGenerator.state).toEqual(seeded);
  const ahead = [...pipelines.sources];
  expect(ahead.length).toBeGreaterThan(2);
  expect(await values().data()).toEqual(before);
  expect(pipelines.sources).toEqual(ahead); // nothing was missing
});

test("a kernel that does not compile is reported by the op that uses it", async () => {
  const broken = kernel("broken.wgsl", "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }");
  await compileAhead(() => run(broken, {}, {}, { threads: 1 }));
  run(broken, {}, {}, { threads: 1 });
  await expect(device().finish()).rejects.toThrow("broken.wgsl: the kernel does not compile");
});
