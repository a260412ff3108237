import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** The places of each window in a plane of x, row by row; those beyond its edges are left out. */
export type WindowsOf = (size: readonly [number, number]) => {
  out: number[];
  places: (row: number, column: number) => [number, number][];
};

/** Windows of a kernel at a stride, with padding and dilation. */
export const sliding =
  (kernel: number[], stride: number[], padding: number[], dilation = [1, 1]): WindowsOf =>
  ([H, W]) => {
    const count = (n: number, d: number): number =>
      Math.floor((n + 2 * padding[d]! - dilation[d]! * (kernel[d]! - 1) - 1) / stride[d]!) + 1;
    const along = (o: number, n: number, d: number): number[] =>
      Array.from({ length: kernel[d]! }, (_, k) => o * stride[d]! + k * dilation[d]! - padding[d]!).filter(
        (i) => i >= 0 && i < n,
      );
    return {
      out: [count(H, 0), count(W, 1)],
      places: (row, column) =>
        along(row, H, 0).flatMap((i) => along(column, W, 1).map((j): [number, number] => [i, j])),
    };
  };

/** Windows that divide x evenly. */
export const dividing =
  (out: number[]): WindowsOf =>
  ([H, W]) => {
    const along = (o: number, n: number, d: number): number[] => {
      const [first, end] = [Math.floor((o * n) / out[d]!), Math.ceil(((o + 1) * n) / out[d]!)];
      return Array.from({ length: end - first }, (_, k) => first + k);
    };
    return {
      out,
      places: (row, column) =>
        along(row, H, 0).flatMap((i) => along(column, W, 1).map((j): [number, number] => [i, j])),
    };
  };

/** Each window by `f`: of its elements, and how many places it has. */
export function poolReference(x: NdArray, windows: WindowsOf, f: (elements: number[]) => number): NdArray {
  const [N, C, H, W] = x.shape as [number, number, number, number];
  const { out, places } = windows([H, W]);
  const values: number[] = [];
  for (let plane = 0; plane < N * C; plane++)
    for (let i = 0; i < out[0]!; i++)
      for (let j = 0; j < out[1]!; j++) values.push(f(places(i, j).map(([r, c]) => x.data[(plane * H + r) * W + c]!)));
  return ndArray([N, C, ...out], values);
}
