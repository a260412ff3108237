import { checked } from "../../arguments.ts";
import type { DType } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { defineStorageOp, notDifferentiable } from "../../op.ts";
import { defaultGenerator, type Generator } from "../../random.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, type Shape } from "../../shape.ts";
import { fromArray } from "../../factories.ts";
import { empty, type Tensor } from "../../tensor.ts";
import randomCode from "./random.wgsl";

const randomKernel = kernel("ops/create/random.wgsl", randomCode);

/** What the kernel makes of the random words; the numbers are its KIND. */
const kinds = { words: 0, uniform: 1, normal: 2, integers: 3, bernoulli: 4 };

interface Recipe {
  dtype: DType;
  generator?: Generator | undefined;
  low?: number;
  high?: number;
  first?: number;
  range?: number;
}

const define = (name: string, kind: keyof typeof kinds) =>
  defineStorageOp(name, {
    forward(shape: Shape, { dtype, generator = defaultGenerator, low = 0, high = 1, first = 0, range = 1 }: Recipe) {
      const y = empty(shape, dtype);
      const vectors = ceilDiv(y.size, 4);
      const one = dtype === "f32" ? 0x3f800000 : 1;
      const params = { ...generator.draw(y.size), vectors, range, one, low, high, first };
      run(randomKernel, { y }, params, { threads: vectors, overrides: { KIND: kinds[kind] } });
      return { output: y, inputs: {}, saved: {} };
    },
    backward: notDifferentiable("random numbers depend on nothing"),
  });

const words = define("randomWords", "words");
const uniformNumbers = define("uniform", "uniform");
const normalNumbers = define("randn", "normal");
const integers = define("randint", "integers");
const coins = define("bernoulli", "bernoulli");

export interface RandomOptions {
  /** The source; {@link defaultGenerator} unless given. */
  generator?: Generator;
}

const randomTakes = { generator: "generator?" } as const;

/** Random 32-bit words, as u32: the stream of the generator itself. */
export const randomWords = checked(
  "randomWords",
  { shape: "shape", options: randomTakes },
  (shape: Shape, { generator }: RandomOptions = {}) => words(shape, { dtype: "u32", generator }),
);

/** f32 numbers evenly distributed in [low, high), on a grid of (high − low) · 2⁻²⁴. */
export const uniform = checked(
  "uniform",
  { shape: "shape", options: { ...randomTakes, low: "number?", high: "number?" } },
  (shape: Shape, { low = 0, high = 1, generator }: RandomOptions & { low?: number; high?: number } = {}) =>
    uniformNumbers(shape, { dtype: "f32", generator, low, high }),
);

/** f32 numbers evenly distributed in [0, 1). */
export const rand = checked("rand", { shape: "shape", options: randomTakes }, (shape: Shape, options?: RandomOptions) =>
  uniform(shape, options),
);

/** f32 numbers of the normal distribution, by Box–Muller. */
export const randn = checked(
  "randn",
  { shape: "shape", options: { ...randomTakes, mean: "number?", std: "number?" } },
  (shape: Shape, { mean = 0, std = 1, generator }: RandomOptions & { mean?: number; std?: number } = {}) =>
    normalNumbers(shape, { dtype: "f32", generator, low: mean, high: std }),
);

/** i32 numbers evenly distributed from `low` to `high` − 1. @throws when there is none */
export const randint = checked(
  "randint",
  { low: "number", high: "number", shape: "shape", options: randomTakes },
  (low: number, high: number, shape: Shape, { generator }: RandomOptions = {}): Tensor => {
    check(
      Number.isInteger(low) && Number.isInteger(high) && low < high && low >= -(2 ** 31) && high < 2 ** 31,
      () => `randint: no 32-bit whole numbers from ${low} to below ${high}.`,
    );
    return integers(shape, { dtype: "i32", generator, first: low, range: high - low });
  },
);

/** 1 with probability p, else 0: f32, or `bool`. */
export const bernoulli = checked(
  "bernoulli",
  { shape: "shape", options: { ...randomTakes, p: "number?", dtype: ["f32", "bool"] } },
  (
    shape: Shape,
    { p = 0.5, dtype = "f32", generator }: RandomOptions & { p?: number; dtype?: "f32" | "bool" } = {},
  ): Tensor => {
    check(p >= 0 && p <= 1, () => `bernoulli: p is ${p}, but a probability lies between 0 and 1.`);
    return coins(shape, { dtype, generator, low: p });
  },
);

/** The numbers 0 … n − 1 in random order, as i32; shuffled on the host. */
export const randperm = checked(
  "randperm",
  { n: "number", options: randomTakes },
  (n: number, { generator = defaultGenerator }: RandomOptions = {}): Tensor =>
    fromArray(permutation(n, generator), [n], "i32"),
);

/** The numbers 0 … n − 1 in random order (Fisher and Yates), without a device: for the order of data. */
export const permutation = checked(
  "permutation",
  { n: "number", generator: "generator?" },
  (n: number, generator: Generator = defaultGenerator): Int32Array => {
    check(Number.isInteger(n) && n >= 0, () => `permutation: n is ${n}, not a count.`);
    const order = Int32Array.from({ length: n }, (_, i) => i);
    const random = generator.words(n);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor((random[i]! * (i + 1)) / 2 ** 32);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  },
);
