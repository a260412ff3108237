import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { broadcastStrides, sizeOf, stridesOf } from "../../shape.ts";

/** The array of `shape` whose element at each index is `element(index)`. */
function fromIndices(shape: readonly number[], element: (index: number[]) => number): NdArray {
  const strides = stridesOf(shape);
  return ndArray(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
      element(shape.map((n, d) => Math.floor(i / strides[d]!) % n)),
    ),
  );
}

const at = (x: NdArray, index: readonly number[], strides: readonly number[] = stridesOf(x.shape)): number =>
  x.data[index.reduce((sum, i, d) => sum + i * strides[d]!, 0)]!;

/** y[i_dims₀, i_dims₁, …] = x[i₀, i₁, …]. */
export function permuteReference(x: NdArray, dims: readonly number[]): NdArray {
  const shape = dims.map((d) => x.shape[d]!);
  return fromIndices(shape, (index) => {
    const source = new Array<number>(dims.length);
    dims.forEach((d, i) => (source[d] = index[i]!));
    return at(x, source);
  });
}

export const expandReference = (x: NdArray, shape: readonly number[]): NdArray =>
  fromIndices(shape, (index) => at(x, index, broadcastStrides(x.shape, shape)));

/** y[i] = x[i mod n], dimension by dimension. */
export function repeatReference(x: NdArray, repeats: readonly number[]): NdArray {
  const sizes = [...new Array<number>(repeats.length - x.shape.length).fill(1), ...x.shape];
  const shape = sizes.map((n, d) => n * repeats[d]!);
  return fromIndices(shape, (index) =>
    at(
      ndArray(sizes, x.data),
      index.map((i, d) => i % sizes[d]!),
    ),
  );
}

export const flipReference = (x: NdArray, dims: readonly number[]): NdArray =>
  fromIndices(x.shape, (index) =>
    at(
      x,
      index.map((i, d) => (dims.includes(d) ? x.shape[d]! - 1 - i : i)),
    ),
  );

/** Slices with start, stop and step given, inside the array. */
export function sliceReference(x: NdArray, slices: readonly (readonly [number, number, number])[]): NdArray {
  const shape = slices.map(([start, stop, step]) => Math.max(0, Math.ceil((stop - start) / step)));
  return fromIndices(shape, (index) =>
    at(
      x,
      index.map((i, d) => slices[d]![0] + i * slices[d]![2]),
    ),
  );
}

export function padReference(x: NdArray, pad: readonly number[], { value = 0 }: { value?: number } = {}): NdArray {
  const rank = x.shape.length;
  const before = x.shape.map((_, d) => pad[2 * (rank - 1 - d)] ?? 0);
  const after = x.shape.map((_, d) => pad[2 * (rank - 1 - d) + 1] ?? 0);
  const shape = x.shape.map((n, d) => n + before[d]! + after[d]!);
  return fromIndices(shape, (index) => {
    const source = index.map((i, d) => i - before[d]!);
    return source.every((i, d) => i >= 0 && i < x.shape[d]!) ? at(x, source) : value;
  });
}

export const trilReference = (x: NdArray, { diagonal = 0 }: { diagonal?: number } = {}): NdArray =>
  fromIndices(x.shape, (index) => (index.at(-1)! - index.at(-2)! <= diagonal ? at(x, index) : 0));

export const triuReference = (x: NdArray, { diagonal = 0 }: { diagonal?: number } = {}): NdArray =>
  fromIndices(x.shape, (index) => (index.at(-1)! - index.at(-2)! >= diagonal ? at(x, index) : 0));

export function concatReference(a: NdArray, b: NdArray, dim: number): NdArray {
  const shape = a.shape.map((n, d) => (d === dim ? n + b.shape[d]! : n));
  return fromIndices(shape, (index) => {
    const inA = index[dim]! < a.shape[dim]!;
    return inA
      ? at(a, index)
      : at(
          b,
          index.map((i, d) => (d === dim ? i - a.shape[d]! : i)),
        );
  });
}

/** y[…, k] = the element (k, k + offset) of the matrices in dimensions dim1 and dim2. */
export function diagonalReference(x: NdArray, { offset = 0, dim1 = 0, dim2 = 1 } = {}): NdArray {
  const others = x.shape.map((_, d) => d).filter((d) => d !== dim1 && d !== dim2);
  const length = Math.min(x.shape[dim1]! + Math.min(0, offset), x.shape[dim2]! - Math.max(0, offset));
  return fromIndices([...others.map((d) => x.shape[d]!), length], (index) => {
    const source = new Array<number>(x.shape.length);
    others.forEach((d, i) => (source[d] = index[i]!));
    source[dim1] = index.at(-1)! + Math.max(0, -offset);
    source[dim2] = index.at(-1)! + Math.max(0, offset);
    return at(x, source);
  });
}

/** Matrices with the last dimension of x on a diagonal, in dimensions dim1 and dim2 of the result. */
export function diagEmbedReference(
  x: NdArray,
  { offset = 0, dim1 = x.shape.length - 1, dim2 = x.shape.length } = {},
): NdArray {
  const size = x.shape.at(-1)! + Math.abs(offset);
  const shape = x.shape.slice(0, -1);
  for (const d of [dim1, dim2].sort((a, b) => a - b)) shape.splice(d, 0, size);
  return fromIndices(shape, (index) => {
    const [row, column] = [index[dim1]! - Math.max(0, -offset), index[dim2]! - Math.max(0, offset)];
    const others = index.filter((_, d) => d !== dim1 && d !== dim2);
    return row === column && row >= 0 && row < x.shape.at(-1)! ? at(x, [...others, row]) : 0;
  });
}

export const rollReference = (x: NdArray, shifts: number[], dims: number[]): NdArray =>
  fromIndices(x.shape, (index) =>
    at(
      x,
      index.map((i, d) => {
        const shift = dims.includes(d) ? shifts[dims.indexOf(d)]! : 0;
        return (((i - shift) % x.shape[d]!) + x.shape[d]!) % x.shape[d]!;
      }),
    ),
  );
