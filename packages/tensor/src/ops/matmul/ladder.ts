import { check } from "../../errors.ts";
import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device, trials } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { ladder, type Unnamed } from "../ladder.ts";
import storeGeluVectorsCode from "./epilogue-gelu-store-vectors.wgsl";
import dotsCode from "./matmul-dots.wgsl";
import naiveCode from "./matmul-naive.wgsl";
import registersCode from "./matmul-registers.wgsl";
import rowsCode from "./matmul-rows.cpu.wgsl";
import subgroupMatrixCode from "./matmul-subgroup-matrix.wgsl";
import subgroupCode from "./matmul-subgroup.cpu.wgsl";
import tiledCode from "./matmul-tiled.wgsl";
import rowSumsMatrixCode from "./row-sums-matrix.wgsl";
import rowSumsTiledCode from "./row-sums-tiled.wgsl";
import weightsInPlaceCode from "./weights-in-place.wgsl";
import { aligned, bindings, inPlace, placesOf, rounding, sizesOf, stridesOf, type MatmulRung } from "./task.ts";
import {
  computePacked,
  computeRows,
  computeTiles,
  computeWorkgroupTile,
  fits,
  mapEpilogues,
  splitsFor,
  withEpilogues,
  type Epilogues,
} from "./tiles.ts";
import { countResident, residentCode } from "./resident.ts";
import { forms, tryMatmul } from "./trial.ts";

const naiveKernel = kernel("ops/matmul/matmul-naive.wgsl", naiveCode);
const dotsKernel = kernel("ops/matmul/matmul-dots.wgsl", dotsCode);
const registersKernel = kernel("ops/matmul/matmul-registers.wgsl", registersCode);
const rowsKernels = withEpilogues("ops/matmul/matmul-rows.cpu.wgsl", rowsCode);
const subgroupKernels = withEpilogues("ops/matmul/matmul-subgroup.cpu.wgsl", subgroupCode);
const inPlaceKernels = mapEpilogues(subgroupKernels, (plain) =>
  specialize(replaceFunction(plain, "steps", weightsInPlaceCode), { IN_PLACE: "true", B: "vec2f" }),
);
const tiledEpilogues = withEpilogues("ops/matmul/matmul-tiled.wgsl", tiledCode, storeGeluVectorsCode);
const tiledKernels: Epilogues = {
  ...tiledEpilogues,
  rowSums: replaceFunction(replaceFunction(tiledEpilogues.plain, "write_row_sums", ""), "take_rows", rowSumsTiledCode), // its file has both
};

/**
 * The same product, computed with ever fewer reads.
 *
 * Tiles in registers of a subgroup or workgroup fuse a gelu, which saves reading C back. On lavapipe (two cores) x [2048, 384], weight
 * [1536, 384] takes 41.0 ms so, and 42.3 ms with a pass of its own, but the further pipeline 0.6 s to compile, once.
 */
