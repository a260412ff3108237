import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, stridesOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { sum } from "../reduce/sum.ts";
import { copyView, viewOf, type View } from "./copy.ts";

/** Which diagonal (0 the main one, 1 the next above it), and of which dimensions. */
export interface DiagonalOptions {
  offset?: number | undefined;
  dim1?: number | undefined;
  dim2?: number | undefined;
}

const takes = { x: "tensor", options: { offset: "index?", dim1: "dim?", dim2: "dim?" } } as const;

/** The diagonals of two dimensions of `shape`: as a view of it, with the diagonal as the last dimension. */
function diagonalView(
  op: string,
  shape: Shape,
  { offset = 0, dim1 = 0, dim2 = 1 }: DiagonalOptions,
): { view: View; shape: number[] } {
  const [rows, columns] = [resolveDim(op, dim1, shape.length), resolveDim(op, dim2, shape.length)];
  check(
    shape.length >= 2 && rows !== columns,
    () => `${op}: dimensions ${dim1} and ${dim2} of ${showShape(shape)} don't make a matrix.`,
  );
  const strides = stridesOf(shape);
  const [down, right] = [strides[rows]!, strides[columns]!];
  const length = Math.min(shape[rows]! - Math.max(0, -offset), shape[columns]! - Math.max(0, offset));
  const others = [...shape.keys()].filter((d) => d !== rows && d !== columns);
  return {
    shape: [...others.map((d) => shape[d]!), Math.max(0, length)],
    view: {
      offset: offset >= 0 ? offset * right : -offset * down,
      strides: [...others.map((d) => strides[d]!), down + right],
    },
  };
}

/** Copies the diagonals of x out. */
function takeDiagonal(x: Tensor, { view, shape }: { view: View; shape: Shape }): Tensor {
  const y = empty(shape, x.dtype);
  copyView(shape, x, view, y, viewOf(shape));
  return y;
}

/** A tensor of `whole` that has x on its diagonals, and zeros around them. */
function putDiagonal(x: Tensor, whole: Shape, view: View): Tensor {
  const y = zeros(whole, { dtype: x.dtype });
  copyView(x.shape, x, viewOf(x.shape), y, view);
  return y;
}

/**
 * The diagonals of the matrices in dimensions `dim1` and `dim2` (0 and 1), as a new last dimension. Any dtype of 32 bits. A copy.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diagonal.html
 */
export const diagonal = defineOp("diagonal", {
  takes,
  forward(x: Tensor, options: DiagonalOptions = {}) {
    const diagonals = diagonalView("diagonal", x.shape, options);
    return { output: takeDiagonal(x, diagonals), inputs: { x }, saved: { shape: x.shape, view: diagonals.view } };
  },
  backward: ({ shape, view }, dy) => ({ x: putDiagonal(dy, shape, view) }),
});

/**
 * Matrices, in new dimensions `dim1` and `dim2` (the last two) of the result, with the last dimension of x on a diagonal and zeros
 * elsewhere. Any dtype of 32 bits.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diag_embed.html
 */
export const diagEmbed = defineOp("diagEmbed", {
  takes,
  forward(x: Tensor, { offset = 0, dim1 = -2, dim2 = -1 }: DiagonalOptions = {}) {
    check(x.rank > 0, () => "diagEmbed: a scalar has no dimension to put on a diagonal.");
    const rank = x.rank + 1;
    const size = x.shape.at(-1)! + Math.abs(offset);
    const [rows, columns] = [resolveDim("diagEmbed", dim1, rank), resolveDim("diagEmbed", dim2, rank)];
    const others = x.shape.slice(0, -1);
    const whole = Array.from({ length: rank }, (_, d) => (d === rows || d === columns ? size : others.shift()!));
    const { view } = diagonalView("diagEmbed", whole, { offset, dim1: rows, dim2: columns });
    return { output: putDiagonal(x, whole, view), inputs: { x }, saved: { view, shape: x.shape } };
  },
  backward: (diagonals, dy) => ({ x: takeDiagonal(dy, diagonals) }),
});

/** Of a vector, the matrix that has it on its diagonal; of a matrix, that diagonal. `diagonal` says which: 0 is the main one. */
export const diag = checked(
  "diag",
  { x: "tensor", options: { diagonal: "index?" } },
  (x: Tensor, { diagonal: offset = 0 }: { diagonal?: number } = {}): Tensor => {
    check(x.rank === 1 || x.rank === 2, () => `diag: ${showShape(x.shape)} is neither a vector nor a matrix.`);
    return x.rank === 1 ? diagEmbed(x, { offset }) : diagonal(x, { offset });
  },
);

/** The sum of a matrix's diagonal. */
export const trace = checked("trace", { x: "tensor" }, (x: Tensor): Tensor => {
  check(x.rank === 2, () => `trace: ${showShape(x.shape)} is not a matrix.`);
  return sum(diagonal(x));
});
