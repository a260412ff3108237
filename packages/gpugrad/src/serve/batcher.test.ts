import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Batcher, QueueFullError, type BatchEvent, type BatcherOptions } from "./batcher.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** Items are their own lengths; the result of one is ten times itself. Batches end when the test says so. */
function batcher(options: Partial<BatcherOptions<number, number>> = {}) {
  const batches: number[][] = [];
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const events: BatchEvent[] = [];
  const queue = new Batcher<number, number>({
    compute(items) {
      batches.push(items);
      return new Promise((resolve, reject) => ends.push({ resolve: () => resolve(items.map((x) => 10 * x)), reject }));
    },
    lengthOf: (item) => item,
    maxBatchSize: 4,
    maxWait: 0,
    maxQueueSize: 8,
    onBatch: (event) => events.push(event),
    ...options,
  });
  /** Ends the batch that runs, and lets what follows from it happen. */
  const end = async (error?: Error): Promise<void> => {
    const batch = ends.shift()!;
    if (error) batch.reject(error);
    else batch.resolve();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { queue, batches, events, end };
}

describe("batches", () => {
  it("are made of what came while the one before ran", async () => {
    const { queue, batches, end } = batcher();
    const results = [queue.submit([1])];
    for (const item of [2, 3, 4]) results.push(queue.submit([item]));
    expect(batches).toEqual([[1]]);
    await end();
    expect(batches).toEqual([[1], [2, 3, 4]]);
    await end();
    expect(await Promise.all(results)).toEqual([[10], [20], [30], [40]]);
    expect(batches).toHaveLength(2);
  });

  it("hold maxBatchSize at most; a request may be spread over several", async () => {
    const { queue, batches, end } = batcher({ maxBatchSize: 2 });
    const result = queue.submit([1, 2, 3, 4, 5]);
    for (let i = 0; i < 3; i++) await end();
    expect(batches).toEqual([[1, 2], [3, 4], [5]]);
    expect(await result).toEqual([10, 20, 30, 40, 50]);
  });

  it("go first when they are full, though an older item of another length still waits for others", async () => {
    const { queue, batches, end } = batcher({ maxBatchSize: 2, maxWait: 10 });
    void queue.submit([100]);
    await vi.advanceTimersByTimeAsync(5);
    void queue.submit([1, 2]);
    expect(batches).toEqual([[1, 2]]);
    void queue.submit([3, 4]);
    await vi.advanceTimersByTimeAsync(5);
    await end();
    expect(batches[1]).toEqual([100]); // it has waited long enough
  });

  it("wait maxWait for others while nothing runs, unless they are full", async () => {
    const { queue, batches, end } = batcher({ maxBatchSize: 3, maxWait: 10 });
    void queue.submit([1]);
    await vi.advanceTimersByTimeAsync(6);
    void queue.submit([2]);
    await vi.advanceTimersByTimeAsync(3);
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1); // 10 ms after the first
    expect(batches).toEqual([[1, 2]]);
    await end();
    void queue.submit([3, 4]);
    void queue.submit([5]);
    expect(batches[1]).toEqual([3, 4, 5]);
    void queue.submit([6]);
    await vi.advanceTimersByTimeAsync(10);
    await end();
    expect(batches[2]).toEqual([6]); // it has waited while the others ran
  });

  it("hold what is of the oldest one's length, up to a factor of two", async () => {
    const { queue, batches, end } = batcher();
    void queue.submit([1]);
    for (const item of [100, 20, 65, 30, 128, 16, 129]) void queue.submit([item]);
    for (let i = 0; i < 5; i++) await end();
    expect(batches).toEqual([[1], [100, 65, 128], [20, 30], [16], [129]]);
  });

  it("are reported with their padding and how long each item waited", async () => {
    const { queue, events, end } = batcher();
    void queue.submit([20]);
    await vi.advanceTimersByTimeAsync(3000);
    void queue.submit([20, 30]);
    await vi.advanceTimersByTimeAsync(2000);
    await end();
    await vi.advanceTimersByTimeAsync(500);
    await end();
    expect(events).toEqual([
      { size: 1, tokens: 20, paddedTokens: 20, seconds: 5, waited: [0] },
      { size: 2, tokens: 50, paddedTokens: 60, seconds: 0.5, waited: [2, 2] },
    ]);
  });
});

it("refuses what has no room, whole, and says for how long", async () => {
  const { queue, batches, end } = batcher({ maxQueueSize: 3 });
  void queue.submit([1]); // runs: no longer in the queue
  await vi.advanceTimersByTimeAsync(16_000); // two seconds per text on the average of eight
  await end();
  void queue.submit([2]);
  void queue.submit([3, 4]);
  const error = await queue.submit([5, 6]).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(QueueFullError);
  expect(error).toMatchObject({ message: expect.stringMatching(/2 of 3 texts wait.*2 more/) as string, retryAfter: 4 });
  expect(queue.queued).toBe(2);
  void queue.submit([7]);
  await end();
  expect(batches).toEqual([[1], [2], [3, 4, 7]]);
});

describe("whoever goes away", () => {
  it("leaves the queue, and the others continue", async () => {
    const { queue, batches, end } = batcher();
    const gone = new AbortController();
    void queue.submit([1]);
    const left = queue.submit([2, 3], gone.signal);
    const other = queue.submit([4]);
    gone.abort();
    await expect(left).rejects.toThrow(/abort/);
    expect(queue.queued).toBe(1);
    await end();
    await end();
    expect(await other).toEqual([40]);
    expect(batches).toEqual([[1], [4]]);
    await expect(queue.submit([5], gone.signal)).rejects.toThrow(/abort/);
    expect(queue.queued).toBe(0);
  });

  it("while the batch runs, takes nothing from the rest of it", async () => {
    const { queue, end } = batcher();
    void queue.submit([1]);
    const gone = new AbortController();
    const left = queue.submit([2], gone.signal);
    const other = queue.submit([3]);
    await end();
    gone.abort();
    await expect(left).rejects.toThrow(/abort/);
    await end();
    expect(await other).toEqual([30]);
  });

  it("is no longer listened to once it has its answer", async () => {
    const { queue, end } = batcher();
    const { signal } = new AbortController();
    const result = queue.submit([1, 2, 3], signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await end();
    await result;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});

it("an error is that batch's alone", async () => {
  const { queue, end } = batcher();
  const first = queue.submit([1]);
  const second = queue.submit([2]);
  void first.catch(() => undefined);
  await end(new Error("the device is lost"));
  await end();
  await expect(first).rejects.toThrow("the device is lost");
  expect(await second).toEqual([20]);
});

it("close() computes what waits without waiting for more", async () => {
  const { queue, batches, end } = batcher({ maxWait: 1000, maxBatchSize: 2 });
  const results = queue.submit([1, 20, 2, 3]);
  let isClosed = false;
  const closed = queue.close().then(() => (isClosed = true));
  for (let i = 0; i < 3; i++) {
    expect(isClosed).toBe(false);
    await end();
  }
  await closed;
  expect(batches).toEqual([[1, 2], [20], [3]]);
  expect(await results).toEqual([10, 200, 20, 30]);
});
