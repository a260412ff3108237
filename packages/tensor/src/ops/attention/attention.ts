import { checked, type Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { device } from "../../runtime/init.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { zeros } from "../create/create.ts";
import { lanesOf } from "../lanes.ts";
import deltaCode from "./attention-delta.wgsl";
import keptCode from "./attention-kept.wgsl";
import lengthsCode from "./attention-lengths.wgsl";
import lseCode from "./attention-lse.wgsl";
import rowsCode from "./attention-rows.wgsl";
import { choose } from "./choose.ts";
import { attentionLadder } from "./ladder.ts";
import { maskGradient } from "./mask-gradient.ts";
import {
  BITS_BUFFERS,
  dropping,
  inUnits,
  paramsOf,
  plan,
  positioned,
  type AttentionOptions,
  type Plan,
  type Positions,
} from "./plan.ts";

export type { AttentionOptions, Positions };

const lengthsKernel = kernel("ops/attention/attention-lengths.wgsl", lengthsCode);
const rowsKernel = kernel("ops/attention/attention-rows.wgsl", rowsCode);
const deltaKernel = kernel("ops/attention/attention-delta.wgsl", deltaCode);
const keptKernel = kernel("ops/attention/attention-kept.wgsl", keptCode);
const lseKernel = kernel("ops/attention/attention-lse.wgsl", lseCode);

/** Scores of positions by the names of the kernels' bindings; a missing table is never read. */
const tablesOf = (positions: Positions | undefined): Record<string, Tensor> =>
  positions
    ? {
        rows_at: (positions.rows ?? positions.columns)!,
        columns_at: (positions.columns ?? positions.rows)!,
        numbers: positions.numbers,
      }
    : {};

const wordsOf = (p: Plan): number => ceilDiv(sizeOf(p.full), 32);

/** Whether kernels can read what dropout keeps as bits, or have to draw it. */
function canReadBits(p: Plan): boolean {
  const { adapter, gpu } = device();
  return adapter.storageBuffers >= BITS_BUFFERS && 4 * wordsOf(p) <= gpu.limits.maxStorageBufferBindingSize;
}

/** What dropout keeps, a bit for each score: u32, for kernels that read it so. */
function drawBits(p: Plan): Tensor {
  const words = wordsOf(p);
  const bits = empty([words], "u32");
  const { key, counter, threshold } = p.dropout;
  run(
    dropping(keptKernel, p, "kept_four"),
    { kept_bits: bits },
    { key, counter, threshold, words },
    { threads: words },
  );
  return bits;
}

/** Defines the op with y alone, or with [y, lse]. */
/* @__NO_SIDE_EFFECTS__ */
function define<O extends Tensor | readonly Tensor[]>(name: string, outputs: (y: Tensor, stats: Tensor) => O) {
  return defineOp(name, {
    forward(
      q: Tensor,
      k: Tensor,
      v: Tensor,
      mask: Tensor | undefined,
      options: AttentionOptions = {},
      positions?: Positions,
    ) {
      const p = plan(q, k, v, mask, options, positions);
      const rung = options.variant ? attentionLadder.rungs[options.variant] : choose(p);
      const [B, H, Tq] = p.full as [number, number, number, number];
      const y = empty(q.shape);
      const stats = empty([B, H, Tq, 2]);
      const lengths = p.overrides.KEY_MASK ? empty([B, H], "u32") : undefined;
      const { MASK } = p.overrides;
      if (mask && lengths) {
        const width = p.headDim % 4 === 0 ? 4 : 1;
        run(
          specialize(lengthsKernel, width === 4 ? {} : { Lanes: "f32", Bits: "u32" }),
          { k, v, mask, lengths },
          {
            ...{ k_strides: inUnits(p.kStrides, width), mask_strides: p.maskStrides, batch_heads: B * H, heads: H },
            ...{ group: p.group, vectors: p.headDim / width },
          },
          { workgroups: B * H, overrides: { MASK } },
        );
      }
      const reads = rung.readsBits && p.overrides.DROPOUT && canReadBits(p);
      const bits = reads && p.headDim > 0 ? { kept_bits: drawBits(p) } : {};
      // A kernel's bindings have to be filled, also those that it won't read without a mask.
      const tensors = { q, k, v, mask: mask ?? q, lengths: lengths ?? k, y, stats, ...tablesOf(positions), ...bits };
      if (p.headDim > 0) rung.compute({ ...p, pass: "forward", tokens: Tq, tensors });
      return {
        output: outputs(y, stats),
        inputs: { q, k, v, mask, rows: positions?.rows, columns: positions?.columns },
        saved: { p, rung, q, k, v, mask, y, stats, lengths, positions, bits },
      };
    },
    backward({ p, rung, q, k, v, mask, y, stats, lengths, positions, bits }, dy, needs) {
      const [B, H, Tq, Tk] = p.full as [number, number, number, number];
      if (p.headDim === 0) return { q: empty(q.shape), k: empty(k.shape), v: empty(v.shape) };
      const rows = empty([B, H, Tq, 4]);
      const lanes = p.headDim % 4 === 0 ? 4 : 1;
      run(
        specialize(rowsKernel, lanesOf(lanes)),
        { y, dy, stats, lengths: lengths ?? y, rows },
        { strides: inUnits(p.qStrides, lanes), batch_heads: B * H, heads: H, head_dim: p.headDim / lanes },
        {
          threads: B * H * Tq,
          overrides: { KEY_MASK: p.overrides.KEY_MASK, F16: p.overrides.F16 },
        },
      );
      const shared = { q, k, v, mask: mask ?? q, dy, rows, ...tablesOf(positions) };
      const own = { head_dim: p.headDim, ...p.positions };
      run(dropping(positioned(deltaKernel, p), p, "kept"), shared, paramsOf(p, own, 1), {
        threads: B * H * Tq,
        overrides: p.overrides,
      });
      const gradients: Partial<Record<keyof typeof needs, Tensor>> = {};
      const tables = { rows: needs.rows && positions?.rows, columns: needs.columns && positions?.columns };
      if (needs.q || tables.rows) {
        gradients.q = empty(q.shape);
        const table = tables.rows && { dtable: (gradients.rows = zeros(tables.rows.shape)) };
        rung.compute({ ...p, pass: "dq", tokens: Tq, tensors: { ...shared, dq: gradients.q, ...table, ...bits } });
      }
      if (needs.k || needs.v || tables.columns) {
        const own = { dk: (gradients.k = empty(k.shape)), dv: (gradients.v = empty(v.shape)) };
        const table = tables.columns && { dtable: (gradients.columns = zeros(tables.columns.shape)) };
        rung.compute({ ...p, pass: "dkv", tokens: Tk, tensors: { ...shared, ...own, ...table, ...bits } });
      }
      if (needs.mask && mask?.dtype === "f32") {
        gradients.mask = maskGradient(p, { ...shared, mask });
      }
      return gradients;
    },
  });
}

/** The op behind {@link scaledDotProductAttention}, with the mask as an argument. */
export const attention = define("scaledDotProductAttention", (y) => y);

const attentionWithLse = define("scaledDotProductAttentionWithLse", (y, stats) => {
  const lse = empty(stats.shape.slice(0, -1));
  run(lseKernel, { stats, lse }, { rows: lse.size, minus_infinity: -Infinity }, { threads: lse.size });
  return [y, lse] as const;
});

const attentionTakes: Takes = {
  ...{ q: "tensor", k: "tensor", v: "tensor" },
  options: {
    ...{ mask: "tensor?", isCausal: "boolean?", window: "number?", enableGqa: "boolean?", scale: "number?" },
    ...{ dropoutP: "number?", generator: "generator?" },
    ...{ layout: ["BHTD", "BTHD"], variant: Object.keys(attentionLadder.rungs) },
  },
};

/** The mask in a type that the kernels read. */
const readable = (mask: Tensor | undefined): Tensor | undefined =>
  mask && (mask.dtype === "f16" || mask.dtype === "bf16") ? cast(mask, "f32") : mask;

/**
 * y = softmax(q kᵀ · scale + mask) v for each batch and head, in one pass that never writes the Tq × Tk scores: f32 of q's shape.
 * A query that sees no key gets 0, and passes no gradient. Backward computes the scores again; dropout's mask too. Inside `autocast()`
 * the factors of all products are rounded to f16, the attention weights among them; softmax and sums stay f32.
 *
 * @param q [B, H, Tq, D], or [B, Tq, H, D] with `layout: "BTHD"`
 * @param k [B, H, Tk, D], likewise; with `enableGqa` of fewer heads
 * @param v like k
 * @throws when the shapes don't belong together, or the mask doesn't broadcast to [B, H, Tq, Tk]
 * @see Dao et al., FlashAttention, 2022. https://arxiv.org/abs/2205.14135
 */
export const scaledDotProductAttention = checked(
  "scaledDotProductAttention",
  attentionTakes,
  (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor =>
    attention(q, k, v, readable(options.mask), options),
);

/** {@link scaledDotProductAttention}, and the natural logarithm of each softmax's denominator, [B, H, Tq]. Only y is differentiated. */
export const scaledDotProductAttentionWithLse = checked(
  "scaledDotProductAttentionWithLse",
  attentionTakes,
  (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): readonly [y: Tensor, lse: Tensor] =>
    attentionWithLse(q, k, v, readable(options.mask), options),
);
