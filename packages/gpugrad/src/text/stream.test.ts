import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ahead, mapAhead, windowsOf } from "./stream.ts";

async function* slowly<T>(items: readonly (T | Promise<T>)[]): AsyncGenerator<T> {
  for (const item of items) yield await item;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const never = new Promise<never>(() => undefined);

describe("windowsOf", () => {
  it("gives full windows, and a last one", async () => {
    expect(await all(windowsOf(slowly([1, 2, 3, 4, 5]), 2, 10_000))).toEqual([[1, 2], [3, 4], [5]]);
    expect(await all(windowsOf(slowly([]), 2, 10_000))).toEqual([]);
  });

  it("gives what is there when no more comes", async () => {
    const windows = windowsOf(slowly([1, 2, never]), 8, 20);
    expect((await windows.next()).value).toEqual([1, 2]);
  });

  it("throws what its source throws, after what came before", async () => {
    const failing = async function* () {
      yield 1;
      throw new Error("torn");
    };
    const windows = windowsOf(failing(), 1, 10);
    expect((await windows.next()).value).toEqual([1]);
    await expect(windows.next()).rejects.toThrow("torn");
  });
});

it("ahead asks for one item more than was taken", async () => {
  let made = 0;
  const numbers = async function* () {
    for (;;) yield ++made;
  };
  const items = ahead(numbers());
  await items.next();
  await setTimeout();
  expect(made).toBe(2);
});

describe("mapAhead", () => {
  it("works on several at once, and gives results in order", async () => {
    let running = 0;
    let most = 0;
    const work = async (ms: number) => {
      most = Math.max(most, ++running);
      await setTimeout(ms);
      running--;
      return ms;
    };
    expect(await all(mapAhead(slowly([30, 1, 20, 2]), work, 2))).toEqual([30, 1, 20, 2]);
    expect(most).toBe(2);
  });

  it("gives a result though the next item does not come", async () => {
    const results = mapAhead(slowly([1, never]), (x) => Promise.resolve(x), 2);
    expect((await results.next()).value).toBe(1);
  });

  it("throws what work throws, when all that runs has ended", async () => {
    let ended = false;
    const work = async (x: number) => {
      await setTimeout(5 * x);
      if (x === 1) throw new Error("no");
      ended = true;
      return x;
    };
    await expect(all(mapAhead(slowly([1, 2]), work, 2))).rejects.toThrow("no");
    expect(ended).toBe(true);
  });
});
