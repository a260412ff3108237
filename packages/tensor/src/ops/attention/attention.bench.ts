import { Generator, uniformFloat } from "../../random.ts";
import { benchBackward, benchOp, rungsOf, type BenchCase } from "../../testing/bench-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { attentionReference } from "./attention.reference.ts";
import { attention, scaledDotProductAttention, type AttentionOptions } from "./attention.ts";

const shapesOf = (B: number, H: number, T: number, D: number) => Array.from({ length: 3 }, () => [B, H, T, D]);

/** Two products of Tq × Tk × D each; backward makes the first of them again, and four more. */
const flopsOf = (B: number, H: number, T: number, D: number): number => 4 * B * H * T * T * D;

const forward = (B: number, H: number, T: number, D: number): BenchCase =>
  benchOp(`sdpa_B${B}H${H}S${T}D${D}`, {
    shapes: shapesOf(B, H, T, D),
    op: (q, k, v) => scaledDotProductAttention(q, k, v),
    reference: (q, k, v) => attentionReference(q, k, v, undefined),
    sliced: 3,
    flops: flopsOf(B, H, T, D),
    rungs: T === 128 && B === 4 ? rungsOf("attention", { headDim: D }) : [],
  });

/** ModernBERT's local layers: forward in which a query sees at most 64 keys on each side. */
const windowed = (B: number, H: number, T: number, D: number): BenchCase =>
  benchOp(`sdpa_window64_B${B}H${H}S${T}D${D}`, {
    shapes: shapesOf(B, H, T, D),
    op: (q, k, v) => scaledDotProductAttention(q, k, v, { window: 64 }),
    reference: (q, k, v) => attentionReference(q, k, v, undefined, { window: 64 }),
    sliced: 3,
    flops: flopsOf(B, H, T, D) * (129 / T), // as if no window were cut off by an end
  });

/** Keys of each text that its mask lets through: the least there is to compute. */
const lengthsOf = (B: number, T: number): number[] => Array.from({ length: B }, (_, b) => Math.ceil((T * (b + 1)) / B));

/** Forward with a padding mask: texts from 1 / B of the whole length to all of it. */
const padded = (B: number, H: number, T: number, D: number): BenchCase => {
  const mask = Float32Array.from({ length: B * T }, (_, n) =>
    n % T < lengthsOf(B, T)[Math.floor(n / T)]! ? 0 : -Infinity,
  );
  return benchOp(`sdpa_padded_B${B}H${H}S${T}D${D}`, {
    shapes: [...shapesOf(B, H, T, D), [B, 1, 1, T]],
    values: { 3: () => mask },
    op: (q, k, v, m) => scaledDotProductAttention(q, k, v, { mask: m }),
    reference: (q, k, v, m) => attentionReference(q, k, v, repeated(m, [q.shape[0]!, H, T, T])),
    sliced: 4,
    flops: lengthsOf(B, T).reduce((sum, length) => sum + 4 * H * T * length * D, 0),
  });
};

/** A mask [B, 1, 1, Tk], for each head and query. */
function repeated({ data }: NdArray, shape: number[]): NdArray {
  const [B, H, Tq, Tk] = shape as [number, number, number, number];
  const all = new Float64Array(B * H * Tq * Tk);
  for (let row = 0; row < B * H * Tq; row++) {
    const b = Math.floor(row / (H * Tq));
    all.set(data.subarray(b * Tk, (b + 1) * Tk), row * Tk);
  }
  return { shape, data: all };
}

/** Forward with dropout: by the same random numbers each time, so that it can be checked. */
const dropped = (B: number, H: number, T: number, D: number): BenchCase =>
  benchOp(`sdpa_dropout_B${B}H${H}S${T}D${D}`, {
    shapes: shapesOf(B, H, T, D),
    op: (q, k, v) => scaledDotProductAttention(q, k, v, { dropoutP: 0.1, generator: new Generator(7) }),
    reference: (q, k, v) => {
      const words = new Generator(7).words(B * H * T * T);
      const dropout = Float64Array.from(words, (word) => (uniformFloat(word) >= 0.1 ? 1 / 0.9 : 0));
      return attentionReference(q, k, v, undefined, { dropout });
    },
    sliced: 0,
    flops: flopsOf(B, H, T, D),
  });

const backward = (B: number, H: number, T: number, D: number, window?: number): BenchCase =>
  benchBackward(`sdpa_${window === undefined ? "" : `window${window}_`}bwd_B${B}H${H}S${T}D${D}`, {
    shapes: shapesOf(B, H, T, D),
    op: attention,
    args: [undefined, (window === undefined ? {} : { window }) satisfies AttentionOptions],
    reference: (q, k, v) => attentionReference(q, k, v, undefined, window === undefined ? {} : { window }),
    sliced: 3,
    flops: 3.5 * flopsOf(B, H, T, D) * (window === undefined ? 1 : (2 * window + 1) / T), // seven products: the scores and dp twice, dq, dk, dv
  });

/** How attention is measured. */
export const benches: BenchCase[] = [
  forward(4, 12, 128, 64), // what others publish
  forward(16, 12, 256, 64), // BERT-base
  forward(16, 12, 128, 32), // MiniLM
  forward(3, 5, 131, 40),
  forward(1, 12, 1024, 64), // ModernBERT-base, a layer that sees all, and one that does not
  windowed(1, 12, 1024, 64),
  padded(16, 12, 256, 64),
  dropped(4, 12, 128, 64),
  backward(4, 12, 128, 64),
  backward(16, 12, 256, 64),
  backward(16, 12, 128, 32),
  backward(1, 12, 1024, 64),
  backward(1, 12, 1024, 64, 64),
];
