import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { overwrite } from "../../in-place.ts";
import { stridesOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { bitsOf, padStrides } from "../elementwise/apply.ts";
import code from "./put.wgsl";

const putKernel = kernel("ops/index/put.wgsl", code);

/** Sizes or strides as kernels take them, the innermost dimension first. */
export const innermostFirst = (list: readonly number[]): number[] => padStrides([...list].reverse());

/** Strides of a tensor whose element along `axis` is found by other means: 0 there. */
export const stridesAround = (shape: Shape, axis: number): number[] =>
  stridesOf(shape).map((stride, d) => (d === axis ? 0 : stride));

/** A copy of x with `src` (a tensor at least as large as the index, or a number) at the places of `index` along `axis`. */
export function put(x: Tensor, axis: number, index: Tensor, src: Tensor | number): Tensor {
  const y = empty(x.shape, x.dtype);
  overwrite(y, x);
  const isNumber = typeof src === "number";
  run(
    putKernel,
    { index, src: isNumber ? index : src, y },
    {
      sizes: innermostFirst(index.shape),
      y_strides: innermostFirst(stridesAround(x.shape, axis)),
      src_strides: innermostFirst(stridesOf(isNumber ? index.shape : src.shape)),
      rank: index.rank,
      count: index.size,
      n: x.shape[axis] ?? 1,
      stride: stridesOf(x.shape)[axis] ?? 1,
      bits: isNumber ? bitsOf(src, x.dtype, "scatter") : 0,
    },
    { threads: index.size, overrides: { NUMBER: Number(isNumber) } },
  );
  return y;
}
