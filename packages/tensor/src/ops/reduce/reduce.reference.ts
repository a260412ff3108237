import { alongDim, ndArray, type NdArray } from "../../testing/nd-array.ts";
import { sizeOf, stridesOf } from "../../shape.ts";
import { reductionOf, type ReduceOptions } from "./stretch.ts";

// What the kernels are tested against: float64, plain loops.

/** `f` of the elements that each element of the result is made of. */
function reducing(x: NdArray, options: ReduceOptions, f: (elements: number[]) => number): NdArray {
  const { kept, shape } = reductionOf("reference", x.shape, options);
  const from = stridesOf(x.shape);
  const to = stridesOf(kept);
  const groups = Array.from({ length: sizeOf(kept) }, (): number[] => []);
  x.data.forEach((value, flat) => {
    const at = x.shape.reduce((sum, n, d) => sum + (kept[d] === 1 ? 0 : (Math.floor(flat / from[d]!) % n) * to[d]!), 0);
    groups[at]!.push(value);
  });
  return ndArray(shape, groups.map(f));
}

const add = (a: number, b: number): number => a + b;

export const sumReference = (x: NdArray, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => list.reduce(add, 0));

export const meanReference = (x: NdArray, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => list.reduce(add, 0) / list.length);

export const prodReference = (x: NdArray, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => list.reduce((a, b) => a * b, 1));

export const amaxReference = (x: NdArray, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => Math.max(...list));

export const aminReference = (x: NdArray, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => Math.min(...list));

export const argmaxReference = (x: NdArray, options: { dim?: number; keepdim?: boolean } = {}): NdArray =>
  reducing(x, options, (list) => list.indexOf(Math.max(...list)));

export const argminReference = (x: NdArray, options: { dim?: number; keepdim?: boolean } = {}): NdArray =>
  reducing(x, options, (list) => list.indexOf(Math.min(...list)));

export function logsumexpReference(x: NdArray, options: ReduceOptions = {}): NdArray {
  return reducing(x, options, (list) => {
    const largest = Math.max(...list);
    return largest + Math.log(list.reduce((sum, v) => sum + Math.exp(v - largest), 0));
  });
}

export function varianceReference(x: NdArray, options: ReduceOptions & { correction?: number } = {}): NdArray {
  return reducing(x, options, (list) => {
    const mean = list.reduce(add, 0) / list.length;
    return list.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(0, list.length - (options.correction ?? 1));
  });
}

export function cumsumReference(x: NdArray, { dim }: { dim: number }): NdArray {
  const axis = dim < 0 ? dim + x.shape.length : dim;
  const n = x.shape[axis] ?? 1;
  const step = sizeOf(x.shape.slice(axis + 1));
  const y = ndArray(x.shape, x.data);
  y.data.forEach((value, i) => {
    if (Math.floor(i / step) % n > 0) y.data[i] = value + y.data[i - step]!;
  });
  return y;
}

export const stdReference = (x: NdArray, options: ReduceOptions & { correction?: number } = {}): NdArray => {
  const { shape, data } = varianceReference(x, options);
  return ndArray(shape, data.map(Math.sqrt));
};

export const normReference = (x: NdArray, ord: number, options: ReduceOptions = {}): NdArray =>
  reducing(x, options, (list) => list.reduce((sum, v) => sum + Math.abs(v) ** ord, 0) ** (1 / ord));

/** The largest distance along the coordinates of each row. */
export const largestDifferenceReference = (x: NdArray): NdArray =>
  reducing(x, { dim: -1 }, (list) => list.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0));

/** Each element of a line by what has run up to it. */
function running(x: NdArray, dim: number, f: (line: number[]) => number): NdArray {
  return alongDim(x, dim, (line) => line.map((_, k) => f(line.slice(0, k + 1))));
}

export const cumprodReference = (x: NdArray, { dim }: { dim: number }): NdArray =>
  running(x, dim, (line) => line.reduce((a, b) => a * b));

export const logcumsumexpReference = (x: NdArray, { dim }: { dim: number }): NdArray =>
  running(x, dim, (line) => {
    const largest = line.reduce((a, b) => Math.max(a, b));
    return largest + Math.log(line.reduce((sum, v) => sum + Math.exp(v - largest), 0));
  });
