/** A source of random numbers that is the same on every machine. */
export interface Random {
  /** An integer in [0, n), for n up to 2³². */
  below(n: number): number;
  /** A number in [0, 1) with 32 random bits. */
  uniform(): number;
  /** One of `values`. */
  pick<T>(values: readonly T[]): T;
}

const MASK = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

function mix(z: bigint): bigint {
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/**
 * SplitMix64: a counter in steps of the golden ratio, each value mixed. Streams of one seed (such as epochs) are
 * independent; stream 0 is the published generator.
 *
 * @param seed an integer.
 * @see https://prng.di.unimi.it/splitmix64.c
 * @see https://doi.org/10.1145/2714064.2660195 (Steele, Lea, Flood 2014)
 */
export function splitMix64(seed: number, stream = 0): Random & { next(): bigint } {
  let state = BigInt.asUintN(64, BigInt(seed));
  if (stream !== 0) state = mix((state + mix(BigInt.asUintN(64, BigInt(stream)))) & MASK);
  const next = () => mix((state = (state + GOLDEN) & MASK));
  const below = (n: number) => Number(((next() >> 32n) * BigInt(n)) >> 32n); // the high half of a 32×32-bit product
  return {
    next,
    below,
    uniform: () => Number(next() >> 32n) / 2 ** 32,
    pick: (values) => values[below(values.length)]!,
  };
}

/**
 * The numbers 0 … n − 1 in random order (Fisher–Yates, from the end): the same for a seed and an epoch, on every machine.
 * PyTorch's order is another one, its generator's.
 *
 * @see https://en.wikipedia.org/wiki/Fisher%E2%80%93Yates_shuffle
 */
export function shuffledIndices(n: number, seed: number, epoch = 0): Int32Array {
  const random = splitMix64(seed, epoch + 1);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
