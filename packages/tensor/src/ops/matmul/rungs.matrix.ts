import { check } from "../../errors.ts";
import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device, trials } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize } from "../../runtime/kernel.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import type { Unnamed } from "../ladder.ts";
import type * as Codes from "./codes.matrix.ts";
import storeGeluVectorsCode from "./epilogue-gelu-store-vectors.wgsl";
import { aligned, bindings, placesOf, sizesOf, type MatmulRung } from "./task.ts";
import { computeTiles, splitsFor, withEpilogues, type Epilogues } from "./tiles.ts";
import { forms, tryMatmul } from "./trial.ts";

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

/** Products by matrix units; `halves`: of f16 copies. */
export function subgroupMatrix(
  { subgroupMatrix: code, rowSums: rowSumsCode }: typeof Codes,
  name: string,
  tuning: MatrixTuning,
  { idea = "", halves = false }: { idea?: string; halves?: boolean } = {},
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
      if (!halves) kernels.rowSums = replaceFunction(kernels.plain, "add_up_rows", rowSumsCode);
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

/**
 * For products of f16, on GPUs that have matrix units. Tiles are as large as said where a matrix is 16 × 16. They are tried when a device starts.
 */
export function matrixRungs(codes: typeof Codes) {
  const rungs = {
    matrixSmall: subgroupMatrix(codes, "small", { SUBGROUPS_M: 1, SUBGROUPS_N: 2 }, { idea: "matrix units: a subgroup multiplies whole matrices, tiles of 64 × 64" }), // prettier-ignore
    matrixMedium: subgroupMatrix(codes, "medium", { SUBGROUPS_M: 2, SUBGROUPS_N: 2 }, { idea: "tiles of 128 × 64" }),
    matrixLarge: subgroupMatrix(codes, "large", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }, { idea: "tiles of 128 × 128" }),
    // Not chosen by rule: an H200 gains 3 %, less than the pass costs that makes the copies.
    matrixHalves: subgroupMatrix(codes, "large, halves", { SUBGROUPS_M: 2, SUBGROUPS_N: 4 }, { idea: "of operands copied to f16 first: half the bytes for each read", halves: true }), // prettier-ignore
  };
  trials.subgroupMatrix = { name: "matrix-units", code: codes.subgroupMatrix, run: () => tryMatrixUnits(rungs) };
  return rungs;
}

type MatrixRungs = Record<"matrixSmall" | "matrixMedium" | "matrixLarge", Unnamed<MatmulRung>>;

/** Tries the rungs that are chosen by rule. @throws where one computes wrongly */
async function tryMatrixUnits({ matrixSmall, matrixMedium, matrixLarge }: MatrixRungs): Promise<void> {
  const one = { transposeA: false, transposeB: false, M: 33, N: 35, K: 37 };
  // Forms differ in their loads, sizes only in counts: all forms are tried with the largest tiles that fit, one with the others.
  let tried = forms;
  for (const rung of [matrixLarge, matrixMedium, matrixSmall]) {
    if (!rung.suits(device().adapter, { ...one, batches: 1, precision: "f16" })) continue;
    await tryMatmul(rung, tried);
    tried = tried === forms ? forms.slice(-1) : [one];
  }
}
