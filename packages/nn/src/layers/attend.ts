import {
  add,
  dropout,
  fromArray,
  matmul,
  mul,
  permute,
  reshape,
  scaledDotProductAttention,
  softmax,
  where,
  type Tensor,
} from "@gpugrad/tensor";

/** float32's lowest: what is added to the scores of masked keys. */
const LOWEST = -3.4028234663852886e38;

/** How H heads attend. */
export interface AttendOptions {
  heads: number;
  /** bool, broadcastable to [B, H, Tq, Tk]: true where a key may be attended to. */
  mask?: Tensor | undefined;
  /** The probability of an attention weight to be dropped. */
  dropoutP?: number;
}

/** [B, T, C] → [B, T, H, D]. */
const split = (x: Tensor, heads: number): Tensor => reshape(x, [x.shape[0]!, x.shape[1]!, heads, x.shape[2]! / heads]);

/**
 * softmax(q kᵀ / √D) v for each of H heads, without storing the probabilities.
 *
 * @param q [B, Tq, C]
 * @param k [B, Tk, C]; v likewise
 * @returns the heads side by side, [B, Tq, C]
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, { heads, mask, dropoutP = 0 }: AttendOptions): Tensor {
  const y = scaledDotProductAttention(split(q, heads), split(k, heads), split(v, heads), {
    ...(mask && { mask }),
    dropoutP,
    layout: "BTHD",
  });
  return reshape(y, q.shape);
}

/** {@link attend} by the plain formula, which also gives the probabilities [B, H, Tq, Tk]. */
export function attendWithProbabilities(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, mask, dropoutP = 0 }: AttendOptions,
): { y: Tensor; probabilities: Tensor } {
  const [Q, K, V] = [q, k, v].map((t) => permute(split(t, heads), [0, 2, 1, 3])) as [Tensor, Tensor, Tensor];
  const scores = mul(matmul(Q, K, { transposeB: true }), 1 / Math.sqrt(Q.shape[3]!));
  const masked = mask ? add(scores, where(mask, fromArray([0], []), fromArray([LOWEST], []))) : scores;
  const probabilities = softmax(masked);
  const dropped = dropoutP > 0 ? dropout(probabilities, { p: dropoutP }) : probabilities;
  return { y: reshape(permute(matmul(dropped, V), [0, 2, 1, 3]), q.shape), probabilities };
}
