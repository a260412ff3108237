import { sizeOf } from "../../shape.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { uniformFloat, type Generator } from "../../random.ts";
import type { AddLayerNormOptions, LayerNormOptions } from "./layer-norm.ts";

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

/** What the elements of x are multiplied by in dropout: the words of dropout.wgsl, drawn on the host. */
export function keptReference(count: number, dropoutP: number, generator?: Generator): number[] {
  if (dropoutP === 0 || dropoutP === 1) return new Array<number>(count).fill(1 - dropoutP);
  return Array.from(generator!.words(count), (word) => (uniformFloat(word) >= dropoutP ? 1 / (1 - dropoutP) : 0));
}

export function addLayerNormReference(
  x: NdArray,
  residual: NdArray,
  weight: NdArray,
  bias: NdArray,
  { eps, dropoutP = 0, generator }: AddLayerNormOptions = {},
): NdArray {
  const kept = keptReference(x.data.length, dropoutP, generator);
  const h = { shape: x.shape, data: x.data.map((v, i) => v * kept[i]! + residual.data[i]!) };
  return layerNormReference(h, weight, bias, { ...(eps !== undefined && { eps }) });
}

/** The gradients of layer norm: dh = rstd (g − mean g − x̂ · mean(g x̂)), g = dy · weight; dweight = Σ dy x̂; dbias = Σ dy. */
export function layerNormGradientsReference(h: NdArray, weight: NdArray, dy: NdArray, eps: number) {
  const cols = weight.data.length;
  const mean = (values: number[]): number => sum(values) / cols;
  const dh = new Float64Array(h.data.length);
  const dweight = new Float64Array(cols);
  const dbias = new Float64Array(cols);
  for (let first = 0; first < dh.length; first += cols) {
    const row = [...h.data.subarray(first, first + cols)];
    const mu = mean(row);
    const rstd = 1 / Math.sqrt(mean(row.map((v) => (v - mu) ** 2)) + eps);
    const normalized = row.map((v) => (v - mu) * rstd);
    const g = row.map((_, c) => dy.data[first + c]! * weight.data[c]!);
    const shift = mean(g);
    const stretch = mean(g.map((v, c) => v * normalized[c]!));
    for (let c = 0; c < cols; c++) {
      dh[first + c] = rstd * (g[c]! - shift - normalized[c]! * stretch);
      dweight[c]! += dy.data[first + c]! * normalized[c]!;
      dbias[c]! += dy.data[first + c]!;
    }
  }
  return { dh, dweight, dbias };
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