const rungs = {
  naive: {
    kernel: "matmul-naive",
    idea: "one invocation per element: two loads for every multiply-add", // for small products, and for readers
    suits: () => true,
    fusesGelu: false,
    compute: (task) =>
      run(naiveKernel, bindings(task), inPlace(task), {
        threads: task.batches * task.M * task.N,
        overrides: rounding(task),
      }),
  },
  dots: {
    kernel: "matmul-dots",
    idea: "a workgroup per element, which shares k: for few elements and a long k, on GPUs",
    suits: () => true,
    fusesGelu: false,
    compute: (task) =>
      run(dotsKernel, bindings(task), inPlace(task), {
        workgroups: task.batches * task.M * task.N,
        overrides: rounding(task),
      }),
  },
  workgroupTile: {
    kernel: "matmul-workgroup-tile",
    idea: "a tile in workgroup memory is shared: sixteen times fewer loads", // for readers
    suits: (_adapter, { M, N, batches }) => Math.max(batches, M / 16, N / 16) <= 65535,
    fusesGelu: false,
    compute: (task) => computeWorkgroupTile(task),
  },
  tiled: tiled(1, "8 × 8 elements in the registers of an invocation, 16-byte loads, the next block fetched ahead"),
  tiledLarge: tiled(2, "tiles of 128 × 128: half the reads, a quarter of the workgroups"),
  registers: {
    kernel: "matmul-registers",
    idea: "operands packed into panels, 8 × 8 elements in registers, no workgroup memory", // for CPUs without fast subgroups
    suits: (_adapter, sizes) => fits(sizes),
    fusesGelu: false,
    fastOn: "cpu",
    compute: (task) => computePacked({ packed: { plain: registersKernel } }, task, 64, 64),
  },
  rows: {
    kernel: "matmul-rows.cpu",
    idea: "for few rows: each weight is read once, where it is, by the lane that owns its column",
    suits: ({ cpu, subgroupSize: [min, max] }, { M, N, batches }) =>
      cpu && min === 8 && max === 8 && Math.max(batches, M / 16, N / 32) <= 65535,
    fusesGelu: true,
    fastOn: "cpu",
    readsStored: true,
    compute: (task) => computeRows(rowsKernels, task),
  },
  subgroup: {
    kernel: "matmul-subgroup.cpu",
    idea: "a subgroup of eight lanes shares its loads by broadcasts: for CPUs",
    suits: ({ cpu, subgroupSize: [min, max] }, sizes) => cpu && min === 8 && max === 8 && fits(sizes),
    fusesGelu: true,
    fastOn: "cpu",
    readsStored: true,
    compute: (task) => computePacked({ packed: subgroupKernels, inPlace: inPlaceKernels }, task, 64, 32),
  },
  // For products of f16, on GPUs that have matrix units. Tiles are as large as said where a matrix is 16 × 16.
  matrixSmall: subgroupMatrix("small", { SUBGROUPS_M: 1, SUBGROUPS_N: 2 }, { idea: "matrix units: a subgroup multiplies whole matrices, tiles of 64 × 64" }), // prettier-ignore
  matrixMedium: subgroupMatrix("medium", { SUBGROUPS_M: 2, SUBGROUPS_N: 2 }, { idea: "tiles of 128 × 64" }),
  matrixLarge: subgroupMatrix("large", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }, { idea: "tiles of 128 × 128" }),
  // Not chosen by rule: an H200 gains 3 %, less than the pass costs that makes the copies.
  matrixHalves: subgroupMatrix("large, halves", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }, { idea: "of operands copied to f16 first: half the bytes for each read", halves: true }), // prettier-ignore
} satisfies Record<string, Unnamed<MatmulRung>>;

export const matmulLadder = ladder<MatmulRung, keyof typeof rungs>("matmul", rungs, "naive");

