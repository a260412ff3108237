import { resolveDim, sizeOf } from "../shape.ts";

/** A float64 array on the host: what references take and give. */
export interface NdArray {
  shape: number[];
  data: Float64Array;
}

export const ndArray = (shape: readonly number[], data: ArrayLike<number>): NdArray => ({
  shape: [...shape],
  data: Float64Array.from(data),
});

/** Applies `row` to each line of `x` along `dim`; a line of another length changes the shape (all of the same length). */
export function alongDim(x: NdArray, dim: number, row: (line: number[]) => number[]): NdArray {
  const axis = resolveDim("reference", dim, x.shape.length);
  const n = x.shape[axis] ?? 1;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  let length = n;
  const lines: number[][] = [];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const line = row(Array.from({ length: n }, (_, k) => x.data[(o * n + k) * inner + i]!));
      length = line.length;
      lines.push(line);
    }
  }
  const shape = x.shape.length === 0 ? [] : x.shape.map((size, i) => (i === axis ? length : size));
  const data = new Float64Array(outer * length * inner);
  lines.forEach((line, at) => {
    const o = Math.floor(at / inner);
    line.forEach((value, k) => (data[(o * length + k) * inner + (at % inner)] = value));
  });
  return { shape, data };
}
