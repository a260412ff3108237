import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** What shapes attention, beside its tensors. */
export interface AttentionReferenceOptions {
  isCausal?: boolean;
  /** Query i sees keys i − window … i + window only. */
  window?: number;
  scale?: number;
  layout?: "BHTD" | "BTHD";
  /** The mask is boolean: nonzero attends. Otherwise it is added to the scores. */
  boolean?: boolean;
  /** Per element of [B, H, Tq, Tk] what dropout multiplies it by: 0 or 1 / (1 − p). */
  dropout?: ArrayLike<number>;
  /** Whether hidden keys, which weigh 0, leave out NaN too: by the formula 0 · NaN is NaN, but a kernel may skip them. */
  skipsHidden?: boolean;
}

/** y = softmax(q kᵀ scale + mask) v with the scores in memory, in float64 and plain loops. Heads of q share those of k and v evenly. */
export function attentionReference(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  mask: NdArray | undefined,
  options: AttentionReferenceOptions = {},
): NdArray {
  return attentionReferenceWithGradients(q, k, v, mask, options).y;
}

/** The same with lse, and the gradients for `dy` by the plain formula. `mask` has the full shape [B, H, Tq, Tk]. */
export function attentionReferenceWithGradients(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  mask: NdArray | undefined,
  options: AttentionReferenceOptions = {},
  dy: NdArray = ndArray(q.shape, new Float64Array(q.data.length)),
): { y: NdArray; lse: NdArray; dq: NdArray; dk: NdArray; dv: NdArray; dmask: NdArray } {
  const { isCausal = false, window = Infinity, layout = "BHTD", boolean = false } = options;
  const { dropout, skipsHidden = false } = options;
  const swap = layout === "BTHD";
  const [B, H, Tq, D] = swap
    ? [q.shape[0]!, q.shape[2]!, q.shape[1]!, q.shape[3]!]
    : (q.shape as [number, number, number, number]);
  const [Hk, Tk] = [k.shape[swap ? 2 : 1]!, k.shape[swap ? 1 : 2]!];
  const scale = options.scale ?? 1 / Math.sqrt(D);
  const zeros = (like: NdArray) => ndArray(like.shape, new Float64Array(like.data.length));
  const [y, dq, dk, dv] = [zeros(q), zeros(q), zeros(k), zeros(v)];
  const lse = ndArray([B, H, Tq], new Float64Array(B * H * Tq));
  const dmask = ndArray([B, H, Tq, Tk], new Float64Array(B * H * Tq * Tk));
  /** Where token t of batch b and head h begins. */
  const at = (b: number, h: number, t: number, T: number, heads: number): number =>
    (swap ? (b * T + t) * heads + h : (b * heads + h) * T + t) * D;
  const dot = (x: NdArray, i: number, z: NdArray, j: number): number => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += x.data[i + d]! * z.data[j + d]!;
    return sum;
  };

  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < Tq; i++) {
        const row = ((b * H + h) * Tq + i) * Tk;
        const qi = at(b, h, i, Tq, H);
        const keyAt = (j: number): number => at(b, Math.floor((h * Hk) / H), j, Tk, Hk);
        const hidden = Array.from({ length: Tk }, (_, j) => {
          const m = mask?.data[row + j] ?? (boolean ? 1 : 0);
          return (isCausal && j > i) || Math.abs(i - j) > window || m === (boolean ? 0 : -Infinity);
        });
        const s = hidden.map((isHidden, j) => {
          if (isHidden && skipsHidden) return -Infinity;
          const score = dot(q, qi, k, keyAt(j)) * scale;
          const m = isHidden ? -Infinity : boolean ? 0 : (mask?.data[row + j] ?? 0);
          return Math.fround(m) <= -1e30 && !Number.isNaN(score) ? m : score + m; // f32 absorbs the score beside so large a mask
        });
        const max = Math.max(...s);
        const seesNothing = max === -Infinity; // also when there are no keys
        const e = s.map((score) => (seesNothing ? 0 : Math.exp(score - max)));
        const l = e.reduce((a, c) => a + c, 0);
        lse.data[row / Math.max(Tk, 1)] = max + Math.log(l);
        const p = e.map((value) => (seesNothing ? 0 : value / l));
        const keep = p.map((_, j) => dropout?.[row + j] ?? 1);
        const dp = p.map((_, j) => dot(dy, qi, v, keyAt(j)) * keep[j]!);
        const delta = p.reduce((sum, value, j) => (hidden[j] && skipsHidden ? sum : sum + value * dp[j]!), 0);
        for (let j = 0; j < Tk; j++) {
          if (hidden[j] && skipsHidden) continue;
          const kj = keyAt(j);
          const ds = p[j]! * (dp[j]! - delta);
          dmask.data[row + j] = ds;
          for (let d = 0; d < D; d++) {
            y.data[qi + d]! += p[j]! * keep[j]! * v.data[kj + d]!;
            dv.data[kj + d]! += p[j]! * keep[j]! * dy.data[qi + d]!;
            dq.data[qi + d]! += ds * scale * k.data[kj + d]!;
            dk.data[kj + d]! += ds * scale * q.data[qi + d]!;
          }
        }
      }
    }
  }
  return { y, lse, dq, dk, dv, dmask };
}
