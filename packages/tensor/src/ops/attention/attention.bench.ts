import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { attentionReference } from "./attention.reference.ts";
import { scaledDotProductAttention } from "./attention.ts";

const attentionOf = (B: number, H: number, S: number, D: number): BenchCase =>
  benchOp(`sdpa_B${B}H${H}S${S}D${D}`, {
    shapes: [
      [B, H, S, D],
      [B, H, S, D],
      [B, H, S, D],
    ],
    op: (q, k, v) => scaledDotProductAttention(q, k, v),
    reference: (q, k, v) => attentionReference(q, k, v, undefined),
    sliced: 3,
    flops: 4 * B * H * S * S * D,
  });

export const benches: BenchCase[] = [attentionOf(4, 12, 128, 64)];
