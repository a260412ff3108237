import { cpuRungs, matrixRungs, naiveRungs } from "#attention-rungs";
import { device } from "../../runtime/init.ts";
import { kernel } from "../../runtime/kernel.ts";
import { ceilDiv } from "../../shape.ts";
import { ladder, type Unnamed } from "../ladder.ts";

import dkvTiledCode from "./attention-dkv-tiled.wgsl";
import dqTiledCode from "./attention-dq-tiled.wgsl";
import onlineCode from "./attention-online.wgsl";
import tiledCode from "./attention-tiled.wgsl";
import { rungOf, type AttentionRung, type Pass } from "./rung.ts";
import { naiveBackward, plain } from "./rungs.naive.ts";

/** Bytes of workgroup memory that the tiled kernels take, of which the forward one takes most: left, right and parts. */
const tiledBytes = (pass: Pass, headDim: number, runs: number): number =>
  16 * (64 * 9 + Math.max(runs * 32 * 9, 256 * ceilDiv(headDim, 32)) + (pass === "forward" ? 128 : 0));

/** The same result from ever fewer reads. */
const rungs = {
  ...naiveRungs,
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
  ...matrixRungs,
  ...cpuRungs,
} satisfies Record<string, Unnamed<AttentionRung>>;

export const attentionLadder = ladder<AttentionRung, keyof typeof rungs>("attention", rungs, "online");
