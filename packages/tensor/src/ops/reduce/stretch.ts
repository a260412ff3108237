import { check } from "../../errors.ts";
import { resolveDim, showShape, sizeOf, type Shape } from "../../shape.ts";

/** Which dimensions an op reduces, and whether they stay with size 1; all of them unless said otherwise. */
export interface ReduceOptions {
  dim?: number | readonly number[] | undefined;
  keepdim?: boolean | undefined;
}

/** The arguments of an op that reduces. */
export const reduceTakes = { x: "tensor", options: { dim: "dim|dims?", keepdim: "boolean?" } } as const;

/** What `dim` means for a shape. */
export interface Reduction {
  /** The reduced dimensions, ascending. */
  dims: number[];
  /** The shape with the reduced dimensions of size 1. */
  kept: number[];
  /** The result's shape. */
  shape: number[];
  /** Elements that one element of the result is made of. */
  count: number;
}

/** Resolves `dim` and `keepdim`. No `dim`, or an empty list, means all dimensions, as in PyTorch. */
export function reductionOf(op: string, shape: Shape, { dim, keepdim = false }: ReduceOptions): Reduction {
  const asked = dim === undefined ? [] : typeof dim === "number" ? [dim] : dim;
  const resolved = asked.map((d) => resolveDim(op, d, shape.length));
  check(
    new Set(resolved).size === resolved.length,
    () => `${op}: dim ${JSON.stringify(dim)} names a dimension of ${showShape(shape)} twice.`,
  );
  const all = shape.map((_, i) => i);
  const dims = (asked.length === 0 ? all : resolved.filter((d) => d < shape.length)).sort((a, b) => a - b);
  const kept = shape.map((n, i) => (dims.includes(i) ? 1 : n));
  return {
    dims,
    kept,
    shape: keepdim ? kept : shape.filter((_, i) => !dims.includes(i)),
    count: dims.reduce((product, d) => product * shape[d]!, 1),
  };
}

/** Lines of n elements, `inner` apart: a shape seen as [outer, n, inner]. */
export interface Lines {
  outer: number;
  n: number;
  inner: number;
}

/** Stretches of dimensions that lie next to each other, the innermost first: each is one reduction of lines. */
export function stretches(shape: Shape, dims: readonly number[]): Lines[] {
  const sizes = [...shape];
  const found: Lines[] = [];
  for (let last = dims.length - 1; last >= 0;) {
    let first = last;
    while (first > 0 && dims[first - 1] === dims[first]! - 1) first--;
    const [from, to] = [dims[first]!, dims[last]! + 1];
    found.push({
      outer: sizeOf(sizes.slice(0, from)),
      n: sizeOf(sizes.slice(from, to)),
      inner: sizeOf(sizes.slice(to)),
    });
    for (let d = from; d < to; d++) sizes[d] = 1;
    last = first - 1;
  }
  return found;
}

/** One dimension, or all of them as if flattened. */
export interface OneDimOptions {
  dim?: number | undefined;
  keepdim?: boolean | undefined;
}

/** The arguments of an op that reduces one dimension, or all. */
export const oneDimTakes = { x: "tensor", options: { dim: "dim?", keepdim: "boolean?" } } as const;

/** The lines of `shape` along one dimension, or the one line of all elements, and the result's shape. */
export function linesOf(op: string, shape: Shape, options: OneDimOptions): { lines: Lines; shape: number[] } {
  const { dims, shape: result } = reductionOf(op, shape, options);
  const lines = stretches(shape, dims)[0] ?? { outer: 1, n: 1, inner: 1 };
  return { lines, shape: result };
}
