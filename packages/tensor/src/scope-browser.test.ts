import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { destroy, init, mul, scope, tensor, undisposed } from "./index.ts";

// As in a browser, which does not tell asynchronous activities apart.
vi.mock("#platform", async (original) => ({
  ...(await original<object>()),
  contextVariable: (await import("./runtime/platform.browser.ts")).contextVariable,
}));

beforeAll(async () => void (await init()));
afterAll(destroy);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("one asynchronous scope after the other, inside each other, and when they throw", async () => {
  const before = undisposed();
  const y = await scope(async () => {
    const x = await scope(async () => (await pause(1), tensor([1, 2])));
    await pause(1);
    await expect(scope(async () => (await pause(1), mul(x, 2), Promise.reject(new Error("no"))))).rejects.toThrow("no");
    return mul(x, 3);
  });
  expect([await y.toArray(), undisposed()]).toEqual([[3, 6], before + 1]);
  y.dispose();
});

test("works at the same time: the error says whose scope took the tensor", async () => {
  const before = undisposed();
  const w = tensor([1, 2]);
  const loop = scope(async () => {
    for (let i = 0; i < 3; i++) await mul(w, w).data();
  });
  const y = mul(w, 2); // a click meanwhile
  await loop;
  await expect(y.data()).rejects.toThrow(
    /used after it was disposed.*while an asynchronous scope was open.*at the same time/,
  );
  // Ends in the order in which they began: neither loses its own memory, nor the count.
  const [slow, fast] = [pause(10), pause(2)].map((time) => scope(async () => (await time, 1)));
  expect(await Promise.all([slow, fast])).toEqual([1, 1]);
  w.dispose();
  expect(undisposed()).toBe(before);
});
