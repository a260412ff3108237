import { check } from "./errors.ts";

/** Sizes of the dimensions, outermost first; `[]` is a scalar. Tensors are row-major and contiguous. */
export type Shape = readonly number[];

/** Number of elements: the product of the dimensions, 1 for a scalar. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

/** `[8,128,768]`: how messages show shapes. */
export const showShape = (shape: Shape): string => `[${shape.join(",")}]`;

/** Whether two shapes are equal. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** Steps between neighbours of each dimension, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** The dimension that `dim` means: negative ones count from the end. Throws when there is no such dimension. */
export function resolveDim(op: string, dim: number, rank: number): number {
  const limit = Math.max(rank, 1); // PyTorch lets a scalar be addressed as if it had one dimension
  check(
    Number.isInteger(dim) && dim >= -limit && dim < limit,
    () => `${op}: dim ${dim} is out of range for a tensor of ${rank} dimensions: it may be ${-limit} to ${limit - 1}.`,
  );
  return dim < 0 ? dim + limit : dim;
}

/** The common shape of broadcasting (NumPy's rule): align at the right; sizes must be equal, or one of them 1. */
export function broadcastShapes(op: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const offset = rank - shape.length;
    shape.forEach((n, i) => {
      const at = offset + i;
      const have = result[at]!;
      check(
        n === have || n === 1 || have === 1,
        () =>
          `${op}: shapes don't broadcast: ${shapes.map(showShape).join(" and ")}. ` +
          `Aligned at the right, sizes have to be equal or 1 (${have} meets ${n}).`,
      );
      if (n !== 1) result[at] = n;
    });
  }
  return result;
}

/** Strides of `shape` seen as `target`: 0 where a dimension is broadcast, so that one index formula serves all. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const strides = stridesOf(shape);
  const offset = target.length - shape.length;
  return target.map((_, i) => (i < offset || shape[i - offset] === 1 ? 0 : strides[i - offset]!));
}

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
