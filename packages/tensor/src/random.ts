import { check } from "./errors.ts";
import { live } from "./runtime/recording.ts";

type Words = [number, number, number, number];

/** Where a kernel begins to draw: it makes block i of its numbers from `counter` + i (128 bits, word 0 lowest) under `key`. */
export interface Draw {
  readonly key: readonly [number, number];
  readonly counter: Readonly<Words>;
}

/** All that a {@link Generator} is: plain numbers, so that JSON holds it. */
export interface GeneratorState {
  readonly key: readonly [number, number];
  /** Upper half of the counter: distinguishes generators of one key. */
  readonly stream: readonly [number, number];
  /** Blocks of four words drawn so far: the lower half of the counter. */
  readonly blocks: number;
}

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_INCREMENTS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** Upper 32 bits of the product of two words. */
function mulHigh(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const low = Math.imul(al, bl) >>> 0;
  const middle = ah * bl + (low >>> 16); // below 2³³: exact in a double
  const other = al * bh + (middle % 0x10000);
  return (ah * bh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) >>> 0;
}

/**
 * Philox4x32-10: four random words from a counter and a key. There is no state: any block of a stream can be made, in any order,
 * on host and device alike.
 * @see Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. https://doi.org/10.1145/2063384.2063405
 */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(MULTIPLIERS[0], c0);
    const low0 = Math.imul(MULTIPLIERS[0], c0) >>> 0;
    const high1 = mulHigh(MULTIPLIERS[1], c2);
    const low1 = Math.imul(MULTIPLIERS[1], c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + KEY_INCREMENTS[0]) >>> 0;
    k1 = (k1 + KEY_INCREMENTS[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The counter `blocks` further on: a 128-bit sum, word 0 lowest. */
export function advance(counter: Readonly<Words>, blocks: number): Words {
  let carry = blocks;
  return counter.map((word) => {
    const sum = word + (carry % 2 ** 32);
    carry = Math.floor(carry / 2 ** 32) + (sum >= 2 ** 32 ? 1 : 0);
    return sum >>> 0;
  }) as Words;
}

/** A word as a number in [0, 1 − 2⁻²⁴]: its upper 24 bits, so that every value is exact in f32. */
export const uniformFloat = (word: number): number => (word >>> 8) * 2 ** -24;

/**
 * A source of random numbers: Philox4x32-10 under a key (the seed), counting the blocks it has given away. The same seed gives the
 * same numbers; independent generators come from {@link split} and {@link fork}.
 */
export class Generator {
  #key: readonly [number, number] = [0, 0];
  #stream: readonly [number, number] = [0, 0];
  #blocks = 0;

  /** @param seed 64 bits: a whole number or a bigint; a new one every time if left out */
  constructor(seed?: number | bigint) {
    this.seed(seed ?? BigInt(Date.now()) * 0x1_0000n + BigInt(Math.floor(Math.random() * 0x1_0000)));
  }

  /** Begins again at `seed`. */
  seed(seed: number | bigint): this {
    check(
      typeof seed === "bigint" || Number.isSafeInteger(seed),
      () => `Generator: the seed ${String(seed)} is not a whole number up to 2⁵³. Give larger ones as bigint.`,
    );
    const bits = BigInt.asUintN(64, BigInt(seed));
    this.#key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
    this.#stream = [0, 0];
    this.#blocks = 0;
    return this;
  }

  /** Where it is: `setState` goes back there exactly. */
  get state(): GeneratorState {
    return { key: this.#key, stream: this.#stream, blocks: this.#blocks };
  }

  /** Goes back to where {@link state} was read. */
  setState({ key, stream, blocks }: GeneratorState): this {
    this.#key = [key[0], key[1]];
    this.#stream = [stream[0], stream[1]];
    this.#blocks = blocks;
    return this;
  }

  /** Gives away the blocks for `count` words, never to be given again, as a kernel wants them. */
  draw(count: number): Draw {
    const counter = live((): Words => {
      const first = this.#blocks;
      this.#blocks += Math.ceil(count / 4);
      return [first >>> 0, Math.floor(first / 2 ** 32), ...this.#stream];
    });
    return { key: live(() => [...this.#key] as const), counter };
  }

  /** `count` random words, made on the host. */
  words(count: number): Uint32Array {
    const { key, counter } = this.draw(count);
    const words = new Uint32Array(count);
    for (let at = 0; at < count; at += 4) {
      const block = philox(advance(counter, at / 4), key);
      words.set(block.slice(0, count - at), at);
    }
    return words;
  }

  /** `n` independent generators. Uses up a block, so the next split gives others. */
  split(n: number): Generator[] {
    const { counter } = this.draw(1);
    return Array.from({ length: n }, (_, i) => this.#child([counter[0], counter[1], i, 0x73706c69]));
  }

  /** An independent generator that depends on the seed and `label` alone, not on what was drawn: `fork("dropout")`. */
  fork(label: string | number): Generator {
    let [low, high] = [0x811c9dc5, 0]; // FNV-1a and a sum of its states: 64 bits of the label
    for (const char of String(label)) {
      low = Math.imul(low ^ char.codePointAt(0)!, 0x01000193) >>> 0;
      high = (Math.imul(high, 31) + low) >>> 0;
    }
    return this.#child([low, high, 0, 0x666f726b]);
  }

  /** The words of one block are key and stream of the child. What sets `counter` apart is mixed into this one's own stream. */
  #child(counter: Readonly<Words>): Generator {
    const own = philox([...this.#stream, 0, 0x6b657973], this.#key);
    const [k0, k1, s0, s1] = philox(counter, [own[0], own[1]]);
    return new Generator(0).setState({ key: [k0, k1], stream: [s0, s1], blocks: 0 });
  }
}

/** The generator that ops use unless they are given another. */
export const defaultGenerator = new Generator();

/** Seeds {@link defaultGenerator}: the same seed on the same adapter gives the same bytes. */
export function manualSeed(seed: number | bigint): Generator {
  return defaultGenerator.seed(seed);
}
