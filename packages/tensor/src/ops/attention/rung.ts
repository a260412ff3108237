import { specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Image } from "../../runtime/pool.ts";
import type { Tensor } from "../../tensor.ts";
import type { Rung, Unnamed } from "../ladder.ts";
import { dropping, paramsOf, positioned, readingBits, type Plan } from "./plan.ts";

export type Pass = "forward" | "dq" | "dkv";

/** How a kernel is made for a head dimension, and started. */
interface Tuning {
  /** Values of its constants. */
  consts?: Record<string, number>;
  overrides?: Record<string, number>;
  /** Fields of Params that only these kernels have. */
  params?: Params;
  /** Queries (keys for dk and dv) that a workgroup takes. */
  rows: number;
}

/** What a choice of kernels depends on. */
export type AttentionSizes = Pick<Plan, "headDim"> & Partial<Pick<Plan, "precision">>;

/** One of the three passes of a call, over `tokens` rows of each head. */
export interface AttentionTask extends Plan {
  pass: Pass;
  tokens: number;
  tensors: Record<string, Tensor>;
}

export interface AttentionRung extends Rung<AttentionSizes, AttentionTask> {
  /** Whether it can add scores of relative positions. */
  readonly addsPositions?: boolean;
  /** Whether it takes `kept_bits`: what dropout keeps, drawn beforehand. */
  readonly readsBits?: boolean;
}

/** Three kernels, and how they are started. */
export interface Passes extends Pick<AttentionRung, "kernel" | "idea" | "suits" | "addsPositions" | "readsBits"> {
  kernels: Record<Pass, Kernel>;
  /** Elements behind one index of a binding. */
  width: 1 | 4;
  tuning: (pass: Pass, headDim: number) => Tuning;
  /** The tensors that a kernel reads as images. */
  images?: (made: Kernel, tensors: Record<string, Tensor>) => Record<string, Image>;
}

/** A rung of these kernels. */
/* @__NO_SIDE_EFFECTS__ */
export function rungOf({ kernels, width, tuning, images, ...rest }: Passes): Unnamed<AttentionRung> {
  return {
    ...rest,
    compute(task) {
      const { pass, headDim, tokens, tensors, group } = task;
      const { consts, overrides, params, rows } = tuning(pass, headDim);
      const base = consts ? specialize(kernels[pass], consts) : kernels[pass];
      const gradient = "dtable" in tensors;
      const code = positioned(base, task, gradient);
      // dk and dv belong to heads of k and v, of which there may be fewer.
      const owners = pass === "dkv" ? group : 1;
      const [batch_heads, heads] = [task.batchHeads / owners, task.full[1]! / owners];
      const own = { ...params, ...(rest.addsPositions && task.positions), batch_heads, heads };
      const decided = "kept_bits" in tensors;
      const made = decided ? readingBits(code) : dropping(code, task, width === 4 ? "kept_four" : "kept");
      run(made, { ...tensors, ...images?.(made, tensors) }, paramsOf(task, own, width), {
        workgroups: batch_heads * ceilDiv(tokens, rows),
        overrides: { ...task.overrides, ...(gradient && { BY_KEY: Number(pass === "dkv") }), ...overrides },
      });
    },
  };
}
