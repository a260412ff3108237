import type { ComputeType } from "../../autocast.ts";
import type { Params } from "../../runtime/kernel.ts";
import type { Tensor } from "../../tensor.ts";
import type { UnaryFunction } from "../elementwise/apply.ts";
import type { Rung } from "../ladder.ts";

// What a product is, and how its kernels are given it.

/** Matrices in a tensor: where the first begins, and how far on the next, in elements. */
export interface Matrices {
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
  /** What B is kept in, for kernels that read it so. */
  stored: Stored | undefined;
  /** [N]: what the columns of B are multiplied by, where it is kept in 8 bits. */
  scale: Tensor | undefined;
  /** Asked only of kernels that fuse it. */
  gelu: Gelu | undefined;
  /** [M]: Σ over k of op(A), which is transposed; likewise. */
  rowSums?: Tensor | undefined;
  /** In how many parts k is taken, by rungs that can; by their own rule unless given. */
  splits?: number | undefined;
}

export type MatmulSizes = Pick<MatmulTask, "M" | "N" | "K" | "batches" | "precision">;

/** Weights in fewer bits: f16, or 8 bits with a scale for each column of C. */
export type Stored = "f16" | "i8";

export interface MatmulRung extends Rung<MatmulSizes, MatmulTask> {
  /** Whether it can write gelu(C) along with C; for the others that is a pass of its own. */
  readonly fusesGelu: boolean;
  /** Whether it can add up the rows of op(A) beside a product, of one matrix whose rows are whole vectors; `"f32"`: where they aren't rounded. */
  readonly sumsRows?: true | "f32";
  /** Whether it reads weights that are kept in 16 or 8 bits as they are. */
  readonly readsStored?: true;
  /** Where it may be the fastest, so that `pnpm tune` tries it: on GPUs also with k in parts. */
  readonly fastOn?: "cpu" | "gpu";
}

/** Parameters of the kernels that read A and B where they are, transposed or not: a matter of strides. */
export const inPlace = (task: MatmulTask): Params => ({
  ...sizesOf(task),
  batches: task.batches,
  ...stridesOf(task),
  ...placesOf(task),
});

export const sizesOf = ({ M, N, K }: MatmulTask): Params => ({ M, N, K });

export const stridesOf = ({ M, N, K, a, b }: MatmulTask): Params => ({
  ...{ a_row: a.transposed ? 1 : K, a_col: a.transposed ? M : 1 },
  ...{ b_row: b.transposed ? 1 : N, b_col: b.transposed ? K : 1 },
});

export function placesOf({ a, b, c, bias, accumulate }: MatmulTask): Params {
  return {
    ...{ a_first: a.first, b_first: b.first, c_first: c.first, a_step: a.step, b_step: b.step, c_step: c.step },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
}

/** The override that rounds A and B as they are read. */
export const rounding = ({ precision }: MatmulTask): Record<string, number> => ({ F16: Number(precision === "f16") });

/** The tensors of a task by the names of the bindings; a missing bias is never read. */
export function bindings({ a, b, c, bias }: MatmulTask): Record<string, Tensor> {
  return { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
}

/** Whether what lies together begins at, and is as long as, a multiple of four elements. */
export const aligned = (x: Matrices, length: number): boolean => [length, x.first, x.step].every((n) => n % 4 === 0);

/** Whether B can be read where it is, four steps of k at a time. */
export const isInPlace = ({ b, K }: MatmulTask): boolean => b.transposed && aligned(b, K);
