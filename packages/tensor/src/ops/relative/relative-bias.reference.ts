import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** y_ij = scale (rows[i, r] + columns[j, r]), r = numbers[i − j] − first; the number of distance 0 is in the middle. */
export function relativeBiasReference(
  rows: NdArray,
  columns: NdArray,
  numbers: NdArray,
  { scale = 1, first = 0 }: { scale?: number; first?: number } = {},
): NdArray {
  const [B, H, T, R] = rows.shape as [number, number, number, number];
  const y = ndArray([B, H, T, T], new Float64Array(B * H * T * T));
  const middle = (numbers.data.length - 1) / 2;
  for (let n = 0; n < B * H; n++) {
    for (let i = 0; i < T; i++) {
      for (let j = 0; j < T; j++) {
        const r = numbers.data[middle + i - j]! - first;
        y.data[(n * T + i) * T + j] = scale * (rows.data[(n * T + i) * R + r]! + columns.data[(n * T + j) * R + r]!);
      }
    }
  }
  return y;
}
