import { describe, expect, test } from "vitest";
import { permutation } from "./ops/create/random.ts";
import { advance, Generator, philox, uniformFloat, type GeneratorState } from "./random.ts";

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

test("a child's key and stream are one block, under a key that the parent's stream makes its own", () => {
  const { key, stream } = new Generator(7n).fork("a").state;
  const own = philox([0, 0, 0, 0x6b657973], [7, 0]);
  const label = 0xe40c292c; // FNV-1a of "a"
  expect([...key, ...stream]).toEqual(philox([label, label, 0, 0x666f726b], [own[0], own[1]]));
  const parent = new Generator(0).setState({ key: [7, 0], stream: [5, 6], blocks: 3 + 2 ** 32 });
  const [first, second] = parent.split(2);
  const mixed = philox([5, 6, 0, 0x6b657973], [7, 0]);
  for (const [i, child] of [first!, second!].entries())
    expect([...child.state.key, ...child.state.stream]).toEqual(philox([3, 1, i, 0x73706c69], [mixed[0], mixed[1]]));
  expect(parent.state).toEqual({ key: [7, 0], stream: [5, 6], blocks: 4 + 2 ** 32 });
  const { key: drawn, counter } = parent.draw(5);
  expect([drawn, counter, parent.state.blocks]).toEqual([[7, 0], [4, 1, 5, 6], 6 + 2 ** 32]);
  expect(() => new Generator(2 ** 53)).toThrow("is not a whole number up to 2⁵³. Give larger ones as bigint");
  expect(new Generator(2n ** 33n + 5n).state.key).toEqual([5, 2]);
  expect(new Generator().state.key).not.toEqual(new Generator(0).state.key);
});
