import { device } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnary } from "../elementwise/apply.ts";
import { lanesOf } from "../lanes.ts";
import storeGeluCode from "./epilogue-gelu-store.wgsl";
import geluCode from "./epilogue-gelu.wgsl";
import sumCode from "./matmul-sum.wgsl";
import workgroupTileCode from "./matmul-workgroup-tile.wgsl";
import packCode from "./pack.wgsl";
import weightsF16Code from "./weights-f16.wgsl";
import weightsI8Code from "./weights-i8.wgsl";
import {
  aligned,
  bindings,
  inPlace,
  isInPlace,
  placesOf,
  rounding,
  sizesOf,
  stridesOf,
  type Gelu,
  type Matrices,
  type MatmulSizes,
  type MatmulTask,
  type Stored,
} from "./task.ts";

// How the kernels that make tiles of C are started: with an epilogue or without, of packed operands, with k in parts.

const sumKernel = kernel("ops/matmul/matmul-sum.wgsl", sumCode);
const packKernel = kernel("ops/matmul/pack.wgsl", packCode);
const workgroupTileKernel = kernel("ops/matmul/matmul-workgroup-tile.wgsl", workgroupTileCode);

/** A kernel as it stores C, and as it stores C and gelu(C), if it can. */
export interface Epilogues {
  plain: Kernel;
  gelu?: Kernel;
}

/** A kernel with its own `store()`, and with that of epilogue-gelu.wgsl in its place. Two pipelines, for what is written needs a buffer. */
export function withEpilogues(file: string, code: string, storeGelu = storeGeluCode): Epilogues {
  const plain = kernel(file, code);
  return { plain, gelu: replaceFunction(plain, "store", geluCode + storeGelu) };
}

/** Both kernels, changed alike. */
export const mapEpilogues = ({ plain, gelu }: Epilogues, change: (from: Kernel) => Kernel): Epilogues => ({
  plain: change(plain),
  ...(gelu && { gelu: change(gelu) }),
});

/** Starts the kernel with the epilogue that is asked for. */
function start(
  { plain, gelu: fused }: Epilogues,
  gelu: Gelu | undefined,
  tensors: Record<string, Tensor>,
  params: Params,
  { workgroups, overrides }: { workgroups: readonly [number, number, number]; overrides?: Record<string, number> },
): void {
  if (!fused || !gelu) return run(plain, tensors, params, { workgroups, overrides: { ...overrides } });
  const made = specialize(fused, { TANH: String(gelu.fn === "gelu_tanh") });
  run(made, { ...tensors, y: gelu.y }, params, { workgroups, overrides: { ...overrides } });
}

/** Rows in a panel of packed operands. */
const PANEL = 64;

/** Columns in a panel: kernels may take two at a time. */
const packedDepth = (K: number): number => 2 * ceilDiv(K, 2);

/**
 * Packs both operands, then starts a workgroup for each tile of `rows` × `cols`. With kernels that read weights in place, these are not packed.
 */
export function computePacked(
  kernels: { packed: Epilogues; inPlace?: Epilogues },
  task: MatmulTask,
  rows: number,
  cols: number,
): void {
  const { M, N, K, batches, c, bias, accumulate } = task;
  const overrides = rounding(task);
  const a = pack(task.a, { rows: M, cols: K, batches, byRows: !task.a.transposed, overrides });
  const inPlace = isInPlace(task, 2) && kernels.inPlace && storedKernels(kernels.inPlace, task.stored, "pair");
  const b = inPlace ? task.b : pack(task.b, { rows: N, cols: K, batches, byRows: task.b.transposed, overrides });
  const params = {
    ...{ M, N, K: packedDepth(K), a_step: a.step, b_step: b.step, c_step: c.step, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
    ...(kernels.inPlace && { b_first: b.first }),
  };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor, ...scaleOf(task) };
  const workgroups = [ceilDiv(N, cols), ceilDiv(M, rows), batches] as const;
  start(inPlace || kernels.packed, task.gelu, tensors, params, { workgroups, ...(inPlace && { overrides }) });
  a.tensor.dispose();
  if (!inPlace) b.tensor.dispose();
}

