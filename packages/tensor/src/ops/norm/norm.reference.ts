import { sizeOf } from "../../shape.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import type { LayerNormOptions } from "./layer-norm.ts";

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);

/** Layer norm in float64 and plain loops: what the kernels are tested against. */
export function layerNormReference(
  x: NdArray,
  weight?: NdArray,
  bias?: NdArray,
  { eps = 1e-5, normalizedShape }: LayerNormOptions = {},
): NdArray {
  const cols = sizeOf(normalizedShape ?? weight?.shape ?? x.shape.slice(-1));
  return byRow(x, cols, (row) => {
    const mean = sum(row) / cols;
    const variance = sum(row.map((v) => (v - mean) ** 2)) / cols;
    return row.map((v, c) => ((v - mean) / Math.sqrt(variance + eps)) * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0));
  });
}

export function addLayerNormReference(
  x: NdArray,
  residual: NdArray,
  weight: NdArray,
  bias: NdArray,
  options: { eps?: number } = {},
): NdArray {
  const h = { shape: x.shape, data: x.data.map((v, i) => v + residual.data[i]!) };
  return layerNormReference(h, weight, bias, options);
}

export function rmsNormReference(
  x: NdArray,
  weight?: NdArray,
  { eps = 2 ** -23, normalizedShape }: LayerNormOptions = {},
): NdArray {
  const cols = sizeOf(normalizedShape ?? weight?.shape ?? x.shape.slice(-1));
  return byRow(x, cols, (row) => {
    const rms = Math.sqrt(sum(row.map((v) => v * v)) / cols + eps);
    return row.map((v, c) => (v / rms) * (weight?.data[c] ?? 1));
  });
}

function byRow(x: NdArray, cols: number, normalize: (row: number[]) => number[]): NdArray {
  const y = new Float64Array(x.data.length);
  for (let i = 0; i < y.length; i += cols) y.set(normalize([...x.data.subarray(i, i + cols)]), i);
  return { shape: x.shape, data: y };
}
