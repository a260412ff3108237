import { check } from "../../errors.ts";
import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { kernel, specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { ladder, type Rung, type Unnamed } from "../ladder.ts";
import dkvNaiveCode from "./attention-dkv-naive.wgsl";
import dkvSubgroupCode from "./attention-dkv-subgroup.cpu.wgsl";
import dkvRegistersCode from "./attention-dkv-registers.cpu.wgsl";
import dkvSubgroupMatrixCode from "./attention-dkv-subgroup-matrix.wgsl";
import dkvTiledCode from "./attention-dkv-tiled.wgsl";
import dqNaiveCode from "./attention-dq-naive.wgsl";
import dqSubgroupCode from "./attention-dq-subgroup.cpu.wgsl";
import dqRegistersCode from "./attention-dq-registers.cpu.wgsl";
import dqSubgroupMatrixCode from "./attention-dq-subgroup-matrix.wgsl";
import dqTiledCode from "./attention-dq-tiled.wgsl";
import naiveCode from "./attention-naive.wgsl";
import onlineCode from "./attention-online.wgsl";
import registersCode from "./attention-registers.cpu.wgsl";
import subgroupCode from "./attention-subgroup.cpu.wgsl";
import subgroupMatrixCode from "./attention-subgroup-matrix.wgsl";
import tiledCode from "./attention-tiled.wgsl";
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
interface Passes extends Pick<AttentionRung, "kernel" | "idea" | "suits" | "addsPositions" | "readsBits"> {
  kernels: Record<Pass, Kernel>;
  /** Elements behind one index of a binding. */
  width: 1 | 4;
  tuning: (pass: Pass, headDim: number) => Tuning;
}

function rungOf({ kernels, width, tuning, ...rest }: Passes): Unnamed<AttentionRung> {
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
      run(
        decided ? readingBits(code) : dropping(code, task, width === 4 ? "kept_four" : "kept"),
        tensors,
        paramsOf(task, own, width),
        {
          workgroups: batch_heads * ceilDiv(tokens, rows),
          overrides: { ...task.overrides, ...(gradient && { BY_KEY: Number(pass === "dkv") }), ...overrides },
        },
      );
    },
  };
}

/** Bytes of workgroup memory that the tiled kernels take, of which the forward one takes most: left, right and parts. */
const tiledBytes = (pass: Pass, headDim: number, runs: number): number =>
  16 * (64 * 9 + Math.max(runs * 32 * 9, 256 * ceilDiv(headDim, 32)) + (pass === "forward" ? 128 : 0));

const naiveBackward = {
  dq: kernel("ops/attention/attention-dq-naive.wgsl", dqNaiveCode),
  dkv: kernel("ops/attention/attention-dkv-naive.wgsl", dkvNaiveCode),
};

/** One invocation per row: any head dimension, any adapter. */
const plain = {
  suits: () => true,
  addsPositions: true,
  width: 1,
  tuning: (_pass, headDim) => ({ params: { head_dim: headDim }, rows: 64 }),
} satisfies Partial<Passes>;

/** Subgroups of a workgroup, as the kernels for matrix units have them. */
const SUBGROUPS = 4;

/** Whether a GPU's matrices are square and divide a head, and what dk and dv take of workgroup memory, which is most, is there. */
function matricesFit(adapter: AdapterInfo, headDim: number): boolean {
  const { subgroupMatrix, subgroupSize, workgroupInvocations, workgroupBytes } = adapter;
  if (!subgroupMatrix || subgroupMatrix.problem) return false;
  const { M, N, K } = subgroupMatrix;
  const invocations = SUBGROUPS * subgroupSize[1];
  const [rows, tile] = [SUBGROUPS * M, 2 * M];
  const bytes = 2 * (rows + tile) * (2 * headDim + 16) + 2 * tile * (4 * rows + 32);
  const shares = (rows / 4) % (invocations / tile) === 0 && (tile / 4) % (invocations / rows) === 0; // of a line of scores
  return (
    M === N &&
    N === K &&
    headDim % M === 0 &&
    headDim <= 4 * M &&
    shares &&
    invocations <= workgroupInvocations &&
    bytes <= workgroupBytes
  );
}

