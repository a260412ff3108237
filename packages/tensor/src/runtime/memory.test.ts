import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import {
  add,
  destroy,
  device,
  init,
  keep,
  memory,
  memoryByOwner,
  ones,
  OutOfMemoryError,
  record,
  scope,
  tensor,
  zeros,
} from "../index.ts";

const MIB = 2 ** 20;

afterEach(async () => {
  delete process.env["GPUGRAD_MEMORY_LIMIT"];
  await destroy();
});

test("what doesn't fit the limit is refused with what is taken; then work continues", async () => {
  await init({ memoryLimit: 4 * MIB });
  const weight = keep(zeros([MIB / 4]), "parameters");
  const sum = scope(() => add(weight, 1));
  const before = memory().storages;
  const more = (): unknown => scope(() => [1, 2, 3].map((x) => add(sum, x)));
  expect(more).toThrow(OutOfMemoryError);
  expect(more).toThrow(
    "out of memory: add needs 1 MiB, and the memory limit is 4 MiB. In use: 4 MiB:\n" +
      "  3 MiB other tensors (add 3 MiB)\n  1 MiB parameters\n",
  );
  expect(memory().storages).toBe(before);
  const fits = add(sum, 2);
  expect((await fits.data())[7]).toBe(3);
  for (const t of [weight, sum, fits]) t.dispose();
  expect(() => zeros([2 * MIB])).toThrow("full needs 8 MiB, and the memory limit is 4 MiB");
});

test("buffers that wait for reuse are given back before anything is refused", async () => {
  await init({ memoryLimit: 4 * MIB });
  for (const count of [100_000, 200_000, 300_000]) zeros([count]).dispose(); // three sizes
  expect(device().pool.freeBytes).toBeGreaterThan(2 * MIB);
  const large = ones([700_000]);
  expect(device().pool.freeBytes).toBe(0);
  expect((await large.data()).every((x) => x === 1)).toBe(true);
  large.dispose();
});

test("what is smaller takes a buffer that is up to three times as large, the smallest that fits", async () => {
  await init();
  const { pool } = device();
  const quarters = (count: number) => zeros([(count * MIB) / 4 / 4]); // count of 256 KiB
  for (const t of [24, 16, 12, 2].map(quarters)) t.dispose();
  const { allocatedBytes } = pool;
  const taken = [7, 10, 14, 4].map(quarters);
  expect(taken.map(({ storage }) => (storage.buffer.bytes / MIB) * 4)).toEqual([12, 16, 24, 4]); // of 4, 24 would be too large
  expect(pool.allocatedBytes).toBe(allocatedBytes + MIB);
  for (const t of taken) t.dispose();
  const small = quarters(1); // too small to share
  expect(small.storage.buffer.bytes).toBe(MIB / 4);
  small.dispose();
});

test("memoryByOwner names nothing free where the pool has nothing", async () => {
  await destroy();
  await init();
  using x = tensor([1, 2]);
  expect(Object.keys(memoryByOwner())).toEqual(["other tensors"]);
  expect(x.size).toBe(2);
});

test("memoryByOwner adds up to all that is allocated, recordings included", async () => {
  await init();
  const x = keep(zeros([1000]), "inputs");
  const { result, recording } = record(() => scope(() => add(add(x, 1), 2)));
  zeros([5000]).dispose();
  const owners = memoryByOwner();
  expect(owners).toEqual({
    "free in the pool": { bytes: 20480, byOp: {} },
    inputs: { bytes: 4096, byOp: { full: 4096 } },
    "other tensors": { bytes: 4096, byOp: { add: 4096 } },
    recordings: { bytes: 4096, byOp: {} },
  });
  const total = Object.values(owners).reduce((sum, { bytes }) => sum + bytes, 0);
  expect(total).toBe(device().pool.allocatedBytes);
  for (const t of [x, result]) t.dispose();
  recording.dispose();
  expect(memoryByOwner()).toEqual({ "free in the pool": { bytes: total, byOp: {} } });
});

test("a recording sets aside what it takes, and nothing else that is free", async () => {
  await init();
  const x = zeros([1000]);
  for (const count of [1000, 5000]) zeros([count]).dispose();
  const first = record(() => scope(() => add(add(x, 1), 2))); // takes the free one of its size, and another
  const reserved = (): unknown[] => ["recordings", "free in the pool"].map((owner) => memoryByOwner()[owner]?.bytes);
  expect(reserved()).toEqual([4096, 20480]);
  zeros([1000]).dispose();
  expect(reserved()).toEqual([4096, 24576]);
  const second = record(() => scope(() => add(x, 3))); // takes what the first one's replays write to, too
  expect(reserved()).toEqual([undefined, 24576]);
  second.result.dispose();
  expect(reserved()).toEqual([4096, 24576]);
  second.recording.dispose();
  const failing = (): never => {
    ones([5000]);
    throw new Error("no more");
  };
  expect(() => record(() => scope(failing))).toThrow("no more");
  expect(reserved()).toEqual([4096 + 20480, 4096]); // one that fails sets nothing free that others need
  first.recording.replay();
  expect((await first.result.data())[0]).toBe(3);
  first.result.dispose();
  first.recording.dispose();
  x.dispose();
  expect(reserved()).toEqual([undefined, device().pool.allocatedBytes]);
});

