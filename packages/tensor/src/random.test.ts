import { describe, expect, test } from "vitest";
import { bernoulli, permutation, rand, randint, randn, randomWords, randperm, uniform } from "./ops/create/random.ts";
import { advance, Generator, manualSeed, philox, uniformFloat, type GeneratorState } from "./random.ts";
import { withDevice } from "./testing/check-op.ts";

describe("Philox4x32-10", () => {
  // The known answers that Random123 publishes in its kat_vectors.
  test.each([
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]], // prettier-ignore
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]], // prettier-ignore
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]], // prettier-ignore
  ] as [[number, number, number, number], [number, number], number[]][])("%j under %j", (counter, key, words) => {
    expect(philox(counter, key)).toEqual(words);
  });

  test("counters carry, words become floats below 1", () => {
    expect(advance([2 ** 32 - 1, 2 ** 32 - 1, 7, 0], 2)).toEqual([1, 0, 8, 0]);
    expect(advance([0, 0, 0, 0], 2 ** 33 + 5)).toEqual([5, 2, 0, 0]);
    expect(uniformFloat(2 ** 32 - 1)).toBe(1 - 2 ** -24);
  });
});

describe("Generator", () => {
  test("the same seed gives the same numbers, state() goes back, JSON holds it", () => {
    const a = new Generator(7n);
    const first = a.words(10);
    const state = JSON.parse(JSON.stringify(a.state)) as GeneratorState;
    const second = a.words(5);
    expect(a.setState(state).words(5)).toEqual(second);
    expect(a.seed(7).words(10)).toEqual(first);
    expect(new Generator(-1n).state.key).toEqual([0xffffffff, 0xffffffff]);
    expect(() => new Generator(0.5)).toThrow("Generator: the seed 0.5");
  });

  test("children are independent of each other and of what they come from", () => {
    const parent = new Generator(1);
    const fork = parent.fork("dropout");
    const children = [parent, fork, parent.fork("data"), ...parent.split(2), ...parent.split(2), ...fork.split(1)];
    const streams = children.map((g) => String(g.words(4)));
    expect(new Set(streams).size).toBe(children.length);
    parent.words(100);
    expect(String(parent.fork("data").words(4))).toBe(streams[2]);
  });

  test("a permutation has every number once", () => {
    const order = permutation(1000, new Generator(3));
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect(order).not.toEqual(permutation(1000, new Generator(4)));
  });
});

describe("random tensors", () => {
  withDevice();
  const mean = (values: ArrayLike<number>, f = (v: number) => v): number =>
    Array.from(values).reduce((sum, v) => sum + f(v), 0) / values.length;

  test("host and device draw the same words, past a carry too", async () => {
    const state = { key: [5, 6], stream: [0, 9], blocks: 2 ** 32 - 3 } as const;
    const words = new Generator(0).setState(state).words(30);
    expect(await randomWords([30], { generator: new Generator(0).setState(state) }).data()).toEqual(words);
  });

  test("manualSeed makes runs repeat; further draws differ", async () => {
    manualSeed(42);
    const [a, b] = await Promise.all([rand([5]).data(), rand([5]).data()]);
    manualSeed(42);
    expect(await rand([5]).data()).toEqual(a);
    expect(b).not.toEqual(a);
  });

  test("uniform", async () => {
    const words = new Generator(9).words(1001);
    const values = await uniform([1001], { low: -2, high: 2, generator: new Generator(9) }).data();
    expect([...values]).toEqual([...words].map((word) => -2 + 4 * uniformFloat(word)));
    expect(uniform([0, 4]).shape).toEqual([0, 4]);
  });

  test("randn is Box–Muller of the words", async () => {
    const words = new Generator(11).words(40_000);
    const values = await randn([40_000], { mean: 1, std: 2, generator: new Generator(11) }).data();
    let worst = 0;
    for (let i = 0; i < values.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(Math.fround(Math.fround(words[i]!) + 1) * 2 ** -32));
      const angle = 2 * Math.PI * uniformFloat(words[i + 1]!);
      const errors = [values[i]! - 1 - 2 * radius * Math.cos(angle), values[i + 1]! - 1 - 2 * radius * Math.sin(angle)];
      worst = Math.max(worst, ...errors.map(Math.abs));
    }
    expect(worst).toBeLessThan(1e-5); // of values up to 9
    expect(Math.abs(mean(values) - 1)).toBeLessThan(0.04);
    expect(Math.abs(mean(values, (v) => (v - 1) ** 2) - 4)).toBeLessThan(0.12);
  });

  test("randint, bernoulli, randperm", async () => {
    const dice = await randint(-1, 2, [9000], { generator: new Generator(2) }).data();
    for (const face of [-1, 0, 1]) expect(Math.abs(mean(dice, (v) => Number(v === face)) - 1 / 3)).toBeLessThan(0.02);
    expect(() => randint(3, 3, [1])).toThrow("randint: no 32-bit whole numbers from 3");
    const coins = await bernoulli([9000], { p: 0.2, generator: new Generator(2) }).data();
    expect(Math.abs(mean(coins) - 0.2)).toBeLessThan(0.015);
    expect((await bernoulli([3], { p: 1, dtype: "bool" }).toArray()) as boolean[]).toEqual([true, true, true]);
    expect([...(await randperm(5).data())].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
