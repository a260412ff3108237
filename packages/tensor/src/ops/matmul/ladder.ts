import { cpuRungs, matrixRungs } from "#matmul-rungs";
import { device, trials } from "../../runtime/init.ts";
import { kernel, replaceFunction } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ladder, type Unnamed } from "../ladder.ts";
import storeGeluVectorsCode from "./epilogue-gelu-store-vectors.wgsl";
import dotsCode from "./matmul-dots.wgsl";
import naiveCode from "./matmul-naive.wgsl";
import tiledCode from "./matmul-tiled.wgsl";
import { countResident, residentCode } from "./resident.ts";
import rowSumsTiledCode from "./row-sums-tiled.wgsl";
import { aligned, bindings, inPlace, placesOf, rounding, sizesOf, stridesOf, type MatmulRung } from "./task.ts";
import { computeTiles, computeWorkgroupTile, splitsFor, withEpilogues, type Epilogues } from "./tiles.ts";

const naiveKernel = kernel("ops/matmul/matmul-naive.wgsl", naiveCode);
const dotsKernel = kernel("ops/matmul/matmul-dots.wgsl", dotsCode);
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
  ...cpuRungs,
  ...matrixRungs,
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

trials.resident = { name: "resident", code: residentCode, run: () => countResident() };
