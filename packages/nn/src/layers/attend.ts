import {
  abs,
  add,
  countUp,
  dropout,
  fromArray,
  le,
  logicalAnd,
  logicalNot,
  maskedFill,
  matmul,
  mul,
  permute,
  reshape,
  scaledDotProductAttention,
  softmax,
  sub,
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
  /**
   * f32, broadcastable likewise: added to the scaled scores, with a gradient. With it a query all of whose keys are masked attends to all
   * of them alike, as in Transformers.
   */
  bias?: Tensor | undefined;
  /** How far from its place a query sees keys, on each side; any distance unless given. Not together with a bias. */
  window?: number | undefined;
  /** What q·k is multiplied by; 1/√D unless said otherwise. */
  scale?: number | undefined;
  /** The probability of an attention weight to be dropped. */
  dropoutP?: number;
}

/** [B, T, C] → [B, T, H, D]. */
export const splitHeads = (x: Tensor, heads: number): Tensor =>
  reshape(x, [x.shape[0]!, x.shape[1]!, heads, x.shape[2]! / heads]);

/** `bias`, but float32's lowest where a key may not be attended to. */
export const maskedBias = (bias: Tensor, mask: Tensor | undefined): Tensor =>
  mask ? maskedFill(bias, logicalNot(mask), LOWEST) : bias;

/**
 * softmax(q kᵀ / √D) v for each of H heads, without storing the probabilities. Without a bias, a query that sees no key gets 0.
 *
 * @param q [B, Tq, C]
 * @param k [B, Tk, C]; v likewise
 * @returns the heads side by side, [B, Tq, C]
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, mask, bias, window, scale, dropoutP = 0 }: AttendOptions,
): Tensor {
  const added = bias ? maskedBias(bias, mask) : mask;
  const y = scaledDotProductAttention(splitHeads(q, heads), splitHeads(k, heads), splitHeads(v, heads), {
    ...(added && { mask: added }),
    ...(window !== undefined && { window }),
    ...(scale !== undefined && { scale }),
    dropoutP,
    layout: "BTHD",
  });
  return reshape(y, q.shape);
}

/** `mask`, but false where a key is further than `window` from the query. */
function within(window: number, Tq: number, Tk: number, mask: Tensor | undefined): Tensor {
  const isNear = reshape(le(abs(sub(reshape(countUp(Tq), [Tq, 1]), countUp(Tk))), window), [1, 1, Tq, Tk]);
  return mask ? logicalAnd(mask, isNear) : isNear;
}

/**
 * {@link attend} by the plain formula, which also gives the probabilities [B, H, Tq, Tk]. As in Transformers' eager attention, a query that
 * sees no key attends to all of them alike.
 */
export function attendWithProbabilities(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, mask, bias, window, scale, dropoutP = 0 }: AttendOptions,
): { y: Tensor; probabilities: Tensor } {
  const [Q, K, V] = [q, k, v].map((t) => permute(splitHeads(t, heads), [0, 2, 1, 3])) as [Tensor, Tensor, Tensor];
  const products = mul(matmul(Q, K, { transposeB: true }), scale ?? 1 / Math.sqrt(Q.shape[3]!));
  const scores = bias ? add(products, bias) : products;
  const seen = window === undefined ? mask : within(window, q.shape[1]!, k.shape[1]!, mask);
  const masked = seen ? add(scores, where(seen, fromArray([0], []), fromArray([LOWEST], []))) : scores;
  const probabilities = softmax(masked);
  const dropped = dropoutP > 0 ? dropout(probabilities, { p: dropoutP }) : probabilities;
  return { y: reshape(permute(matmul(dropped, V), [0, 2, 1, 3]), q.shape), probabilities };
}