/** Panels of rows of a matrix (for B, of its columns): one set for all where the whole batch shares it. */
function pack(
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

const storedCodes: Record<Stored, string> = { f16: weightsF16Code, i8: weightsI8Code };

/** Kernels that read B as it is stored, by the function that reads some of it. */
function storedKernels(kernels: Epilogues, stored: Stored | undefined, reader: "pair" | "four"): Epilogues {
  if (!stored) return kernels;
  return mapEpilogues(kernels, (from) => {
    const bare = stored === "i8" ? replaceFunction(from, "scales", "") : from; // its file has another
    return specialize(replaceFunction(bare, reader, storedCodes[stored]), { B: "u32" });
  });
}

const scaleOf = ({ scale }: MatmulTask): Record<string, Tensor> => (scale ? { scale } : {});

/** Rows of a tile of matmul-rows.cpu.wgsl: one of 32 takes one and a half times as long as one of 16. */
const rowsOf = (M: number): 16 | 32 => (1.5 * ceilDiv(M, 32) < ceilDiv(M, 16) ? 32 : 16);

/** Starts a workgroup for each tile of some rows × 32, of operands as they are. */
export function computeRows(kernels: Epilogues, task: MatmulTask): void {
  const { M, N, K, batches, a, b } = task;
  const ROWS = rowsOf(M);
  const { plain, gelu } = storedKernels(kernels, task.stored, "four");
  const made = mapEpilogues({ plain, ...(gelu && { gelu }) }, (from) => specialize(from, { ROWS }));
  const overrides = {
    A_WHOLE: Number(!a.transposed && aligned(a, K)),
    B_WHOLE: Number(isInPlace(task, 4)),
    ...rounding(task),
  };
  const tensors = { ...bindings(task), ...scaleOf(task), a1: a.tensor, b1: task.stored ? a.tensor : b.tensor };
  const params = { ...sizesOf(task), ...stridesOf(task), ...placesOf(task), one: 1 };
  start(made, task.gelu, tensors, params, { workgroups: [ceilDiv(N, 32), ceilDiv(M, ROWS), batches], overrides });
}

/** Three dimensions of tiles, and packed operands, have to stay within WebGPU's limits. */
export function fits({ M, N, K, batches }: MatmulSizes): boolean {
  const bytes = 4 * packedDepth(K) * batches * PANEL * ceilDiv(Math.max(M, N), PANEL);
  return batches <= 65535 && Math.max(M, N) / PANEL <= 32767 && K / 64 <= 65535 && bytes <= 2 ** 27;
}

export function computeWorkgroupTile(task: MatmulTask): void {
  const workgroups = [ceilDiv(task.N, 16), ceilDiv(task.M, 16), task.batches] as const;
  run(workgroupTileKernel, bindings(task), inPlace(task), { workgroups, overrides: rounding(task) });
}

/** Starts a kernel that makes tiles of C, `rows` × `cols`, in whole vectors, and takes k in `splits` parts. */
export function computeTiles(
  kernels: Epilogues,
  task: MatmulTask,
  how: {
    tensors: Record<string, Tensor>;
    params: Params;
    overrides: Record<string, number>;
    rows: number;
    cols: number;
    splits: number;
  },
): void {
  const { M, N, K, batches, c, bias, accumulate, gelu } = task;
  const { tensors, overrides, rows, cols, splits } = how;
  const chunk = 32 * ceilDiv(K, 32 * splits); // whole steps of every such kernel
  const launch = { workgroups: [ceilDiv(N, cols), ceilDiv(M, rows), batches * splits] as const, overrides };
  const params = { ...how.params, splits, chunk };
  if (splits === 1 && aligned(c, N)) return start(kernels, gelu, tensors, params, launch);

  // Parts of the sums, or rows that don't begin at whole vectors: by way of a workspace, where they do.
  const width = 4 * ceilDiv(N, 4);
  if (4 * batches * splits * M * width > device().gpu.limits.maxStorageBufferBindingSize)
    return splits > 1 ? computeTiles(kernels, task, { ...how, splits: 1 }) : computeWorkgroupTile(task);
  const parts = empty([batches, splits, M, width]);
  const plain = { ...params, c_first: 0, c_step: M * width, bias: 0, accumulate: 0 };
  run(kernels.plain, { ...tensors, c: parts }, plain, launch);
  const sums = {
    ...{ M, N, batches, splits, c_first: c.first, c_step: c.step },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
  const lanes = aligned(c, N) ? 4 : 1;
  const threads = (batches * M * N) / lanes;
  run(specialize(sumKernel, lanesOf(lanes)), { parts, bias: bias ?? parts, c: c.tensor }, sums, { threads });
  parts.dispose();
  if (gelu) applyUnary(gelu.fn, c.tensor, undefined, gelu.y);
}

/** What it takes to fill a large GPU: 512 invocations for each of 128 cores. WebGPU doesn't say how large a GPU is; smaller ones lose little by it. */
const ENOUGH = 512 * 128;

/** Workgroups for a product with square tiles of this side, of whose elements each invocation has 64. */
export const tilesOf = ({ M, N, batches }: MatmulSizes, side: number): number =>
  ceilDiv(M, side) * ceilDiv(N, side) * batches;

/** In how many parts k is taken, so that there are enough workgroups: weight gradients are small and sum over all tokens. */
export function splitsFor(sizes: MatmulSizes, side: number): number {
  const wanted = Math.round(ENOUGH / ((side * side) / 64) / tilesOf(sizes, side));
  const longEnough = Math.floor(sizes.K / (4 * side)); // to be worth the writing and reading of a part
  return Math.max(1, Math.min(wanted, longEnough));
}
