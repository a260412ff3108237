import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { destroy, init, keep, mul, scope, tensor, undisposed } from "./index.ts";

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
  const z = mul(w, 2); // a click after it
  expect(await z.toArray()).toEqual([2, 4]);
  z.dispose();
  // Ends in the order in which they began: neither loses its own memory, nor the count.
  const [slow, fast] = [pause(10), pause(2)].map((time) => scope(async () => (await time, 1)));
  expect(await Promise.all([slow, fast])).toEqual([1, 1]);
  w.dispose();
  expect(undisposed()).toBe(before);
});

test("scopes held by hand overlap with a loop and with each other: each has its own tensors", async () => {
  const before = undisposed();
  const w = tensor([1, 2]);
  const loop = scope(async () => {
    for (let i = 0; i < 3; i++) await mul(w, w).data();
    return mul(w, 10);
  });
  const click = async (times: number): Promise<unknown> => {
    using s = scope();
    const y = s.run(() => mul(mul(w, times), 1)); // with a temporary
    await pause(times);
    const z = s.run(() => scope(() => mul(y, 2))); // a scope within hands its result to it
    await pause(times);
    return z.toArray();
  };
  const clicks = [click(5), click(1), click(3)];
  const result = await loop;
  expect(await Promise.all(clicks)).toEqual([5, 1, 3].map((times) => [2 * times, 4 * times]));
  expect(await result.toArray()).toEqual([10, 20]);
  result.dispose();
  w.dispose();
  expect(undisposed()).toBe(before);
});

test("a scope held by hand ends what threw in it, leaves what is kept, and refuses to run afterwards", async () => {
  const before = undisposed();
  const s = scope();
  expect(() => s.run(() => (tensor([1]), fail()))).toThrow("no");
  const kept = s.run(() => keep(tensor([3])));
  const outer = scope(() => s.run(() => tensor([4]))); // the tensor is s's, not that of the scope around the call
  expect(await outer.item()).toBe(4);
  s.dispose();
  s.dispose();
  expect(outer.disposed).toBe(true);
  expect(await kept.item()).toBe(3);
  kept.dispose();
  expect(() => s.run(() => 1)).toThrow("Scope.run: the scope was disposed");
  expect(() => s.run(1 as never)).toThrow("Scope.run: work is 1, not a function.");
  expect(undisposed()).toBe(before);
});

function fail(): never {
  throw new Error("no");
}