test("recordings lend their memory to their owner's other work, which is notified if it keeps some", async () => {
  await init();
  const { pool } = device();
  const x = zeros([1000]);
  const { result, recording } = record(() => scope(() => add(add(x, 1), 2)));
  const { allocatedBytes } = pool;
  const kept = vi.fn();
  pool.lend(() => scope(() => void add(x, 5)), 1, kept);
  expect([pool.allocatedBytes, pool.reservedBytes]).toEqual([allocatedBytes, 4096]);
  expect(kept).not.toHaveBeenCalled();
  const y = pool.lend(() => add(x, 5), 1, kept);
  expect(kept).toHaveBeenCalledTimes(1);
  expect((await y.data())[0]).toBe(5);
  recording.replay();
  expect((await y.data())[0]).toBe(1); // so it has to be notified
  expect((await result.data())[0]).toBe(3);
  const z = add(x, 6); // nothing is lent now
  expect(pool.allocatedBytes).toBe(allocatedBytes + 4096);
  y.dispose();
  const v = pool.lend(() => add(x, 7), 0, kept); // nor to others, whose work the owner's replays would write over
  recording.replay();
  expect((await v.data())[0]).toBe(7);
  expect(kept).toHaveBeenCalledTimes(1);
  for (const t of [x, z, v, result]) t.dispose();
  recording.dispose();
  expect([pool.freeBytes, pool.reservedBytes]).toEqual([pool.allocatedBytes, 0]);
});

test("the limit comes from the environment, and outlives a lost device", async () => {
  process.env["GPUGRAD_MEMORY_LIMIT"] = "much";
  await expect(init()).rejects.toThrow("GPUGRAD_MEMORY_LIMIT: much is not a number of bytes such as 1073741824.");
  process.env["GPUGRAD_MEMORY_LIMIT"] = "1e6";
  await init();
  expect(device().memoryLimit).toBe(1e6);
  await destroy();
  await init({ memoryLimit: 2e6 });
  const x = tensor([1]);
  device().gpu.destroy();
  await expect(x.data()).rejects.toThrow("was lost");
  await init();
  expect(device().memoryLimit).toBe(2e6);
});

test("init() on a running device applies the limit that it names, and only then", async () => {
  const [one, other] = await Promise.all([init({ memoryLimit: 2 * MIB }), init({ memoryLimit: 4 * MIB })]);
  expect(other).toBe(one);
  const full = zeros([MIB / 2]); // 2 MiB
  await init({ memoryLimit: MIB });
  expect(() => zeros([MIB / 4])).toThrow("full needs 1 MiB, and the memory limit is 1 MiB. In use: 2 MiB");
  await expect(init({ memoryLimit: -1 })).rejects.toThrow("init: memoryLimit is -1, not a number of bytes above 0.");
  await init();
  expect(device().memoryLimit).toBe(MIB);
  await init({ memoryLimit: 3 * MIB });
  const more = zeros([MIB / 4]);
  expect(await more.data()).toEqual(new Float32Array(MIB / 4));
  for (const t of [full, more]) t.dispose();
});

test("a tensor that can't be bound is refused by the same error", async () => {
  await init();
  const { maxStorageBufferBindingSize: most } = device().gpu.limits;
  expect(() => zeros([most / 4 + 1])).toThrow(OutOfMemoryError);
  expect(() => zeros([most / 4 + 1])).toThrow(/bytes are more than this adapter binds at once/);
});

test("a program that leaves very much memory to the garbage collector is warned", async () => {
  vi.resetModules(); // it warns once
  const { destroy, empty, init, keep } = await import("../index.ts");
  await init();
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  const large = [0, 1, 2, 3, 4].map(() => keep(empty([15e6])));
  const shared = large[0]!.reshape([15e6, 1]); // 60 MB that are kept anyway
  large.push(shared, empty([15e6]), empty([15e6]), empty([15e6]));
  expect(warn).not.toHaveBeenCalled();
  large.push(empty([15e6]));
  expect(warn.mock.calls).toEqual([[expect.stringMatching(/tensors of more than 200 MB were made outside of any scope\(\)/)]]); // prettier-ignore
  for (const tensor of large) tensor.dispose();
  await destroy();
});

test("a program that leaves very many tensors to the garbage collector is warned, once", async () => {
  await init();
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  const many = <T>(make: () => T): T[] => Array.from({ length: 1100 }, make);
  scope(() => void many(() => add(zeros([1]), 1)));
  for (const kept of many(() => keep(zeros([1])))) kept.dispose();
  many(() => zeros([1]).dispose());
  expect(warn).not.toHaveBeenCalled();
  const left = [...many(() => scope(() => add(zeros([1]), 1))), ...many(() => zeros([1]))];
  expect(warn.mock.calls).toEqual([[expect.stringMatching(/more than 1000 tensors .* scope\(\).*docs\/memory\.md/)]]);
  for (const tensor of left) tensor.dispose();
});
