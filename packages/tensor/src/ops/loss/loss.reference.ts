import { alongDim, ndArray, type NdArray } from "../../testing/nd-array.ts";
import type { BceWithLogitsOptions } from "./bce-with-logits.ts";
import type { CosineEmbeddingLossOptions } from "./cosine.ts";
import type { CrossEntropyOptions } from "./cross-entropy.ts";
import type { KlDivOptions } from "./elementwise-losses.ts";
import type { Reduction } from "./reduction.ts";

// Every loss in float64 and plain loops: what the kernels are tested against.

const total = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

function reduced(losses: NdArray, reduction: Reduction | "batchmean" = "mean"): NdArray {
  if (reduction === "none") return losses;
  const count = { sum: 1, mean: losses.data.length, batchmean: losses.shape[0]! }[reduction];
  return ndArray([], [total(losses.data) / count]);
}

const eachPair = (x: NdArray, t: NdArray, loss: (x: number, t: number) => number): NdArray =>
  ndArray(
    x.shape,
    x.data.map((v, i) => loss(v, t.data[i]!)),
  );

type Reduce = { reduction?: Reduction };

export const mseLossReference = (x: NdArray, t: NdArray, { reduction }: Reduce = {}): NdArray =>
  reduced(
    eachPair(x, t, (v, u) => (v - u) ** 2),
    reduction,
  );

export const l1LossReference = (x: NdArray, t: NdArray, { reduction }: Reduce = {}): NdArray =>
  reduced(
    eachPair(x, t, (v, u) => Math.abs(v - u)),
    reduction,
  );

export function smoothL1LossReference(
  x: NdArray,
  t: NdArray,
  { reduction, beta = 1 }: Reduce & { beta?: number } = {},
): NdArray {
  const loss = (d: number): number => (d < beta ? (d * d) / (2 * beta) : d - beta / 2);
  return reduced(
    eachPair(x, t, (v, u) => loss(Math.abs(v - u))),
    reduction,
  );
}

export function klDivReference(x: NdArray, t: NdArray, { reduction, logTarget }: KlDivOptions = {}): NdArray {
  const loss = (v: number, u: number): number =>
    logTarget ? Math.exp(u) * (u - v) : u === 0 ? 0 : u * (Math.log(u) - v);
  return reduced(eachPair(x, t, loss), reduction);
}

/** Weights are one number for all here. */
export function bceWithLogitsReference(
  x: NdArray,
  t: NdArray,
  {
    reduction,
    weight = 1,
    posWeight = 1,
  }: Pick<BceWithLogitsOptions, "reduction"> & { weight?: number; posWeight?: number } = {},
): NdArray {
  const softplus = (v: number): number => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
  const loss = (v: number, u: number): number => weight * (posWeight * u * softplus(-v) + (1 - u) * softplus(v));
  return reduced(eachPair(x, t, loss), reduction);
}

/** Classes in dimension 1 (0 of a vector); `target` holds class indices, or probabilities in x's shape. */
export function crossEntropyReference(
  x: NdArray,
  target: NdArray,
  options: Omit<CrossEntropyOptions, "weight"> & { weight?: number[] } = {},
): NdArray {
  const { weight, reduction = "mean", labelSmoothing = 0, ignoreIndex = -100 } = options;
  const axis = Math.min(1, x.shape.length - 1);
  const classes = x.shape[axis]!;
  const soft = target.data.length === x.data.length;
  const probabilities: number[][] = []; // of each row
  if (soft) alongDim(target, axis, (row) => (probabilities.push(row), row));
  let row = 0;
  let divisor = 0;
  const losses = alongDim(x, axis, (logits) => {
    const label = soft ? -1 : target.data[row]!;
    const given = probabilities[row++] ?? logits.map((_, c) => Number(c === label));
    if (!soft && label === ignoreIndex) return [0];
    divisor += soft ? 1 : (weight?.[label] ?? 1);
    const max = Math.max(...logits);
    const lse = max + Math.log(total(logits.map((v) => Math.exp(v - max))));
    const mass = given.map((p, c) => (p * (1 - labelSmoothing) + labelSmoothing / classes) * (weight?.[c] ?? 1));
    return [total(mass.map((q, c) => q * (lse - logits[c]!)))];
  });
  if (reduction === "none")
    return ndArray(
      x.shape.filter((_, i) => i !== axis),
      losses.data,
    );
  return ndArray([], [total(losses.data) / (reduction === "mean" ? divisor : 1)]);
}

const dot = (a: number[], b: number[]): number => total(a.map((v, i) => v * b[i]!));

export function cosineSimilarityReference(
  a: NdArray,
  b: NdArray,
  { dim = 1, eps = 1e-8 }: { dim?: number; eps?: number } = {},
): NdArray {
  const lines: number[][] = [];
  alongDim(b, dim, (row) => (lines.push(row), row));
  let at = 0;
  const norm = (v: number[]): number => Math.max(Math.sqrt(dot(v, v)), eps);
  const y = alongDim(a, dim, (row) => {
    const other = lines[at++]!;
    return [dot(row, other) / (norm(row) * norm(other))];
  });
  const axis = dim < 0 ? dim + a.shape.length : dim;
  return ndArray(
    a.shape.filter((_, i) => i !== axis),
    y.data,
  );
}

export function cosineEmbeddingLossReference(
  a: NdArray,
  b: NdArray,
  target: NdArray,
  { margin = 0, reduction }: CosineEmbeddingLossOptions = {},
): NdArray {
  const losses = eachPair(cosineSimilarityReference(a, b, { dim: -1 }), target, (cosine, t) =>
    t === 1 ? 1 - cosine : Math.max(0, cosine - margin),
  );
  return reduced(losses, reduction);
}
