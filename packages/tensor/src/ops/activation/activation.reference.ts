import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { broadcasting } from "../elementwise/elementwise.reference.ts";

const sigmoidOf = (v: number): number => 1 / (1 + Math.exp(-v));
const softplusOf = (v: number): number => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));

const mapping =
  <O extends object>(f: (v: number, options: O) => number) =>
  (x: NdArray, options: O = {} as O): NdArray =>
    ndArray(
      x.shape,
      x.data.map((v) => (Number.isNaN(v) ? NaN : f(v, options))),
    );

type Alpha = { alpha?: number };

export const log1pReference = mapping(Math.log1p);
export const expm1Reference = mapping(Math.expm1);
export const logsigmoidReference = mapping((v) => -softplusOf(-v));
export const mishReference = mapping((v) => v * Math.tanh(softplusOf(v)));
export const hardswishReference = mapping((v) => (v * Math.min(Math.max(v + 3, 0), 6)) / 6);
export const hardsigmoidReference = mapping((v) => Math.min(Math.max(v + 3, 0), 6) / 6);
export const softplusReference = mapping((v, { beta = 1, threshold = 20 }: { beta?: number; threshold?: number }) =>
  beta * v > threshold ? v : softplusOf(beta * v) / beta,
);
export const leakyReluReference = mapping((v, { negativeSlope = 0.01 }: { negativeSlope?: number }) =>
  v > 0 ? v : negativeSlope * v,
);
export const eluReference = mapping((v, { alpha = 1 }: Alpha) => (v > 0 ? v : alpha * Math.expm1(v)));
export const celuReference = mapping((v, { alpha = 1 }: Alpha) => (v > 0 ? v : alpha * Math.expm1(v / alpha)));
export const seluReference = mapping((v) => 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * Math.expm1(v)));

export const logaddexpReference = (a: NdArray, b: NdArray): NdArray =>
  broadcasting((p, q) => (Number.isNaN(p + q) ? NaN : Math.max(p, q) + softplusOf(-Math.abs(p - q))), a, b);

/** The first half of the last dimension times the sigmoid of the second. */
export function gluReference(x: NdArray): NdArray {
  const n = x.shape.at(-1)!;
  const rows = Array.from({ length: x.data.length / n }, (_, r) => x.data.slice(r * n, r * n + n));
  const halves = rows.flatMap((row) => Array.from({ length: n / 2 }, (_, i) => row[i]! * sigmoidOf(row[i + n / 2]!)));
  return ndArray([...x.shape.slice(0, -1), n / 2], halves);
}
