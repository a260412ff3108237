import { checked, type Takes } from "../../arguments.ts";
import { computeType } from "../../autocast.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { defaultGenerator, type Generator } from "../../random.ts";
import { kernel, replaceFunction, specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastStrides, ceilDiv, sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import deltaCode from "./attention-delta.wgsl";
import dmaskCode from "./attention-dmask.wgsl";
import philoxCode from "../dropout/philox.wgsl";
import keptCode from "./kept.wgsl";
import { attentionVariants, variantOf, type AttentionVariant, type Pass } from "./ladder.ts";
import lengthsCode from "./attention-lengths.wgsl";
import lseCode from "./attention-lse.wgsl";
import rowsCode from "./attention-rows.wgsl";
import { chooseAttention } from "./choose.ts";

const lengthsKernel = kernel("ops/attention/attention-lengths.wgsl", lengthsCode);
const rowsKernel = kernel("ops/attention/attention-rows.wgsl", rowsCode);
const deltaKernel = kernel("ops/attention/attention-delta.wgsl", deltaCode);
const lseKernel = kernel("ops/attention/attention-lse.wgsl", lseCode);
const dmaskKernel = kernel("ops/attention/attention-dmask.wgsl", dmaskCode);

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /**
   * Broadcastable to [B, H, Tq, Tk]. `bool`: true attends. f32: added to the scaled scores; −∞ hides a key, and float32's lowest
   * in a whole row spreads attention evenly over all its keys.
   */
  mask?: Tensor;
  /** Query i sees keys 0 … i only, whatever Tq and Tk. */
  isCausal?: boolean;
  /** What q·k is multiplied by; 1/√D unless said otherwise. */
  scale?: number;
  /** The probability of an attention weight to be dropped. */
  dropoutP?: number;
  /** Where dropout's random numbers come from. */
  generator?: Generator;
  /** Order of the dimensions of q, k, v and the result: heads before tokens, or tokens before heads. */
  layout?: "BHTD" | "BTHD";
  /** Which kernels compute it. For tests and measurements: the choice by device and shape is made otherwise. */
  variant?: AttentionVariant;
}

/** Sizes and strides of one call, as the kernels' Params and overrides take them. */
function plan(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined, options: AttentionOptions) {
  const { layout = "BHTD", isCausal = false, dropoutP = 0 } = options;
  const name = "scaledDotProductAttention";
  for (const [which, x] of Object.entries({ q, k, v })) {
    check(
      x.rank === 4 && x.dtype === "f32",
      () =>
        `${name}: ${which} is ${showShape(x.shape)} of ${x.dtype}. It has to be [${[...layout].join(", ")}] of a float type.`,
    );
  }
  const [tokens, heads] = layout === "BHTD" ? [2, 1] : [1, 2];
  const [B, H, Tq, D, Tk] = [q.shape[0]!, q.shape[heads]!, q.shape[tokens]!, q.shape[3]!, k.shape[tokens]!];
  const keyShape = layout === "BHTD" ? [B, H, Tk, D] : [B, Tk, H, D];
  check(
    sameShape(k.shape, keyShape) && sameShape(v.shape, keyShape),
    () =>
      `${name}: q ${showShape(q.shape)}, k ${showShape(k.shape)} and v ${showShape(v.shape)} (layout ${layout}) don't belong together: ` +
      `k and v may differ from q only in their number of tokens.`,
  );
  check(
    dropoutP >= 0 && dropoutP <= 1,
    () => `${name}: dropoutP is ${dropoutP}, but a probability lies between 0 and 1.`,
  );
  const full: Shape = [B, H, Tq, Tk];
  if (mask) {
    check(
      mask.dtype === "bool" || mask.dtype === "f32",
      () =>
        `${name}: the mask is ${mask.dtype}; bool says which keys attend, f32 is added. Cast it to the one that is meant.`,
    );
    check(
      mask.rank <= 4 && mask.shape.every((n, i) => n === 1 || n === full[4 - mask.rank + i]),
      () => `${name}: the mask ${showShape(mask.shape)} doesn't broadcast to [B, H, Tq, Tk] = ${showShape(full)}.`,
    );
  }
  const strides = (T: number): number[] => (layout === "BHTD" ? [H * T * D, T * D, D, T] : [T * H * D, D, H * D, T]);
  const maskStrides = mask ? broadcastStrides(mask.shape, full) : [0, 0, 0, 0];
  const masking = !mask ? 0 : mask.dtype === "bool" ? 1 : 2;
  return {
    full,
    headDim: D,
    batchHeads: B * H,
    qStrides: strides(Tq),
    kStrides: strides(Tk),
    maskStrides,
    maskShape: [...new Array<number>(4 - (mask?.rank ?? 0)).fill(1), ...(mask?.shape ?? [])],
    scale: options.scale ?? 1 / Math.sqrt(D),
    overrides: {
      MASK: masking,
      KEY_MASK: masking > 0 && maskStrides[2] === 0 ? 1 : 0,
      CAUSAL: isCausal ? 1 : 0,
      DROPOUT: dropoutP > 0 ? 1 : 0,
      F16: computeType() === "f16" ? 1 : 0,
    },
    dropout: {
      ...(dropoutP > 0
        ? (options.generator ?? defaultGenerator).draw(sizeOf(full))
        : { key: [0, 0], counter: [0, 0, 0, 0] }),
      threshold: Math.round(dropoutP * 2 ** 24),
      rescale: dropoutP < 1 ? 1 / (1 - dropoutP) : 0, // at 1 nothing is kept
    },
    variant: options.variant ?? chooseAttention(D),
  };
}

