import { check } from "../../errors.ts";
import { device } from "../../runtime/init.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import type { Drop } from "../dropout/draw.ts";
import { applyDrop } from "../dropout/dropout.ts";
import { lanesOf } from "../lanes.ts";
import { choose } from "./choose.ts";
import { widthOf, type NormTask } from "./ladder.ts";
import weightBackwardCode from "./norm-weight-backward.wgsl";
import weightSumCode from "./norm-weight-sum.wgsl";

const weightBackwardKernel = kernel("ops/norm/norm-weight-backward.wgsl", weightBackwardCode);
const weightSumKernel = kernel("ops/norm/norm-weight-sum.wgsl", weightSumCode);

/** What layer norm, layer norm of a sum and RMS norm have in common: the tensors, and how rows are normalized. */
export interface Norm {
  x: Tensor;
  residual?: Tensor;
  weight?: Tensor | undefined;
  bias?: Tensor | undefined;
  /** Elements in a row. */
  cols: number;
  /** Whether the mean is taken off: layer norm does, RMS norm doesn't. */
  center: boolean;
  /** Dropout: of x with a residual, else of y. */
  drop?: Drop | undefined;
}

/** What backward needs: what was normalized, and of each row the mean, what rounding left of it, and 1/√(variance + eps). */
export interface SavedNorm {
  /** x, or x + residual. */
  h: Tensor;
  weight: Tensor | undefined;
  cols: number;
  center: boolean;
  stats: Tensor;
  /** Dropout of x. */
  drop: Drop | undefined;
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

/** Kernels draw random numbers for four elements at once; other rows get their dropout in a pass of its own, with the same result. */
const dropsInside = (cols: number): boolean => cols % 4 === 0;

const compute = (task: NormTask): void => choose(task).compute(task);

/** Normalizes the rows of x, or of x + residual. */
export function normalize(norm: Norm, eps: number): { y: Tensor; saved: SavedNorm } {
  const { residual, weight, bias, cols, center } = norm;
  const drop = dropsInside(cols) ? norm.drop : undefined;
  const apart = norm.drop && !drop ? norm.drop : undefined;
  const x = apart && residual ? applyDrop(norm.x, apart) : norm.x;
  const rows = cols === 0 ? 0 : x.size / cols;
  const y = empty(x.shape);
  const stats = empty([rows, 4]);
  const h = empty(residual ? x.shape : [0]);
  const tensors = { x, residual: residual ?? x, weight: weight ?? x, bias: bias ?? x, h, y, stats };
  const task = {
    ...({ pass: "forward", rows, cols, eps, center, drop } as const),
    ...{ residual: !!residual, weight: !!weight, bias: !!bias },
  };
  compute({ ...task, tensors });
  const saved = { h: residual ? h : x, weight, cols, center, stats, drop: residual && norm.drop };
  return { y: apart && !residual ? applyDrop(y, apart) : y, saved };
}

/** dh, the gradient of what was normalized, so of the residual; and dx, which is the same unless x had dropout. */
export function inputGradient(saved: SavedNorm, dy: Tensor): { dx: Tensor; dh: Tensor } {
  const { h, weight, cols, center, stats } = saved;
  const drop = dropsInside(cols) ? saved.drop : undefined;
  const rows = stats.shape[0]!;
  const dh = empty(h.shape);
  const dx = empty(drop ? h.shape : [0]);
  const task = {
    ...({ pass: "backward", rows, cols, eps: 0, center, drop } as const),
    ...{ residual: false, weight: !!weight, bias: false },
  };
  compute({ ...task, tensors: { dy, h, weight: weight ?? h, stats, dh, dx } });
  return { dx: drop ? dx : saved.drop ? applyDrop(dh, saved.drop) : dh, dh };
}

/** dweight and dbias, by sums over blocks of rows. */
export function weightGradients({ h, cols, stats }: SavedNorm, dy: Tensor, shape: Shape) {
  const rows = stats.shape[0]!;
  // Much work side by side for a GPU; for a CPU none of the workgroup memory that joins it.
  const [WIDE, DEEP] = [32, device().adapter.cpu ? 1 : 8];
  const overrides = { WIDE, DEEP };
  const width = widthOf(cols);
  const blocks = Math.min(Math.max(64, Math.ceil(Math.sqrt(rows))), ceilDiv(rows, 4 * DEEP)); // few rows for each invocation
  const partial = empty([blocks, 2, cols]);
  run(
    specialize(weightBackwardKernel, lanesOf(width)),
    { dy, h, stats, partial },
    { rows, cols, rows_per_block: ceilDiv(rows, blocks) },
    { workgroups: [ceilDiv(cols / width, WIDE), blocks], overrides },
  );
  const gradients = { weight: empty(shape), bias: empty(shape) };
  run(
    weightSumKernel,
    { partial, dweight: gradients.weight, dbias: gradients.bias },
    { cols, blocks },
    { workgroups: ceilDiv(2 * cols, WIDE), overrides },
  );
  return gradients;
}

/** The gradients that are needed: of x, of a residual, and of weight and bias, which come together. */
export function normGradients(
  saved: SavedNorm,
  shape: Shape,
  dy: Tensor,
  needs: { x: boolean; residual: boolean; weight: boolean; bias: boolean },
): { x: Tensor | undefined; residual: Tensor | undefined; weight: Tensor | undefined; bias: Tensor | undefined } {
  const { dx, dh } = needs.x || needs.residual ? inputGradient(saved, dy) : {};
  const { weight, bias } = needs.weight || needs.bias ? weightGradients(saved, dy, shape) : {};
  return { x: dx, residual: dh, weight, bias };
}
