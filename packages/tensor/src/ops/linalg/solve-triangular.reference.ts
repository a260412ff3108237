import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** x with a x = b, row by row from the end where a row has one element: a [..., n, n] triangular, b [..., n, k]. */
export function solveTriangularReference(a: NdArray, b: NdArray, upper: boolean, unit: boolean): NdArray {
  const [n, k] = b.shape.slice(-2) as [number, number];
  const x = [...b.data];
  const rows = Array.from({ length: n }, (_, i) => (upper ? n - 1 - i : i));
  for (let m = 0; m < b.data.length / (n * k || 1); m++)
    for (let c = 0; c < k; c++)
      for (const [step, i] of rows.entries()) {
        const at = (row: number): number => (m * n + row) * k + c;
        for (const j of rows.slice(0, step)) x[at(i)]! -= a.data[(m * n + i) * n + j]! * x[at(j)]!;
        if (!unit) x[at(i)]! /= a.data[(m * n + i) * n + i]!;
      }
  return ndArray(b.shape, x);
}