/** The same result from ever fewer reads. */
const rungs = {
  naive: rungOf({
    kernel: "attention-naive",
    idea: "one invocation per query, two passes over the keys",
    ...plain,
    kernels: { forward: kernel("ops/attention/attention-naive.wgsl", naiveCode), ...naiveBackward },
  }),
  // Backward has no softmax to make, so it is the naive one.
  online: rungOf({
    kernel: "attention-online",
    idea: "online softmax: one pass",
    ...plain,
    kernels: { forward: kernel("ops/attention/attention-online.wgsl", onlineCode), ...naiveBackward },
  }),
  // For GPUs.
  tiled: rungOf({
    kernel: "attention-tiled",
    idea: "tiles in workgroup memory, 4 × 4 blocks in registers",
    kernels: {
      forward: kernel("ops/attention/attention-tiled.wgsl", tiledCode),
      dq: kernel("ops/attention/attention-dq-tiled.wgsl", dqTiledCode),
      dkv: kernel("ops/attention/attention-dkv-tiled.wgsl", dkvTiledCode),
    },
    suits: ({ workgroupBytes }, { headDim }) =>
      headDim % 4 === 0 && headDim <= 128 && tiledBytes("forward", headDim, 1) <= workgroupBytes,
    readsBits: true,
    width: 4,
    tuning(pass, headDim) {
      const { cpu, workgroupBytes } = device().adapter;
      const VECTORS = headDim / 4;
      const DEPTH = ceilDiv(VECTORS, ceilDiv(VECTORS, 8));
      const small = tiledBytes(pass, headDim, 2) > workgroupBytes;
      const RUNS = small || (pass === "dkv" && headDim > 64) ? 1 : 2; // its two sums fill the registers
      const consts = { VECTORS, OWN: ceilDiv(VECTORS, 8), DEPTH, RUNS };
      return { consts, overrides: { UNROLL: cpu ? 0 : 1 }, params: { one: 1 }, rows: 64 };
    },
  }),
  // For GPUs with matrix units, in mixed precision.
  subgroupMatrix: rungOf({
    kernel: "attention-subgroup-matrix",
    idea: "matrix units multiply, and the sums stay in them",
    kernels: {
      forward: kernel("ops/attention/attention-subgroup-matrix.wgsl", subgroupMatrixCode),
      dq: kernel("ops/attention/attention-dq-subgroup-matrix.wgsl", dqSubgroupMatrixCode),
      dkv: kernel("ops/attention/attention-dkv-subgroup-matrix.wgsl", dkvSubgroupMatrixCode),
    },
    suits: (adapter, { headDim, precision }) => precision === "f16" && matricesFit(adapter, headDim),
    readsBits: true,
    width: 4,
    tuning(_pass, headDim) {
      const { subgroupMatrix, subgroupSize } = device().adapter;
      check(subgroupMatrix, "attention-subgroup-matrix: this adapter offers no subgroup matrices of f16.");
      const MATRIX = subgroupMatrix.M;
      const consts = { MATRIX, INVOCATIONS: SUBGROUPS * subgroupSize[1], VECTORS: headDim / 4 };
      return { consts, rows: SUBGROUPS * MATRIX };
    },
  }),
  // For CPUs without fast subgroups.
  registers: rungOf({
    kernel: "attention-registers.cpu",
    idea: "the same blocks without workgroup memory",
    kernels: {
      forward: kernel("ops/attention/attention-registers.cpu.wgsl", registersCode),
      dq: kernel("ops/attention/attention-dq-registers.cpu.wgsl", dqRegistersCode),
      dkv: kernel("ops/attention/attention-dkv-registers.cpu.wgsl", dkvRegistersCode),
    },
    suits: ({ cpu }, { headDim }) => cpu && headDim % 4 === 0 && headDim <= 256,
    addsPositions: true,
    width: 4,
    tuning: (_pass, headDim) => ({ consts: { VECTORS: headDim / 4 }, params: { vectors: headDim / 4 }, rows: 32 }),
  }),
  // For CPUs with fast subgroups.
  subgroup: rungOf({
    kernel: "attention-subgroup.cpu",
    idea: "eight lanes share their loads",
    kernels: {
      forward: kernel("ops/attention/attention-subgroup.cpu.wgsl", subgroupCode),
      dq: kernel("ops/attention/attention-dq-subgroup.cpu.wgsl", dqSubgroupCode),
      dkv: kernel("ops/attention/attention-dkv-subgroup.cpu.wgsl", dkvSubgroupCode),
    },
    suits: ({ cpu, subgroupSize: [min, max] }, { headDim }) =>
      cpu && min === 8 && max === 8 && headDim % 4 === 0 && headDim <= 128,
    addsPositions: true,
    width: 4,
    tuning(pass, headDim) {
      const own = headDim <= 64 ? 4 : 2; // rows per lane: more of them share a load, but also have to fit into the cache
      const step = headDim % 8 === 0 ? 4 : 8; // the lanes share its loads evenly
      const VECTORS = headDim / 4;
      const shared = pass === "dkv" && headDim % 16 === 0 ? 2 : step; // two queries compile faster and run as fast
      const consts = pass === "dkv" ? { KEYS: own, QUERIES: shared } : { ROWS: own, KEYS: shared };
      const params = { vectors: VECTORS * own, ...(pass !== "dkv" && { loads: (shared * VECTORS) / 8 }) };
      return { consts: { VECTORS, ...consts }, params, rows: 8 * own };
    },
  }),
} satisfies Record<string, Unnamed<AttentionRung>>;

export const attentionLadder = ladder<AttentionRung, keyof typeof rungs>("attention", rungs, "online");
