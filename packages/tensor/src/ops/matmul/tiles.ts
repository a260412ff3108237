import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize, type Kernel, type Params } from "../../runtime/kernel.ts";
import type { Image } from "../../runtime/pool.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnary } from "../elementwise/apply.ts";
import { lanesOf } from "../lanes.ts";
import storeGeluCode from "./epilogue-gelu-store.wgsl";
import geluCode from "./epilogue-gelu.wgsl";
import sumCode from "./matmul-sum.wgsl";
import workgroupTileCode from "./matmul-workgroup-tile.wgsl";
import addRowSumsCode from "./row-sums-add.wgsl";
import { aligned, bindings, inPlace, rounding, type MatmulSizes, type MatmulTask } from "./task.ts";

// How the kernels that make tiles of C are started: with an epilogue or without, of packed operands, with k in parts.

const sumKernel = kernel("ops/matmul/matmul-sum.wgsl", sumCode);
const sumWithRowsKernel = replaceFunction(sumKernel, "add_row_sums", addRowSumsCode);
const workgroupTileKernel = kernel("ops/matmul/matmul-workgroup-tile.wgsl", workgroupTileCode);

/** A kernel as it stores C, and if it can as it stores C and gelu(C), or C and the sums of op(A)'s rows. */
export interface Epilogues {
  plain: Kernel;
  gelu?: Kernel;
  rowSums?: Kernel;
}

/** A kernel with its own `store()`, and with that of epilogue-gelu.wgsl in its place. Two pipelines, for what is written needs a buffer. */
export function withEpilogues(file: string, code: string, storeGelu = storeGeluCode): Epilogues {
  const plain = kernel(file, code);
  return { plain, gelu: replaceFunction(plain, "store", geluCode + storeGelu) };
}

/** Starts the kernel with the epilogue that is asked for. */
export function start(
  { plain, gelu: fused, rowSums: summing }: Epilogues,
  { gelu, rowSums }: Pick<MatmulTask, "gelu" | "rowSums">,
  tensors: Record<string, Tensor | Image>,
  params: Params,
  { workgroups, overrides }: { workgroups: readonly [number, number, number]; overrides?: Record<string, number> },
): void {
  if (summing && rowSums)
    return run(summing, { ...tensors, row_sums: rowSums }, params, { workgroups, overrides: { ...overrides } });
  if (!fused || !gelu) return run(plain, tensors, params, { workgroups, overrides: { ...overrides } });
  const made = specialize(fused, { TANH: String(gelu.fn === "gelu_tanh") });
  run(made, { ...tensors, y: gelu.y }, params, { workgroups, overrides: { ...overrides } });
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
  const { M, N, K, batches, c, bias, accumulate, gelu, rowSums } = task;
  const { tensors, overrides, rows, cols, splits } = how;
  const chunk = 32 * ceilDiv(K, 32 * splits); // whole steps of every such kernel
  const launch = { workgroups: [ceilDiv(N, cols), ceilDiv(M, rows), batches * splits] as const, overrides };
  const params = { ...how.params, splits, chunk };
  if (splits === 1 && aligned(c, N)) return start(kernels, task, tensors, params, launch);

  // Parts of the sums, or rows that don't begin at whole vectors: by way of a workspace, where they do.
  const width = 4 * ceilDiv(N, 4);
  if (4 * batches * splits * M * width > device().gpu.limits.maxStorageBufferBindingSize)
    return splits > 1 ? computeTiles(kernels, task, { ...how, splits: 1 }) : computeWorkgroupTile(task);
  const parts = empty([batches, splits, M, width]);
  const plain = { ...params, c_first: 0, c_step: M * width, bias: 0, accumulate: 0 };
  const rowParts = rowSums && empty([splits, M]);
  start(kernels, { gelu: undefined, rowSums: rowParts }, { ...tensors, c: parts }, plain, launch);
  const sums = {
    ...{ M, N, batches, splits, c_first: c.first, c_step: c.step },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
  const lanes = aligned(c, N) ? 4 : 1;
  const threads = (batches * M * N) / lanes;
  const ofRows = rowParts && { row_parts: rowParts, row_sums: rowSums };
  const sum = specialize(ofRows ? sumWithRowsKernel : sumKernel, lanesOf(lanes));
  run(sum, { parts, bias: bias ?? parts, c: c.tensor, ...ofRows }, sums, { threads });
  parts.dispose();
  rowParts?.dispose();
  if (gelu) applyUnary(gelu.fn, c.tensor, undefined, gelu.y);
}

/** Invocations that fill a large GPU, 512 for each of 128 cores: where they aren't counted. WebGPU doesn't say how large a GPU is. */
const ENOUGH = 512 * 128;

/** What a workgroup does besides its steps of k, as so many of them: begin, and store its tile. */
const ASIDE = 64;

/** What a part of a tile costs to write and to read again, likewise: an H200 multiplies f16 four times as fast as f32, and memory stays the same. */
const PART = { f16: 200, f32: 50 };

/** Workgroups for a product with square tiles of this side, of whose elements each invocation has 64. */
export const tilesOf = ({ M, N, batches }: MatmulSizes, side: number): number =>
  ceilDiv(M, side) * ceilDiv(N, side) * batches;

/** How many workgroups for square tiles of this side are at work at once. */
export const workgroupsAtOnce = (
  { residentInvocations = ENOUGH }: Pick<AdapterInfo, "residentInvocations">,
  side: number,
): number => Math.max(1, Math.round(residentInvocations / ((side * side) / 64)));

/**
 * In how many parts k is taken, for weight gradients are small and sum over all tokens: as many as take the least time, by waves of the
 * workgroups that are at work at once. Not where whole tiles leave less than a third of the places empty; parts have to gain a tenth, and to have
 * at least four times as many steps as the tile has rows.
 */
export function splitsFor(adapter: Pick<AdapterInfo, "residentInvocations">, sizes: MatmulSizes, side: number): number {
  const tiles = tilesOf(sizes, side);
  const places = workgroupsAtOnce(adapter, side);
  if (tiles / places >= 0.7 * Math.ceil(tiles / places)) return 1;
  const time = (splits: number): number => {
    const share = (tiles * splits) / places;
    return Math.ceil(share) * (sizes.K / splits + ASIDE) + (splits > 1 ? share * PART[sizes.precision] : 0);
  };
  const most = Math.min(Math.floor(sizes.K / (4 * side)), 4 * Math.ceil(places / tiles)); // what is beyond four waves gains nothing
  let best = 1;
  let least = 0.9 * time(1);
  for (let splits = 2; splits <= most; splits++) {
    if (time(splits) >= least) continue;
    best = splits;
    least = time(splits);
  }
  return best;
}
