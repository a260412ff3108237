import { describe, expect, test } from "vitest";
import { Generator, manualSeed, uniformFloat } from "../../random.ts";
import { drawnNear, withDevice } from "../../testing/check-op.ts";
import { bernoulli, permutation, rand, randint, randn, randomWords, randperm, uniform } from "./random.ts";

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
    const words = new Generator(2).words(9000);
    const p = drawnNear(0.2, words);
    const want = Array.from(words, (word) => Number(uniformFloat(word) < p));
    expect([...(await bernoulli([9000], { p, generator: new Generator(2) }).data())]).toEqual(want);
    expect((await bernoulli([3], { p: 1, dtype: "bool" }).toArray()) as boolean[]).toEqual([true, true, true]);
    expect([...(await randperm(5).data())].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("refuse what is no probability, and no count", () => {
    for (const p of [-0.1, 1.1, NaN])
      expect(() => bernoulli([1], { p })).toThrow(`bernoulli: p is ${p}, but a probability lies between 0 and 1`);
    for (const n of [-1, 0.5, NaN]) expect(() => permutation(n)).toThrow(`permutation: n is ${n}, not a count`);
    expect(permutation(0).length).toBe(0);
  });
});
