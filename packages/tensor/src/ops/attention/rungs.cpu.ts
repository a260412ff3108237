import { kernel } from "../../runtime/kernel.ts";
import type * as Codes from "./codes.cpu.ts";
import { rungOf } from "./rung.ts";

/** For CPU adapters. */
/* @__NO_SIDE_EFFECTS__ */
export const cpuRungs = (codes: typeof Codes) => ({
  // For CPUs without fast subgroups.
  registers: rungOf({
    kernel: "attention-registers.cpu",
    idea: "the same blocks without workgroup memory",
    kernels: {
      forward: kernel("ops/attention/attention-registers.cpu.wgsl", codes.registers),
      dq: kernel("ops/attention/attention-dq-registers.cpu.wgsl", codes.dqRegisters),
      dkv: kernel("ops/attention/attention-dkv-registers.cpu.wgsl", codes.dkvRegisters),
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
      forward: kernel("ops/attention/attention-subgroup.cpu.wgsl", codes.subgroup),
      dq: kernel("ops/attention/attention-dq-subgroup.cpu.wgsl", codes.dqSubgroup),
      dkv: kernel("ops/attention/attention-dkv-subgroup.cpu.wgsl", codes.dkvSubgroup),
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
      return { consts: { VECTORS, ...consts }, params: { vectors: VECTORS * own }, rows: 8 * own };
    },
  }),
});
