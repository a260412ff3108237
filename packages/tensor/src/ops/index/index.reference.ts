import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { sizeOf, stridesOf } from "../../shape.ts";

/** Index of each element of `shape`, and what it becomes where dimension `axis` is replaced by `at`. */
function* placesOf(shape: readonly number[], target: readonly number[], axis: number, at: NdArray) {
  const strides = stridesOf(shape);
  const targetStrides = stridesOf(target);
  for (let i = 0; i < sizeOf(shape); i++) {
    const index = shape.map((n, d) => Math.floor(i / strides[d]!) % n);
    index[axis] = at.data[i]!;
    yield index.reduce((sum, n, d) => sum + n * targetStrides[d]!, 0);
  }
}

/** y[i][j] = x[i][index[i][j]] for axis 1. */
export function gatherReference(x: NdArray, index: NdArray, axis: number): NdArray {
  return ndArray(
    index.shape,
    Array.from(placesOf(index.shape, x.shape, axis, index), (place) => x.data[place]!),
  );
}

/** y = x, y[i][index[i][j]] += src[i][j] for axis 1. */
export function scatterAddReference(x: NdArray, index: NdArray, src: NdArray, axis: number): NdArray {
  const y = ndArray(x.shape, x.data);
  let i = 0;
  for (const place of placesOf(index.shape, x.shape, axis, index)) y.data[place]! += src.data[i++]!;
  return y;
}

/** y = x[index] along `axis`: a gather of whole slices. */
export function indexSelectReference(x: NdArray, index: NdArray, axis: number): NdArray {
  const shape = x.shape.map((n, d) => (d === axis ? index.data.length : n));
  const inner = sizeOf(shape.slice(axis + 1));
  const spread = Array.from(
    { length: sizeOf(shape) },
    (_, i) => index.data[Math.floor(i / inner) % index.data.length]!,
  );
  return gatherReference(x, ndArray(shape, spread), axis);
}