type Plan = ReturnType<typeof plan>;

/** Strides in units of `width` elements; the last is T. */
const inUnits = (strides: readonly number[], width: number): number[] =>
  strides.map((n, dim) => (dim < 3 ? n / width : n));

/** The Params that the kernels have in common, and those of one variant. */
const paramsOf = (plan: Plan, own: Params | undefined, width: number): Params => ({
  q_strides: inUnits(plan.qStrides, width),
  k_strides: inUnits(plan.kStrides, width),
  mask_strides: plan.maskStrides,
  ...plan.dropout,
  batch_heads: plan.batchHeads,
  heads: plan.full[1]!,
  scale: plan.scale,
  ...own,
});

const drawCode = philoxCode + keptCode;

/** The kernel with the kept(), or kept_four(), of kept.wgsl where there is dropout. */
const dropping = (base: Kernel, { overrides }: Pick<Plan, "overrides">, decides: "kept" | "kept_four"): Kernel =>
  overrides.DROPOUT ? replaceFunction(base, decides, drawCode) : base;

/** Runs one of the plan's three kernels over `tokens` rows of each head. */
function launch(pass: Pass, plan: Plan, tokens: number, tensors: Record<string, Tensor>): void {
  const variant = variantOf(plan.variant);
  const { kernels, width } = variant;
  const { consts, overrides, params, rows } = variant.tuning(pass, plan.headDim);
  const code = dropping(
    consts ? specialize(kernels[pass], consts) : kernels[pass],
    plan,
    width === 4 ? "kept_four" : "kept",
  );
  run(code, tensors, paramsOf(plan, params, width), {
    workgroups: plan.batchHeads * ceilDiv(tokens, rows),
    overrides: { ...plan.overrides, ...overrides },
  });
}

/** Defines the op with y alone, or with [y, lse]. */
function define<O extends Tensor | readonly Tensor[]>(name: string, outputs: (y: Tensor, stats: Tensor) => O) {
  return defineOp(name, {
    forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined, options: AttentionOptions = {}) {
      const p = plan(q, k, v, mask, options);
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
            vectors: p.headDim / width,
          },
          { workgroups: B * H, overrides: { MASK } },
        );
      }
      // A kernel's bindings have to be filled, also those that it won't read without a mask.
      if (p.headDim > 0) launch("forward", p, Tq, { q, k, v, mask: mask ?? q, lengths: lengths ?? k, y, stats });
      return {
        output: outputs(y, stats),
        inputs: { q, k, v, mask: mask?.dtype === "f32" ? mask : undefined },
        saved: { p, q, k, v, mask, y, stats, lengths },
      };
    },
    backward({ p, q, k, v, mask, y, stats, lengths }, dy, needs) {
      const [B, H, Tq, Tk] = p.full as [number, number, number, number];
      if (p.headDim === 0) return { q: empty(q.shape), k: empty(k.shape), v: empty(v.shape) };
      const rows = empty([B, H, Tq, 4]);
      run(
        rowsKernel,
        { y, dy, stats, lengths: lengths ?? y, rows },
        { strides: p.qStrides, batch_heads: B * H, heads: H, head_dim: p.headDim },
        {
          threads: B * H * Tq,
          overrides: { KEY_MASK: p.overrides.KEY_MASK, F16: p.overrides.F16 },
        },
      );
      const shared = { q, k, v, mask: mask ?? q, dy, rows };
      run(dropping(deltaKernel, p, "kept"), shared, paramsOf(p, { head_dim: p.headDim }, 1), {
        threads: B * H * Tq,
        overrides: p.overrides,
      });
      const gradients: { q?: Tensor; k?: Tensor; v?: Tensor; mask?: Tensor } = {};
      if (needs.q) launch("dq", p, Tq, { ...shared, dq: (gradients.q = empty(q.shape)) });
      if (needs.k || needs.v) {
        launch("dkv", p, Tk, { ...shared, dk: (gradients.k = empty(k.shape)), dv: (gradients.v = empty(v.shape)) });
      }
      if (needs.mask && mask?.dtype === "f32") {
        gradients.mask = empty(mask.shape);
        const { CAUSAL, DROPOUT, F16 } = p.overrides;
        run(
          dropping(dmaskKernel, p, "kept"),
          { ...shared, dmask: gradients.mask },
          {
            q_strides: p.qStrides,
            k_strides: p.kStrides,
            mask_shape: p.maskShape,
            full_shape: p.full,
            ...p.dropout,
            size: mask.size,
            scale: p.scale,
            head_dim: p.headDim,
          },
          {
            threads: mask.size,
            overrides: { CAUSAL, DROPOUT, F16 },
          },
        );
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
    ...{ mask: "tensor?", isCausal: "boolean?", scale: "number?", dropoutP: "number?", generator: "generator?" },
    ...{ layout: ["BHTD", "BTHD"], variant: Object.keys(attentionVariants) },
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
 * @param k [B, H, Tk, D], likewise
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
