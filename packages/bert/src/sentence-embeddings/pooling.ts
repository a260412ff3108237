import { activation } from "@gpugrad/nn";
import {
  concat,
  fromArray,
  gt,
  linear,
  matmul,
  max,
  maximum,
  mul,
  reshape,
  rsqrt,
  square,
  sum,
  where,
  type Tensor,
} from "@gpugrad/tensor";
import type { SentenceSettings } from "./settings.ts";

/**
 * Sentence embeddings [B, …] from the vectors of tokens, up to their length where `normalize` scales it away.
 *
 * @param hidden [B, T, C]
 * @param mask 1 for tokens, 0 for padding, [B, T]
 * @param promptLength tokens at the beginning that are left out where the prompt is not pooled
 */
export function poolTokens(
  hidden: Tensor,
  mask: ArrayLike<number>,
  settings: SentenceSettings,
  promptLength = 0,
): Tensor {
  const shape = hidden.shape.slice(0, 2) as [number, number];
  const weights = poolingWeights(mask, shape, settings, promptLength);
  return poolWith(hidden, weights.map((own) => fromArray(own, shape)), settings); // prettier-ignore
}

/** How much each token counts in each pooling, [B, T]; in a maximum, 1 for the tokens that are compared. */
export function poolingWeights(
  mask: ArrayLike<number>,
  [B, T]: readonly [number, number],
  { modes, dense, normalize, includePrompt }: SentenceSettings,
  promptLength = 0,
): Float32Array[] {
  const isScaledAway = normalize && modes.length === 1 && dense.length === 0;
  const skipped = includePrompt ? 0 : promptLength;
  const weights = modes.map(() => new Float32Array(B * T));
  for (let b = 0; b < B; b++) {
    const all = Array.from({ length: T }, (_, t) => t).filter((t) => mask[b * T + t] === 1);
    const places = all.slice(skipped);
    for (const [k, mode] of modes.entries()) {
      const row = weights[k]!.subarray(b * T, (b + 1) * T);
      const count = Math.max(places.length, 1e-9);
      if (mode === "max") for (const t of places) row[t] = 1;
      else if (mode === "cls") row[places[0] ?? 0] = 1;
      else if (mode === "lasttoken") row[places.at(-1) ?? 0] = places.length > 0 ? 1 : 0;
      else if (mode === "mean") for (const t of places) row[t] = isScaledAway ? 1 : 1 / count;
      else if (mode === "mean_sqrt_len_tokens")
        for (const t of places) row[t] = isScaledAway ? 1 : 1 / Math.sqrt(count);
      else if (mode === "weightedmean") {
        const total = places.reduce((sum, _, i) => sum + skipped + i + 1, 0);
        for (const [i, t] of places.entries()) row[t] = (skipped + i + 1) / total;
      }
    }
  }
  return weights;
}

/** {@link poolTokens} with weights that are on the device, one [B, T] for each pooling. */
export function poolWith(hidden: Tensor, weights: readonly Tensor[], { modes, dense }: SentenceSettings): Tensor {
  const [B, T] = hidden.shape as [number, number];
  const pooled = modes.map((mode, k) => {
    if (mode !== "max") return reshape(matmul(reshape(weights[k]!, [B, 1, T]), hidden), [B, -1]);
    return max(where(gt(reshape(weights[k]!, [B, T, 1]), 0), hidden, lowest), { dim: 1 }).values;
  });
  let y = pooled.length === 1 ? pooled[0]! : concat(pooled, { dim: 1 });
  for (const { weight, bias, act } of dense) {
    const w = fromArray(weight.data, weight.shape);
    y = activation(act)(linear(y, w, bias && fromArray(bias.data, bias.shape)));
  }
  return y;
}

/** float32's lowest, for what a maximum leaves out. */
const lowest = -3.4028234663852886e38;

/** Vectors [B, C] scaled to length 1: divided by max(length, 1e-12), as `torch.nn.functional.normalize`. */
export const normalizeVectors = (x: Tensor): Tensor =>
  mul(x, rsqrt(maximum(sum(square(x), { dim: 1, keepdim: true }), 1e-24)));
