import type { ComputeType } from "../../autocast.ts";
import { check } from "../../errors.ts";
import { device, trials, type AdapterInfo, type Device } from "../../runtime/device.ts";
import { kernel, specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyUnary, type UnaryFunction } from "../elementwise/apply.ts";
import storeGeluVectorsCode from "./epilogue-gelu-store-vectors.wgsl";
import storeGeluCode from "./epilogue-gelu-store.wgsl";
import geluCode from "./epilogue-gelu.wgsl";
import naiveCode from "./matmul-naive.wgsl";
import registersCode from "./matmul-registers.wgsl";
import subgroupMatrixCode from "./matmul-subgroup-matrix.wgsl";
import subgroupCode from "./matmul-subgroup.cpu.wgsl";
import sumCode from "./matmul-sum.wgsl";
import tiledCode from "./matmul-tiled.wgsl";
import workgroupTileCode from "./matmul-workgroup-tile.wgsl";
import packCode from "./pack.wgsl";
import { forms, tryMatmul } from "./trial.ts";

const naiveKernel = kernel("ops/matmul/matmul-naive.wgsl", naiveCode);
const registersKernel = kernel("ops/matmul/matmul-registers.wgsl", registersCode);
const subgroupKernels = withEpilogues("ops/matmul/matmul-subgroup.cpu.wgsl", subgroupCode);
const workgroupTileKernel = kernel("ops/matmul/matmul-workgroup-tile.wgsl", workgroupTileCode);
const tiledKernels = withEpilogues("ops/matmul/matmul-tiled.wgsl", tiledCode, storeGeluVectorsCode);
const sumKernel = kernel("ops/matmul/matmul-sum.wgsl", sumCode);
const packKernel = kernel("ops/matmul/pack.wgsl", packCode);

/** A kernel as it stores C, and as it stores C and gelu(C), if it can. */
interface Epilogues {
  plain: Kernel;
  gelu?: Kernel;
}

/** A kernel with its own `store()`, and with that of epilogue-gelu.wgsl in its place. Two pipelines, for what is written needs a buffer. */
function withEpilogues(file: string, code: string, storeGelu = storeGeluCode): Epilogues {
  const own = /^fn store\([^]*?^}$/m;
  check(own.test(code), `${file}: no store() to replace.`);
  return {
    plain: kernel(file, code),
    gelu: kernel(
      file,
      code.replace(own, () => geluCode + storeGelu),
    ),
  };
}

/** Matrices in a tensor: where the first begins, and how far on the next, in elements. */
interface Matrices {
  tensor: Tensor;
  first: number;
  step: number;
}

/** y = gelu(C), which some kernels write along with C. */
export interface Gelu {
  fn: Extract<UnaryFunction, "gelu" | "gelu_tanh">;
  y: Tensor;
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
  /** What A and B are rounded to before they are multiplied. */
  precision: ComputeType;
  /** Asked only of kernels that fuse it. */
  gelu: Gelu | undefined;
}

export type MatmulSizes = Pick<MatmulTask, "M" | "N" | "K" | "batches" | "precision">;

/** A way to compute it. All give the same result, up to rounding. */
export interface MatmulKernel {
  readonly name: string;
  /** Whether it can compute this here at all. */
  suits(adapter: AdapterInfo, sizes: MatmulSizes): boolean;
  /** Whether it can write gelu(C) along with C; for the others that is a pass of its own. */
  readonly fusesGelu: boolean;
  /** `splits`: in how many parts it takes k, if it can; by its own rule unless said. */
  compute(task: MatmulTask, splits?: number): void;
}

/** Parameters of the kernels that read A and B where they are, transposed or not: a matter of strides. */
const inPlace = (task: MatmulTask): Params => ({
  ...sizesOf(task),
  batches: task.batches,
  ...stridesOf(task),
  ...placesOf(task),
});

