import { imageOf } from "../../runtime/image.ts";
import { kernel, type Kernel } from "../../runtime/kernel.ts";
import type { Image } from "../../runtime/pool.ts";
import type { Tensor } from "../../tensor.ts";
import type * as Codes from "./codes.cpu.ts";
import { rungOf } from "./rung.ts";

/** The tensors that a kernel reads as images. */
function imagesFor({ bindings }: Kernel, tensors: Record<string, Tensor>): Record<string, Image> {
  const read = bindings.filter(({ kind }) => kind === "image");
  return Object.fromEntries(
    read.map(({ name }) => {
      const { buffer, size } = tensors[name]!;
      return [name, imageOf(`attention ${name}`, buffer, { first: 0, bytes: 4 * size })];
    }),
  );
}

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
    readsBits: true,
    images: imagesFor,
    width: 4,
    // Rows per lane, and how many of the others in a step. More of them share loads, but double what is compiled, and have to fit into the cache: measured for 32 and 64.
    tuning(pass, headDim) {
      const VECTORS = headDim / 4;
      const even = [1, 2, 4, 8].find((step) => (step * VECTORS) % 8 === 0)!; // the lanes share a step's loads evenly
      const own = pass === "dkv" && headDim <= 32 ? 4 : 2;
      const consts = pass === "dkv" ? { KEYS: own, QUERIES: even } : { ROWS: own, KEYS: Math.max(4, even) };
      return { consts: { VECTORS, ...consts }, params: { vectors: VECTORS * own }, rows: 8 * own };
    },
  }),
});
