import { kernel, replaceFunction, specialize } from "../../runtime/kernel.ts";
import type { Unnamed } from "../ladder.ts";
import type * as Codes from "./codes.cpu.ts";
import { computePacked, computeRows, fits, mapEpilogues, type Readers } from "./packed.ts";
import type { MatmulRung } from "./task.ts";
import { withEpilogues } from "./tiles.ts";

/** For CPU adapters. */
/* @__NO_SIDE_EFFECTS__ */
export function cpuRungs(codes: typeof Codes) {
  const packKernel = kernel("ops/matmul/pack.wgsl", codes.pack);
  const registersKernel = kernel("ops/matmul/matmul-registers.wgsl", codes.registers);
  const rowsKernels = withEpilogues("ops/matmul/matmul-rows.cpu.wgsl", codes.rows);
  const packed = withEpilogues("ops/matmul/matmul-subgroup.cpu.wgsl", codes.subgroup);
  const inPlace = mapEpilogues(packed, (plain) =>
    specialize(replaceFunction(plain, "steps", codes.weightsInPlace), { IN_PLACE: "true", B: "vec2f" }),
  );
  const readers: Readers = { f16: codes.weightsF16, i8: codes.weightsI8 };
  const kernels = { pack: packKernel, packed, inPlace, readers };
  return {
    registers: {
      kernel: "matmul-registers",
      idea: "operands packed into panels, 8 × 8 elements in registers, no workgroup memory", // for CPUs without fast subgroups
      suits: (_adapter, sizes) => fits(sizes),
      fusesGelu: false,
      fastOn: "cpu",
      compute: (task) => computePacked({ pack: packKernel, packed: { plain: registersKernel } }, task, 64, 64),
    },
    rows: {
      kernel: "matmul-rows.cpu",
      idea: "for few rows: each weight is read once, where it is, by the lane that owns its column",
      suits: ({ cpu, subgroupSize: [min, max] }, { M, N, batches }) =>
        cpu && min === 8 && max === 8 && Math.max(batches, M / 16, N / 32) <= 65535,
      fusesGelu: true,
      fastOn: "cpu",
      readsStored: true,
      compute: (task) => computeRows(rowsKernels, task, readers),
    },
    subgroup: {
      kernel: "matmul-subgroup.cpu",
      idea: "a subgroup of eight lanes shares its loads by broadcasts: for CPUs",
      suits: ({ cpu, subgroupSize: [min, max] }, sizes) => cpu && min === 8 && max === 8 && fits(sizes),
      fusesGelu: true,
      fastOn: "cpu",
      readsStored: true,
      compute: (task) => computePacked(kernels, task, 64, 32),
    },
  } satisfies Record<string, Unnamed<MatmulRung>>;
}
