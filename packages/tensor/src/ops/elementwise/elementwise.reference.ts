import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { broadcastShapes, broadcastStrides, sizeOf } from "../../shape.ts";

// What the kernels are tested against: float64, plain loops, formulas as textbooks have them.

/** 2/√π ∫₀ˣ e^(−t²) dt: a power series near 0, a continued fraction for the rest. */
function erfOf(x: number): number {
  return x < 0 ? -erfOf(-x) : x < 2 ? erfSeries(x) : 1 - erfcOf(x);
}

/** 1 − erf x, without cancellation for large x. */
export function erfcOf(x: number): number {
  if (x < 2) return 1 - erfOf(x);
  let fraction = x; // √π e^(x²) erfc x = 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + …))))
  for (let k = 120; k >= 1; k--) fraction = x + k / 2 / fraction;
  return Math.exp(-x * x) / fraction / Math.sqrt(Math.PI);
}

function erfSeries(x: number): number {
  let term = x; // 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)): no terms of opposite sign
  let sum = x;
  for (let n = 1; n < 60; n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoidOf = (x: number): number => 1 / (1 + Math.exp(-x));

/** To the nearest whole number, halves to the even one. */
function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

const unaryFormulas = {
  neg: (x: number) => -x,
  abs: Math.abs,
  square: (x: number) => x * x,
  reciprocal: (x: number) => 1 / x,
  sqrt: Math.sqrt,
  rsqrt: (x: number) => 1 / Math.sqrt(x),
  exp: Math.exp,
  log: Math.log,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  sigmoid: sigmoidOf,
  relu: (x: number) => Math.max(x, 0),
  erf: erfOf,
  silu: (x: number) => x * sigmoidOf(x),
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfToEven,
  sign: Math.sign,
};

const map = (x: NdArray, f: (x: number) => number): NdArray => ndArray(x.shape, x.data.map(f));

export const unaryReference =
  (name: keyof typeof unaryFormulas) =>
  (x: NdArray): NdArray =>
    map(x, unaryFormulas[name]);

export function geluReference(x: NdArray, { approximate = "none" }: { approximate?: "none" | "tanh" } = {}): NdArray {
  const inner = (v: number): number => Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3);
  return map(x, approximate === "tanh" ? (v) => v * sigmoidOf(2 * inner(v)) : (v) => (v / 2) * erfcOf(-v / Math.SQRT2));
}

export const clampReference = (
  x: NdArray,
  { min = -Infinity, max = Infinity }: { min?: number; max?: number },
): NdArray => map(x, (v) => Math.min(Math.max(v, min), max));

/** f of the elements of several arrays (or numbers), broadcast to each other. */
export function broadcasting(f: (...values: number[]) => number, ...operands: (NdArray | number)[]): NdArray {
  const arrays = operands.map((x) => (typeof x === "number" ? ndArray([], [x]) : x));
  const shape = broadcastShapes("reference", ...arrays.map((x) => x.shape));
  const strides = arrays.map((x) => broadcastStrides(x.shape, shape));
  const data = Float64Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const at = arrays.map(() => 0);
    let rest = flat;
    for (let d = shape.length - 1; d >= 0; d--) {
      const index = rest % shape[d]!;
      rest = Math.floor(rest / shape[d]!);
      strides.forEach((s, k) => (at[k]! += index * s[d]!));
    }
    return f(...arrays.map((x, k) => x.data[at[k]!]!));
  });
  return ndArray(shape, data);
}

const binaryFormulas = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
  pow: Math.pow,
  maximum: Math.max,
  minimum: Math.min,
  remainder: (a: number, b: number) => a - b * Math.floor(a / b),
  fmod: (a: number, b: number) => a % b,
};

export const binaryReference =
  (name: keyof typeof binaryFormulas) =>
  (a: NdArray | number, b: NdArray | number): NdArray =>
    broadcasting(binaryFormulas[name], a, b);
