import { check } from "../../errors.ts";
import { device } from "../../runtime/device.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import rowsBackwardCode from "./norm-rows-backward.wgsl";
import rowsCode from "./norm-rows.wgsl";
import weightBackwardCode from "./norm-weight-backward.wgsl";
import workgroupBackwardCode from "./norm-workgroup-backward.wgsl";
import workgroupCode from "./norm-workgroup.wgsl";
import sumBlocksCode from "./sum-blocks.wgsl";

const rowsKernel = kernel("ops/norm/norm-rows.wgsl", rowsCode);
const rowsBackwardKernel = kernel("ops/norm/norm-rows-backward.wgsl", rowsBackwardCode);
const workgroupKernel = kernel("ops/norm/norm-workgroup.wgsl", workgroupCode);
const workgroupBackwardKernel = kernel("ops/norm/norm-workgroup-backward.wgsl", workgroupBackwardCode);
const weightBackwardKernel = kernel("ops/norm/norm-weight-backward.wgsl", weightBackwardCode);
const sumBlocksKernel = kernel("ops/norm/sum-blocks.wgsl", sumBlocksCode);

/** What layer norm, layer norm of a sum and RMS norm have in common: the tensors, and how rows are normalized. */
interface Norm {
  x: Tensor;
  residual?: Tensor;
  weight?: Tensor | undefined;
  bias?: Tensor | undefined;
  /** Elements in a row. */
  cols: number;
  /** Whether the mean is taken off: layer norm does, RMS norm doesn't. */
  center: boolean;
}

/** What backward needs: what was normalized, and of each row the mean, what rounding left of it, and 1/√(variance + eps). */
export interface SavedNorm {
  /** x, or x + residual. */
  h: Tensor;
  weight: Tensor | undefined;
  cols: number;
  center: boolean;
  stats: Tensor;
}

/** Elements of `normalizedShape`, which has to be the end of x's shape. */
export function rowLength(op: string, x: Tensor, normalizedShape: Shape): number {
  const end = x.shape.slice(x.rank - normalizedShape.length);
  check(
    normalizedShape.length >= 1 && normalizedShape.length <= x.rank && sameShape(end, normalizedShape),
    () => `${op}: normalizedShape ${showShape(normalizedShape)} is not the end of x's shape ${showShape(x.shape)}.`,
  );
  return sizeOf(normalizedShape);
}

/** Throws unless `tensor` has one element for each of a row's. */
export function checkRow(op: string, name: string, tensor: Tensor | undefined, normalizedShape: Shape): void {
  check(
    !tensor || sameShape(tensor.shape, normalizedShape),
    () =>
      `${op}: ${name} is ${showShape(tensor!.shape)}, but rows of ${showShape(normalizedShape)} are normalized. ` +
      `Give it that shape.`,
  );
}

/** Normalizes the rows of x, or of x + residual. */
export function normalize(norm: Norm, eps: number): { y: Tensor; saved: SavedNorm } {
  const { x, residual, weight, bias, cols, center } = norm;
  const rows = cols === 0 ? 0 : x.size / cols;
  const y = empty(x.shape);
  const stats = empty([rows, 4]);
  const sum = empty(residual ? x.shape : [0]);
  const overrides = { CENTER: +center, RESIDUAL: +!!residual, WEIGHT: +!!weight, BIAS: +!!bias };
  const tensors = { x, residual: residual ?? x, weight: weight ?? x, bias: bias ?? x, sum, y, stats };
  runRows({ rows: rowsKernel, workgroup: workgroupKernel }, tensors, { rows, cols, eps }, overrides);
  return { y, saved: { h: residual ? sum : x, weight, cols, center, stats } };
}

/** dx, the same for x and residual. */
export function inputGradient({ h, weight, cols, center, stats }: SavedNorm, dy: Tensor): Tensor {
  const rows = stats.shape[0]!;
  const dx = empty(h.shape);
  const overrides = { CENTER: +center, WEIGHT: +!!weight };
  const tensors = { dy, h, weight: weight ?? h, stats, dx };
  runRows({ rows: rowsBackwardKernel, workgroup: workgroupBackwardKernel }, tensors, { rows, cols }, overrides);
  return dx;
}

/** dweight and dbias, by sums over blocks of rows. */
export function weightGradients({ h, cols, stats }: SavedNorm, dy: Tensor, shape: Shape) {
  const rows = stats.shape[0]!;
  const rowsPerBlock = Math.max(1, Math.ceil(Math.sqrt(rows)));
  const blocks = Math.ceil(rows / rowsPerBlock);
  const partial = { dweight: empty([blocks, cols]), dbias: empty([blocks, cols]) };
  run(
    atWidth(weightBackwardKernel, cols),
    { dy, h, stats, ...partial },
    { rows, cols, blocks, rows_per_block: rowsPerBlock },
    { threads: (blocks * cols) / widthOf(cols) },
  );
  const sumBlocks = (sums: Tensor): Tensor => {
    const total = empty(shape);
    run(sumBlocksKernel, { partial: sums, total }, { blocks, cols }, { threads: cols });
    return total;
  };
  return { weight: sumBlocks(partial.dweight), bias: sumBlocks(partial.dbias) };
}

/** An invocation per row on a CPU, and where rows are short; else a workgroup per row. */
function runRows(
  kernels: { rows: Kernel; workgroup: Kernel },
  tensors: Record<string, Tensor>,
  params: { rows: number; cols: number; eps?: number },
  overrides: Record<string, number>,
): void {
  const { rows, cols } = params;
  if (device().adapter.cpu || cols < 32) {
    run(atWidth(kernels.rows, cols), tensors, params, { threads: rows, overrides });
  } else {
    const SIZE = cols <= 1024 ? 64 : 256; // an invocation then reads a few vec4s
    run(atWidth(kernels.workgroup, cols), tensors, params, { workgroups: rows, overrides: { ...overrides, SIZE } });
  }
}

/** Elements that kernels read at once: four where rows are whole vec4s. */
const widthOf = (cols: number): number => (cols % 4 === 0 ? 4 : 1);

const atWidth = (base: Kernel, cols: number): Kernel =>
  widthOf(cols) === 4 ? base : specialize(base, { Lanes: "f32", WIDTH: 1 });
