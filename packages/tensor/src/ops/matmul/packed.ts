import { replaceFunction, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import {
  aligned,
  bindings,
  isInPlace,
  placesOf,
  rounding,
  sizesOf,
  stridesOf,
  type Matrices,
  type MatmulSizes,
  type MatmulTask,
  type Stored,
} from "./task.ts";
import { start, type Epilogues } from "./tiles.ts";

// How kernels for CPUs are started: of operands packed into panels, or of weights where, and as, they are stored.

/** Functions that read B as it is stored, in the place of those that read f32. */
export type Readers = Record<Stored, string>;

/** All of them, changed alike. */
export const mapEpilogues = ({ plain, gelu }: Epilogues, change: (from: Kernel) => Kernel): Epilogues => ({
  plain: change(plain),
  ...(gelu && { gelu: change(gelu) }),
});

/** Rows in a panel of packed operands. */
const PANEL = 64;

/** Columns in a panel: kernels may take two at a time. */
const packedDepth = (K: number): number => 2 * ceilDiv(K, 2);

/**
 * Packs both operands, then starts a workgroup for each tile of `rows` × `cols`. With kernels that read weights in place, these are not packed.
 */
export function computePacked(
  kernels: { pack: Kernel; packed: Epilogues; inPlace?: Epilogues; readers?: Readers },
  task: MatmulTask,
  rows: number,
  cols: number,
): void {
  const { M, N, K, batches, c, bias, accumulate } = task;
  const overrides = rounding(task);
  const a = pack(kernels.pack, task.a, { rows: M, cols: K, batches, byRows: !task.a.transposed, overrides });
  const inPlace =
    isInPlace(task, 2) && kernels.inPlace && storedKernels(kernels.inPlace, task.stored, "pair", kernels.readers!);
  const b = inPlace
    ? task.b
    : pack(kernels.pack, task.b, { rows: N, cols: K, batches, byRows: task.b.transposed, overrides });
  const params = {
    ...{ M, N, K: packedDepth(K), a_step: a.step, b_step: b.step, c_step: c.step, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
    ...(kernels.inPlace && { b_first: b.first }),
  };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor, ...scaleOf(task) };
  const workgroups = [ceilDiv(N, cols), ceilDiv(M, rows), batches] as const;
  start(inPlace || kernels.packed, task, tensors, params, { workgroups, ...(inPlace && { overrides }) });
  a.tensor.dispose();
  if (!inPlace) b.tensor.dispose();
}

/** Panels of rows of a matrix (for B, of its columns): one set for all where the whole batch shares it. */
function pack(
  packKernel: Kernel,
  x: Matrices,
  {
    rows,
    cols,
    batches,
    byRows,
    overrides,
  }: { rows: number; cols: number; batches: number; byRows: boolean; overrides: Record<string, number> },
): Matrices {
  const count = x.step === 0 ? 1 : batches;
  const panels = ceilDiv(rows, PANEL);
  const depth = packedDepth(cols);
  const tensor = empty([count, panels, depth, PANEL]);
  const aligned = (byRows ? cols : rows) % 4 === 0 && x.first % 4 === 0 && x.step % 4 === 0;
  const params = {
    ...{ rows, cols, row_step: byRows ? cols : 1, col_step: byRows ? 1 : rows, first: x.first, step: x.step },
    ...{ panels, depth, aligned: Number(aligned) },
  };
  const workgroups = [2 * panels, ceilDiv(depth, 64), count] as const;
  run(packKernel, { x: x.tensor, x4: x.tensor, y: tensor }, params, { workgroups, overrides });
  return { tensor, first: 0, step: count === 1 ? 0 : panels * depth * PANEL };
}

/** Kernels that read B as it is stored, by the function that reads some of it. */
function storedKernels(
  kernels: Epilogues,
  stored: Stored | undefined,
  reader: "pair" | "four",
  codes: Readers,
): Epilogues {
  if (!stored) return kernels;
  return mapEpilogues(kernels, (from) => {
    const bare = stored === "i8" ? replaceFunction(from, "scales", "") : from; // its file has another
    return specialize(replaceFunction(bare, reader, codes[stored]), { B: "u32" });
  });
}

const scaleOf = ({ scale }: MatmulTask): Record<string, Tensor> => (scale ? { scale } : {});

/** Rows of a tile of matmul-rows.cpu.wgsl: one of 32 takes one and a half times as long as one of 16. */
const rowsOf = (M: number): 16 | 32 => (1.5 * ceilDiv(M, 32) < ceilDiv(M, 16) ? 32 : 16);

/** Starts a workgroup for each tile of some rows × 32, of operands as they are. */
export function computeRows(kernels: Epilogues, task: MatmulTask, readers: Readers): void {
  const { M, N, K, batches, a, b } = task;
  const ROWS = rowsOf(M);
  const { plain, gelu } = storedKernels(kernels, task.stored, "four", readers);
  const made = mapEpilogues({ plain, ...(gelu && { gelu }) }, (from) => specialize(from, { ROWS }));
  const overrides = {
    A_WHOLE: Number(!a.transposed && aligned(a, K)),
    B_WHOLE: Number(isInPlace(task, 4)),
    ...rounding(task),
  };
  const tensors = { ...bindings(task), ...scaleOf(task), a1: a.tensor, b1: task.stored ? a.tensor : b.tensor };
  const params = { ...sizesOf(task), ...stridesOf(task), ...placesOf(task), one: 1 };
  start(made, task, tensors, params, { workgroups: [ceilDiv(N, 32), ceilDiv(M, ROWS), batches], overrides });
}

/** Three dimensions of tiles, and packed operands, have to stay within WebGPU's limits. */
export function fits({ M, N, K, batches }: MatmulSizes): boolean {
  const bytes = 4 * packedDepth(K) * batches * PANEL * ceilDiv(Math.max(M, N), PANEL);
  return batches <= 65535 && Math.max(M, N) / PANEL <= 32767 && K / 64 <= 65535 && bytes <= 2 ** 27;
}