const sizesOf = ({ M, N, K }: MatmulTask): Params => ({ M, N, K });

const stridesOf = ({ M, N, K, a, b }: MatmulTask): Params => ({
  ...{ a_row: a.transposed ? 1 : K, a_col: a.transposed ? M : 1 },
  ...{ b_row: b.transposed ? 1 : N, b_col: b.transposed ? K : 1 },
});

function placesOf({ a, b, c, bias, accumulate }: MatmulTask): Params {
  return {
    ...{ a_first: a.first, b_first: b.first, c_first: c.first, a_step: a.step, b_step: b.step, c_step: c.step },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
}

/** The override that rounds A and B as they are read. */
const rounding = ({ precision }: MatmulTask): Record<string, number> => ({ F16: Number(precision === "f16") });

/** The tensors of a task by the names of the bindings; a missing bias is never read. */
function bindings({ a, b, c, bias }: MatmulTask): Record<string, Tensor> {
  return { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
}

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

/** Packs both operands, then starts a workgroup for each tile of `rows` × `cols`. */
function computePacked(main: Epilogues, task: MatmulTask, rows: number, cols: number): void {
  const { M, N, K, batches, c, bias, accumulate } = task;
  const overrides = rounding(task);
  const a = pack(task.a, { rows: M, cols: K, batches, byRows: !task.a.transposed, overrides });
  const b = pack(task.b, { rows: N, cols: K, batches, byRows: task.b.transposed, overrides });
  const params = {
    ...{ M, N, K: packedDepth(K), a_step: a.step, b_step: b.step, c_step: c.step, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
  start(main, task.gelu, tensors, params, { workgroups: [ceilDiv(N, cols), ceilDiv(M, rows), batches] });
  a.tensor.dispose();
  b.tensor.dispose();
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

/** Three dimensions of tiles, and packed operands, have to stay within WebGPU's limits. */
function fits({ M, N, K, batches }: MatmulSizes): boolean {
  const bytes = 4 * packedDepth(K) * batches * PANEL * ceilDiv(Math.max(M, N), PANEL);
  return batches <= 65535 && Math.max(M, N) / PANEL <= 32767 && K / 64 <= 65535 && bytes <= 2 ** 27;
}

/**
 * The ladder: the same product, computed with ever fewer reads.
 *
 * The last three fuse a gelu, which saves reading C back. On lavapipe (two cores) x [2048, 384], weight [1536, 384] takes 41.0 ms so, and
 * 42.3 ms with a pass of its own, but the further pipeline 0.6 s to compile, once.
 */
export const matmulKernels = {
  /** One invocation per element: for small products, and for readers. */
  naive: {
    name: "matmul-naive",
    suits: () => true,
    fusesGelu: false,
    compute: (task) =>
      run(naiveKernel, bindings(task), inPlace(task), {
        threads: task.batches * task.M * task.N,
        overrides: rounding(task),
      }),
  },
  /** Nothing but registers: for CPUs without fast subgroups. */
  registers: {
    name: "matmul-registers",
    suits: (_adapter, sizes) => fits(sizes),
    fusesGelu: false,
    compute: (task) => computePacked({ plain: registersKernel }, task, 64, 64),
  },
  /** One subgroup of eight lanes per tile: for CPUs with fast subgroups. */
  subgroup: {
    name: "matmul-subgroup.cpu",
    suits: ({ cpu, subgroupSize: [min, max] }, sizes) => cpu && min === 8 && max === 8 && fits(sizes),
    fusesGelu: true,
    compute: (task) => computePacked(subgroupKernels, task, 64, 32),
  },
  /** A tile in workgroup memory, an element per invocation: for readers. */
  workgroupTile: {
    name: "matmul-workgroup-tile",
    suits: (_adapter, { M, N, batches }) => Math.max(batches, M / 16, N / 16) <= 65535,
    fusesGelu: false,
    compute: (task) => computeWorkgroupTile(task),
  },
  /** Tiles of 64 × 64 in workgroup memory, 8 × 8 in registers: for GPUs. */
  tiled: tiled(1),
  /** The same with tiles of 128 × 128: half the reads, a quarter of the workgroups. */
  tiledLarge: tiled(2),
  /** Matrix units, for products of f16: 64 × 64 of C where a matrix is 16 × 16. */
  matrixSmall: subgroupMatrix("small", { SUBGROUPS_M: 1, SUBGROUPS_N: 2 }),
  /** 128 × 64. */
  matrixMedium: subgroupMatrix("medium", { SUBGROUPS_M: 2, SUBGROUPS_N: 2 }),
  /** 128 × 128. */
  matrixLarge: subgroupMatrix("large", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }),
  /** The same after a pass that makes A and B f16 in memory: half the bytes for each read. Not chosen by rule: an H200 gains 3 %, less than the pass costs. */
  matrixHalves: subgroupMatrix("large, halves", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }, { halves: true }),
} satisfies Record<string, MatmulKernel>;

function computeWorkgroupTile(task: MatmulTask): void {
  const workgroups = [ceilDiv(task.N, 16), ceilDiv(task.M, 16), task.batches] as const;
  run(workgroupTileKernel, bindings(task), inPlace(task), { workgroups, overrides: rounding(task) });
}

/** Whether what lies together begins at, and is as long as, a multiple of four elements. */
const aligned = (x: Matrices, length: number): boolean => [length, x.first, x.step].every((n) => n % 4 === 0);

function tiled(side: 1 | 2): MatmulKernel {
  const tile = side * 64;
  return {
    name: `matmul-tiled ${tile}×${tile}`,
    suits: ({ workgroupBytes }, { M, N, batches }) =>
      Math.max(batches, M / tile, N / tile) <= 65535 && workgroupBytes >= (side === 1 ? 4352 : 16640),
    fusesGelu: true,
    compute(task, splits = splitsFor(task, tile)) {
      const { M, N, K, a, b } = task;
      const overrides = {
        ...{ SIDE: side, BLOCKS: side * side, UNROLL: Number(!device().adapter.cpu) },
        A_ALIGNED: Number(aligned(a, a.transposed ? M : K)),
        B_ALIGNED: Number(aligned(b, b.transposed ? K : N)),
        ...rounding(task),
      };
      const tensors = { ...bindings(task), a4: a.tensor, b4: b.tensor };
      const params = { ...sizesOf(task), ...stridesOf(task), ...placesOf(task), one: 1 };
      computeTiles(tiledKernels, task, { tensors, params, overrides, rows: tile, cols: tile, splits });
    },
  };
}

/** Starts a kernel that makes tiles of C, `rows` × `cols`, in whole vectors, and takes k in `splits` parts. */
function computeTiles(
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
  run(sumKernel, { parts, bias: bias ?? parts, c: c.tensor }, sums, { threads: batches * M * N });
  parts.dispose();
  if (gelu) applyUnary(gelu.fn, c.tensor, undefined, gelu.y);
}

/** What it takes to fill a large GPU: 512 invocations for each of 128 cores. WebGPU doesn't tell; smaller ones lose little by it. */
const ENOUGH = 512 * 128;

/** Workgroups for a product with square tiles of this side, of whose elements each invocation has 64. */
const tilesOf = ({ M, N, batches }: MatmulSizes, side: number): number => ceilDiv(M, side) * ceilDiv(N, side) * batches;

/** In how many parts k is taken, so that there are enough workgroups: weight gradients are small and sum over all tokens. */
function splitsFor(sizes: MatmulSizes, side: number): number {
  const wanted = Math.round(ENOUGH / ((side * side) / 64) / tilesOf(sizes, side));
  const longEnough = Math.floor(sizes.K / (4 * side)); // to be worth the writing and reading of a part
  return Math.max(1, Math.min(wanted, longEnough));
}

/** Matrices of a subgroup, down and across: as matmul-subgroup-matrix.wgsl has them. */
const [ROWS, COLS] = [4, 2];

/** Subgroups of a workgroup, down and across. */
interface MatrixTuning {
  SUBGROUPS_M: number;
  SUBGROUPS_N: number;
}

/** A workgroup's invocations, and its tile of C. */
function matrixTile({ subgroupMatrix, subgroupSize }: AdapterInfo, { SUBGROUPS_M, SUBGROUPS_N }: MatrixTuning) {
  const { M, N } = subgroupMatrix!;
  return {
    INVOCATIONS: SUBGROUPS_M * SUBGROUPS_N * subgroupSize[1],
    rows: SUBGROUPS_M * ROWS * M,
    cols: SUBGROUPS_N * COLS * N,
  };
}

/** Whether a workgroup may have the invocations and the memory that this tuning takes: tiles of A and B, a matrix of each subgroup. */
function matricesFit(adapter: AdapterInfo, tuning: MatrixTuning): boolean {
  const { subgroupMatrix, workgroupInvocations, workgroupBytes } = adapter;
  if (!subgroupMatrix || subgroupMatrix.problem) return false;
  const { INVOCATIONS, rows, cols } = matrixTile(adapter, tuning);
  const { M, N } = subgroupMatrix;
  const bytes = 80 * (rows + cols) + 4 * tuning.SUBGROUPS_M * tuning.SUBGROUPS_N * M * N;
  const wholeLines = INVOCATIONS % (rows / 4) === 0 && INVOCATIONS % (cols / 4) === 0; // that all invocations copy at once
  return INVOCATIONS <= workgroupInvocations && bytes <= workgroupBytes && wholeLines;
}

/** Products by matrix units; `halves`: of f16 copies. `code` is for tests, which run the kernel where there are none. */
export function subgroupMatrix(
  name: string,
  tuning: MatrixTuning,
  { halves = false, code = subgroupMatrixCode }: { halves?: boolean; code?: string } = {},
): MatmulKernel {
  const file = "ops/matmul/matmul-subgroup-matrix.wgsl";
  const made = new WeakMap<AdapterInfo, Epilogues>();
  /** The kernels for this adapter's matrices. */
  const kernelsFor = (adapter: AdapterInfo): Epilogues => {
    let kernels = made.get(adapter);
    if (!kernels) {
      const { M, N, K } = adapter.subgroupMatrix!;
      const { INVOCATIONS } = matrixTile(adapter, tuning);
      const values = {
        ...{ MATRIX_M: M, MATRIX_N: N, MATRIX_K: K },
        ...tuning,
        INVOCATIONS,
        ...(halves && { Vector: "vec4<f16>" }),
      };
      kernels = withEpilogues(file, specialize(kernel(file, code), values).code, storeGeluVectorsCode);
      made.set(adapter, kernels);
    }
    return kernels;
  };
  return {
    name: `matmul-subgroup-matrix ${name}`,
    suits: (adapter, { M, N, batches, precision }) =>
      precision === "f16" && Math.max(batches, M / 16, N / 16) <= 65535 && matricesFit(adapter, tuning),
    fusesGelu: true,
    compute(task, splits) {
      const { adapter } = device();
      check(adapter.subgroupMatrix, "matmul-subgroup-matrix: this adapter offers no subgroup matrices of f16.");
      const { a, b, M, N, K } = task;
      const overrides = {
        A_TRANSPOSED: Number(a.transposed),
        B_TRANSPOSED: Number(b.transposed),
        ALIGNED: Number(aligned(a, a.transposed ? M : K) && aligned(b, b.transposed ? K : N)),
        WHOLE: Number(K % 32 === 0),
      };
      const params = { ...sizesOf(task), ...placesOf(task) };
      const { rows, cols } = matrixTile(adapter, tuning);
      const parts = splits ?? splitsFor(task, Math.sqrt(rows * cols));
      const copies = halves ? { a: inHalves(a.tensor), b: inHalves(b.tensor) } : undefined;
      const how = { tensors: { ...bindings(task), ...copies }, params, overrides, rows, cols, splits: parts };
      computeTiles(kernelsFor(adapter), task, how);
      copies?.a.dispose();
      copies?.b.dispose();
    },
  };
}

const inHalves = (x: Tensor): Tensor => cast.definition.forward(x, "f16").output;

trials.subgroupMatrix = async () => {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulKernels;
  const one = { transposeA: false, transposeB: false, M: 33, N: 35, K: 37 };
  // Forms differ in their loads, sizes only in counts: all forms are tried with the largest tiles that fit, one with the others.
  let tried = forms;
  for (const kernel of [matrixLarge, matrixMedium, matrixSmall]) {
    if (!kernel.suits(device().adapter, { ...one, batches: 1, precision: "f16" })) continue;
    await tryMatmul(kernel, tried);
    tried = tried === forms ? forms.slice(-1) : [one];
  }
};

/** The kernels for matrix units from the one with the largest tiles of which there are enough. */
function matrixKernels(sizes: MatmulSizes): MatmulKernel[] {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulKernels;
  const tiles = tilesOf(sizes, 128) * splitsFor(sizes, 128);
  return [...(tiles >= 192 ? [matrixLarge] : []), ...(tiles >= 96 ? [matrixMedium] : []), matrixSmall];
}

/** Which kernels for which device and sizes, the best first: the first that suits is taken. */
const table: Record<"cpu" | "gpu", (sizes: MatmulSizes) => MatmulKernel[]> = {
  cpu: ({ M, N }) => (Math.min(M, N) < 4 ? [] : [matmulKernels.subgroup, matmulKernels.registers]),
  gpu: (sizes) => {
    const { M, N } = sizes;
    const { tiled, tiledLarge } = matmulKernels;
    if (Math.min(M, N) < 16) return []; // mostly empty tiles
    const large = tilesOf(sizes, 128) * splitsFor(sizes, 128) >= 224; // workgroups: 7/8 of enough
    return [...matrixKernels(sizes), ...(large ? [tiledLarge] : []), tiled];
  },
};
/** Which kernel for which device and sizes, by rule: the first of the table that suits. */
export function chooseMatmul(adapter: AdapterInfo, sizes: MatmulSizes): MatmulKernel {
  const order = table[adapter.cpu ? "cpu" : "gpu"](sizes);
  return order.find((kernel) => kernel.suits(adapter, sizes)) ?? matmulKernels.naive;
}

/** A kernel, and in how many parts it takes k, if not by its own rule. */
export interface Choice {
  kernel: MatmulKernel;
  splits?: number | undefined;
}

/** What a tuning calls a product: `matmul 768×768×4096 f32`. */
export const tuningKey = ({ M, N, K, batches, precision }: MatmulSizes): string =>
  `matmul ${[...(batches > 1 ? [batches] : []), M, N, K].join("×")} ${precision}`;

/** A choice as a tuning has it: `tiledLarge`, or `tiledLarge/8`. */
export function choiceFrom(text: string): Choice | undefined {
  const [name, splits] = text.split("/");
  const kernel = (matmulKernels as Record<string, MatmulKernel>)[name!];
  return kernel && { kernel, splits: splits === undefined ? undefined : Number(splits) };
}

/** What was measured to be fastest, where there is such a measurement. */
export function tunedMatmul(
  { adapter, tuning }: Pick<Device, "adapter" | "tuning">,
  sizes: MatmulSizes,
): Choice | undefined {
  if (tuning.size === 0) return undefined;
  const choice = choiceFrom(tuning.get(tuningKey(sizes)) ?? "");
  return choice?.kernel.suits(adapter, sizes) ? choice : undefined;
}
