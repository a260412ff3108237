import type { AdapterInfo } from "../../runtime/device.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import naiveCode from "./matmul-naive.wgsl";
import subgroupCode from "./matmul-subgroup.cpu.wgsl";
import packCode from "./pack.cpu.wgsl";

const naiveKernel = kernel("ops/matmul/matmul-naive.wgsl", naiveCode);
const packKernel = kernel("ops/matmul/pack.cpu.wgsl", packCode);
const subgroupKernel = kernel("ops/matmul/matmul-subgroup.cpu.wgsl", subgroupCode);

/** Matrices in a tensor: where the first begins, and how far on the next, in elements. */
interface Matrices {
  tensor: Tensor;
  first: number;
  step: number;
}

/** What a kernel is to compute: C = op(A) · op(B) for a row of matrices, plus the bias or what C held. */
export interface MatmulTask {
  M: number;
  N: number;
  K: number;
  batches: number;
  a: Matrices & { transposed: boolean };
  b: Matrices & { transposed: boolean };
  c: Matrices;
  bias: Tensor | undefined;
  accumulate: boolean;
}

export type MatmulSizes = Pick<MatmulTask, "M" | "N" | "K" | "batches">;

/** A way to compute it. All give the same result, up to rounding. */
export interface MatmulKernel {
  readonly name: string;
  /** Whether it works on this adapter at all. */
  runsOn(adapter: AdapterInfo): boolean;
  compute(task: MatmulTask): void;
}

const everywhere = (): boolean => true;

function naive(task: MatmulTask): void {
  const { M, N, K, batches, a, b, c, bias, accumulate } = task;
  const params = {
    ...{ M, N, K, batches },
    ...{
      a_row: a.transposed ? 1 : K,
      a_col: a.transposed ? M : 1,
      b_row: b.transposed ? 1 : N,
      b_col: b.transposed ? K : 1,
    },
    ...{ a_first: a.first, b_first: b.first, c_first: c.first, a_step: a.step, b_step: b.step, c_step: c.step },
  };
  const overrides = { BIAS: Number(bias !== undefined), ACCUMULATE: Number(accumulate) };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
  run(naiveKernel, tensors, params, { threads: batches * M * N, overrides });
}

/** Rows and columns of a tile of C that one subgroup makes. */
const TILE = 64;

function subgroup(task: MatmulTask): void {
  const { M, N, K, batches, c, bias, accumulate } = task;
  const a = pack(task.a, { rows: M, cols: K, batches, byRows: !task.a.transposed });
  const b = pack(task.b, { rows: N, cols: K, batches, byRows: task.b.transposed });
  const params = {
    ...{ M, N, K, a_step: a.step, b_step: b.step, c_step: c.step, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
  run(subgroupKernel, tensors, params, { workgroups: [ceilDiv(N, TILE), ceilDiv(M, TILE), batches] });
  a.tensor.dispose();
  b.tensor.dispose();
}

/** Panels of TILE rows of a matrix (for B, of its columns), or one such set for all if the whole batch shares it. */
function pack(
  x: Matrices,
  { rows, cols, batches, byRows }: { rows: number; cols: number; batches: number; byRows: boolean },
): Matrices {
  const count = x.step === 0 ? 1 : batches;
  const panels = ceilDiv(rows, TILE);
  const tensor = empty([count, panels, cols, TILE]);
  const aligned = (byRows ? cols : rows) % 4 === 0 && x.first % 4 === 0 && x.step % 4 === 0;
  const params = {
    ...{ rows, cols, row_step: byRows ? cols : 1, col_step: byRows ? 1 : rows, first: x.first, step: x.step },
    ...{ panels, aligned: Number(aligned) },
  };
  const workgroups = [(panels * TILE) / 32, ceilDiv(cols, 64), count] as const;
  run(packKernel, { x: x.tensor, x4: x.tensor, y: tensor }, params, { workgroups });
  return { tensor, first: 0, step: count === 1 ? 0 : panels * cols * TILE };
}

/** The ladder: the same product, computed with ever fewer reads. */
export const matmulKernels = {
  naive: { name: "matmul-naive", runsOn: everywhere, compute: naive },
  subgroup: {
    name: "matmul-subgroup.cpu",
    runsOn: ({ cpu, subgroupSize: [min, max] }) => cpu && min === 8 && max === 8,
    compute: subgroup,
  },
} satisfies Record<string, MatmulKernel>;

/** Which kernel for which device and sizes. */
export function chooseMatmul(adapter: AdapterInfo, { M, N, K, batches }: MatmulSizes): MatmulKernel {
  const { naive, subgroup } = matmulKernels;
  if (subgroup.runsOn(adapter) && M >= 16 && N >= 16 && K >= 8 && batches <= 65535) return subgroup;
  return naive;
}
