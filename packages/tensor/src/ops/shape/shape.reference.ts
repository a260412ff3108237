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