/** Tiles of 64 × 64 in workgroup memory, or of 128 × 128: for GPUs. */
function tiled(side: 1 | 2, idea: string): Unnamed<MatmulRung> {
  const tile = side * 64;
  return {
    kernel: `matmul-tiled ${tile}×${tile}`,
    idea,
    suits: ({ workgroupBytes }, { M, N, batches }) =>
      Math.max(batches, M / tile, N / tile) <= 65535 && workgroupBytes >= (side === 1 ? 4352 : 16640),
    fusesGelu: true,
    sumsRows: true,
    fastOn: "gpu",
    compute(task) {
      const { M, N, K, a, b, splits = splitsFor(device().adapter, task, tile) } = task;
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

/**
 * Whether a workgroup may have the invocations and the memory that this tuning takes (tiles of A and B, a matrix of each subgroup, in which its
 * invocations have room for a vector each), and whether both tiles, and a subgroup's part of each, are whole blocks of two steps of matrices.
 */
function matricesFit(adapter: AdapterInfo, tuning: MatrixTuning): boolean {
  const { subgroupMatrix, workgroupInvocations, workgroupBytes } = adapter;
  if (!subgroupMatrix || subgroupMatrix.problem) return false;
  const { INVOCATIONS, rows, cols } = matrixTile(adapter, tuning);
  const { M, N, K } = subgroupMatrix;
  const matrix = (side: number) => 8 * Math.max(side * (K / 4 + 2), K * (side / 4 + 2)); // bytes, as matmul-subgroup-matrix.wgsl pads them
  const bytes =
    2 * ((rows / M) * matrix(M) + (cols / N) * matrix(N)) + 4 * tuning.SUBGROUPS_M * tuning.SUBGROUPS_N * M * N;
  const lines = INVOCATIONS / (K / 2); // that all invocations copy at once
  const whole = rows % lines === 0 && cols % lines === 0 && (ROWS * M) % (2 * K) === 0 && (COLS * N) % (2 * K) === 0;
  return (
    INVOCATIONS <= workgroupInvocations && bytes <= workgroupBytes && whole && M * N >= 4 * adapter.subgroupSize[1]
  );
}

/** Products by matrix units; `halves`: of f16 copies. `code` is for tests, which run the kernel where there are none. */
export function subgroupMatrix(
  name: string,
  tuning: MatrixTuning,
  { idea = "", halves = false, code = subgroupMatrixCode }: { idea?: string; halves?: boolean; code?: string } = {},
): Unnamed<MatmulRung> {
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
      if (!halves) kernels.rowSums = replaceFunction(kernels.plain, "add_up_rows", rowSumsMatrixCode);
      made.set(adapter, kernels);
    }
    return kernels;
  };
  return {
    kernel: `matmul-subgroup-matrix ${name}`,
    idea,
    suits: (adapter, { M, N, batches, precision }) =>
      precision === "f16" && Math.max(batches, M / 16, N / 16) <= 65535 && matricesFit(adapter, tuning),
    fusesGelu: true,
    ...(!halves && { sumsRows: true }),
    fastOn: "gpu",
    compute(task) {
      const { adapter } = device();
      check(adapter.subgroupMatrix, "matmul-subgroup-matrix: this adapter offers no subgroup matrices of f16.");
      const { a, b, M, N, K } = task;
      const overrides = {
        A_TRANSPOSED: Number(a.transposed),
        B_TRANSPOSED: Number(b.transposed),
        ALIGNED: Number(aligned(a, a.transposed ? M : K) && aligned(b, b.transposed ? K : N)),
        WHOLE: Number(K % (2 * adapter.subgroupMatrix.K) === 0),
      };
      const params = { ...sizesOf(task), ...placesOf(task) };
      const { rows, cols } = matrixTile(adapter, tuning);
      const splits = task.splits ?? splitsFor(adapter, task, Math.sqrt(rows * cols));
      const copies = halves ? { a: inHalves(a.tensor), b: inHalves(b.tensor) } : undefined;
      const how = { tensors: { ...bindings(task), ...copies }, params, overrides, rows, cols, splits };
      let kernels = kernelsFor(adapter);
      if (task.rowSums && kernels.rowSums) {
        const bands = rows / (2 * adapter.subgroupMatrix.K); // as row-sums-matrix.wgsl has them
        const BANDS_EACH = ceilDiv(bands, ceilDiv(N, cols));
        kernels = { ...kernels, rowSums: specialize(kernels.rowSums, { BANDS_EACH }) };
      }
      computeTiles(kernels, task, how);
      copies?.a.dispose();
      copies?.b.dispose();
    },
  };
}

const inHalves = (x: Tensor): Tensor => cast.definition.forward(x, "f16").output;

/** Tries the rungs that use matrix units. @throws where one computes wrongly */
async function tryMatrixUnits(): Promise<void> {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulLadder.rungs;
  const one = { transposeA: false, transposeB: false, M: 33, N: 35, K: 37 };
  // Forms differ in their loads, sizes only in counts: all forms are tried with the largest tiles that fit, one with the others.
  let tried = forms;
  for (const rung of [matrixLarge, matrixMedium, matrixSmall]) {
    if (!rung.suits(device().adapter, { ...one, batches: 1, precision: "f16" })) continue;
    await tryMatmul(rung, tried);
    tried = tried === forms ? forms.slice(-1) : [one];
  }
}

trials.resident = { name: "resident", code: residentCode, run: () => countResident() };
trials.subgroupMatrix = { name: "matrix-units", code: subgroupMatrixCode, run: tryMatrixUnits };
