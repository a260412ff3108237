import { computeType } from "../../autocast.ts";
import { check } from "../../errors.ts";
import { defaultGenerator, type Generator } from "../../random.ts";
import { replaceFunction, type Kernel, type Params } from "../../runtime/kernel.ts";
import { broadcastStrides, sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import philoxCode from "../dropout/philox.wgsl";
import positionGradientsCode from "../relative/position-gradients.wgsl";
import positionScoresCode from "../relative/position-scores.wgsl";
import keptBitsCode from "./kept-bits.wgsl";
import keptCode from "./kept.wgsl";

// What one call of attention is, and how its kernels are given it.

/** Options of `scaledDotProductAttention`. */
export interface AttentionOptions {
  /**
   * Broadcastable to [B, H, Tq, Tk]. `bool`: true attends. f32: added to the scaled scores; −∞ hides a key, and float32's lowest
   * in a whole row spreads attention evenly over all its keys.
   */
  mask?: Tensor;
  /** Query i sees keys 0 … i only, whatever Tq and Tk. */
  isCausal?: boolean;
  /** Query i sees keys i − window … i + window only; with `isCausal` those up to i. What no query of a tile sees is skipped. */
  window?: number;
  /** k and v may have fewer heads than q, of which each serves as many neighbours: heads 0 … H/Hk − 1 of q share the first. */
  enableGqa?: boolean;
  /** What q·k is multiplied by; 1/√D unless said otherwise. */
  scale?: number;
  /** The probability of an attention weight to be dropped. */
  dropoutP?: number;
  /** Where dropout's random numbers come from. */
  generator?: Generator;
  /** Order of the dimensions of q, k, v and the result: heads before tokens, or tokens before heads. */
  layout?: "BHTD" | "BTHD";
  /** The kernel for this call, forward and backward, rather than the one that suits the device: a rung of the room's ladder. */
  variant?: "naive" | "online" | "subgroup" | "registers" | "tiled" | "subgroupMatrix";
}

/** Scores of relative positions that kernels add to those of queries and keys: those of `relativeBias`, which would write them. */
export interface Positions {
  /** [B, H, T, R]: each query's scores with the positions; one of the two may be missing. */
  rows: Tensor | undefined;
  /** Likewise, each key's. */
  columns: Tensor | undefined;
  /** i32 [2M − 1]: the number of each distance. */
  numbers: Tensor;
  /** The number that the tables begin with. */
  first: number;
}

/** Further than any two tokens are apart; twice as much is a u32 still. */
const FAR = 2 ** 31 - 1;

/** Sizes and strides of one call, as the kernels' Params and overrides take them. */
export function plan(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Tensor | undefined,
  options: AttentionOptions,
  positions?: Positions,
) {
  const { layout = "BHTD", isCausal = false, enableGqa = false, dropoutP = 0 } = options;
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
  const keyHeads = enableGqa ? k.shape[heads]! : H;
  const keyShape = layout === "BHTD" ? [B, keyHeads, Tk, D] : [B, Tk, keyHeads, D];
  check(
    sameShape(k.shape, keyShape) && sameShape(v.shape, keyShape),
    () =>
      `${name}: q ${showShape(q.shape)}, k ${showShape(k.shape)} and v ${showShape(v.shape)} (layout ${layout}) don't belong together: ` +
      `k and v may differ from q only in their number of tokens, and with enableGqa of heads.`,
  );
  check(
    H === keyHeads || (keyHeads > 0 && H % keyHeads === 0),
    () => `${name}: ${keyHeads} heads of k and v can't be shared evenly by ${H} heads of q.`,
  );
  const { window: asked } = options;
  check(
    asked === undefined || (Number.isInteger(asked) && asked >= 0),
    () => `${name}: window is ${asked}, not the number of keys to see on each side of a query's place: 0, 1, 2 …`,
  );
  check(
    dropoutP >= 0 && dropoutP <= 1,
    () => `${name}: dropoutP is ${dropoutP}, but a probability lies between 0 and 1.`,
  );
  const window = asked !== undefined && asked < Math.max(Tq, Tk) - 1 ? asked : undefined; // a wider one hides nothing
  check(!positions || Tq === Tk, () => `${name}: ${Tq} queries and ${Tk} keys have no relative positions in common.`);
  const full: Shape = [B, H, Tq, Tk];
  check(
    dropoutP === 0 || sizeOf(full) <= 2 ** 32,
    () =>
      `${name}: dropout of ${sizeOf(full)} scores, but their random numbers are counted in 32 bits: at most ${2 ** 32}. ` +
      `Use a smaller batch, shorter texts or no dropout.`,
  );
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
  const strides = (T: number, heads = H): number[] =>
    layout === "BHTD" ? [heads * T * D, T * D, D, T] : [T * heads * D, D, heads * D, T];
  const maskStrides = mask ? broadcastStrides(mask.shape, full) : [0, 0, 0, 0];
  const precision = computeType();
  const masking = !mask ? 0 : mask.dtype === "bool" ? 1 : 2;
  return {
    full,
    layout,
    headDim: D,
    /** What the factors of products are rounded to. */
    precision,
    batchHeads: B * H,
    qStrides: strides(Tq),
    kStrides: strides(Tk, keyHeads),
    /** Heads of q that share one of k and v. */
    group: keyHeads > 0 ? H / keyHeads : 1,
    maskStrides,
    maskShape: [...new Array<number>(4 - (mask?.rank ?? 0)).fill(1), ...(mask?.shape ?? [])],
    scale: options.scale ?? 1 / Math.sqrt(D),
    /** Query i sees keys i − before … i + after, if overrides.BAND. */
    positions: {
      width: (positions?.rows ?? positions?.columns)?.shape[3] ?? 0,
      first: positions?.first ?? 0,
      middle: ((positions?.numbers.size ?? 1) - 1) / 2,
    },
    band: { before: Math.min(window ?? FAR, FAR), after: isCausal ? 0 : Math.min(window ?? FAR, FAR) },
    overrides: {
      MASK: masking,
      // A window may hold nothing but keys that an additive mask leaves at its lowest, and these count alike then: none is skipped.
      KEY_MASK: masking > 0 && maskStrides[2] === 0 && !(masking === 2 && window !== undefined) ? 1 : 0,
      BAND: isCausal || window !== undefined ? 1 : 0,
      DROPOUT: dropoutP > 0 ? 1 : 0,
      ...(positions && {
        POSITIONS: 1,
        WITH_ROWS: Number(!!positions.rows),
        WITH_COLUMNS: Number(!!positions.columns),
      }),
      F16: precision === "f16" ? 1 : 0,
    },
    dropout: {
      ...(dropoutP > 0
        ? (options.generator ?? defaultGenerator).draw(sizeOf(full))
        : { key: [0, 0], counter: [0, 0, 0, 0] }),
      threshold: Math.round(dropoutP * 2 ** 24),
      rescale: dropoutP < 1 ? 1 / (1 - dropoutP) : 0, // at 1 nothing is kept
    },
  };
}

export type Plan = ReturnType<typeof plan>;

/** Strides in units of `width` elements; the last is T. */
export const inUnits = (strides: readonly number[], width: number): number[] =>
  strides.map((n, dim) => (dim < 3 ? n / width : n));

/** The Params that the kernels have in common, and those of one rung. */
export const paramsOf = (plan: Plan, own: Params | undefined, width: number): Params => ({
  q_strides: inUnits(plan.qStrides, width),
  k_strides: inUnits(plan.kStrides, width),
  mask_strides: plan.maskStrides,
  ...plan.dropout,
  batch_heads: plan.batchHeads,
  heads: plan.full[1]!,
  group: plan.group,
  ...plan.band,
  scale: plan.scale,
  ...own,
});

const drawCode = philoxCode + keptCode;

/** The kernel with what adds positions, where there are some, and with `gradient` what passes theirs on. */
export function positioned(base: Kernel, { overrides }: Pick<Plan, "overrides">, gradient = false): Kernel {
  if (!overrides.POSITIONS) return base;
  const s = base.code.includes("fn position_scores(") ? "s" : ""; // of four keys at a time
  const scored = replaceFunction(base, `position_score${s}`, positionScoresCode, POSITIONED_BUFFERS);
  return gradient ? replaceFunction(scored, `add_gradient${s}`, positionGradientsCode, POSITIONED_BUFFERS) : scored;
}

/** Storage buffers of the kernel that takes the most: dk and dv with positions. */
export const POSITIONED_BUFFERS = 12;

/** Storage buffers of a kernel with bits: dk and dv take the most. */
export const BITS_BUFFERS = 9;

/** The kernel with the kept_four() that reads bits. */
export const readingBits = (base: Kernel): Kernel => replaceFunction(base, "kept_four", keptBitsCode, BITS_BUFFERS);

/** The kernel with the kept(), or kept_four(), of kept.wgsl where there is dropout. */
export const dropping = (
  base: Kernel,
  { overrides }: Pick<Plan, "overrides">,
  decides: "kept" | "kept_four",
): Kernel => (overrides.DROPOUT ? replaceFunction(base, decides, drawCode) : base);
