import { kernel, replaceFunction, specialize } from "../../runtime/kernel.ts";
import type { Unnamed } from "../ladder.ts";
import type * as Codes from "./codes.cpu.ts";
import storeGeluVectorsCode from "./epilogue-gelu-store-vectors.wgsl";
import { computeOfImages, computePacked, computeRows, fits } from "./packed.ts";
import type { MatmulRung } from "./task.ts";
import { withEpilogues } from "./tiles.ts";

/** For CPU adapters. */
/* @__NO_SIDE_EFFECTS__ */
export function cpuRungs(codes: typeof Codes) {
  const packKernel = kernel("ops/matmul/pack.wgsl", codes.pack);
  const registersKernel = kernel("ops/matmul/matmul-registers.wgsl", codes.registers);
  const rowsKernels = withEpilogues("ops/matmul/matmul-rows.cpu.wgsl", codes.rows);
  const readers = { f16: codes.weightsF16, i8: codes.weightsI8 };
  const whole = withEpilogues("ops/matmul/matmul-subgroup.cpu.wgsl", codes.subgroup, storeGeluVectorsCode);
  const writesNumbers = replaceFunction(replaceFunction(whole.plain, "write", codes.oddRows), "store", "");
  const odd = { plain: specialize(writesNumbers, { C: "f32" }) };
  const rowSums = replaceFunction(replaceFunction(whole.plain, "write_row_sums", ""), "take_rows", codes.rowSums); // its file has both
  const { weightsStored } = codes;
  const stored = { f16: weightsStored + readers.f16, i8: weightsStored + readers.i8 };
  const kernels = { whole: { ...whole, rowSums }, odd, pack: packKernel, stored };
  return {
    registers: {
      kernel: "matmul-registers",
      idea: "operands packed into panels, 8 × 8 elements in registers, no workgroup memory", // for CPUs without fast subgroups
      suits: (_adapter, sizes) => fits(sizes),
      fusesGelu: false,
      fastOn: "cpu",
      compute: (task) => computePacked({ pack: packKernel, packed: registersKernel }, task),
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
      idea: "a subgroup of eight lanes shares what it loads, from images of the operands: for CPUs",
      suits: ({ cpu, subgroupSize: [min, max] }, sizes) => cpu && min === 8 && max === 8 && fits(sizes),
      fusesGelu: true,
      sumsRows: "f32",
      fastOn: "cpu",
      readsStored: true,
      compute: (task) => computeOfImages(kernels, task),
    },
  } satisfies Record<string, Unnamed<MatmulRung>>;
}
