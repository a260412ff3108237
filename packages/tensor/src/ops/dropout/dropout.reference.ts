import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** y = x keep / (1 − p); 0 · x for p = 1. */
export const dropoutReference = (x: NdArray, keep: ArrayLike<number>, p: number): NdArray =>
  ndArray(
    x.shape,
    x.data.map((value, i) => (p === 0 ? value : p < 1 && keep[i] ? value / (1 - p) : 0 * value)),
  );
