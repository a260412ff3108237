import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { constantOf, kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { resolveDim, showShape, stridesOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { padded } from "../shape/pad.ts";
import { checkReach, crop, gatherLines } from "./gather.ts";
import { innermostFirst, put, stridesAround } from "./put.ts";
import reduceCode from "./scatter-reduce.wgsl";

const reduceKernel = kernel("ops/index/scatter-reduce.wgsl", reduceCode);

function checkSource(op: string, src: Tensor, x: Tensor, index: Tensor): void {
  check(
    src.rank === index.rank && index.shape.every((n, d) => n <= src.shape[d]!),
    () => `${op}: src ${showShape(src.shape)} is smaller than index ${showShape(index.shape)}.`,
  );
  check(src.dtype === x.dtype, () => `${op}: src is ${src.dtype} and x ${x.dtype}. Cast one of them.`);
}

/**
 * x, but y[i][index[i][j]] = src[i][j] along dimension `dim` (1 here); `src` may be a number. Any dtype of 32 bits. The index (i32 or
 * u32) may be smaller than x in the other dimensions, and than `src`. Where two fall on one place, either may stay. An index out of range,
 * negative ones too, makes the first element of its line NaN.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.scatter.html
 */
export const scatter = defineOp("scatter", {
  takes: { x: "tensor", dim: "dim", index: "tensor", src: "operand" },
  forward(x: Tensor, dim: number, index: Tensor, src: Tensor | number) {
    const axis = resolveDim("scatter", dim, x.rank);
    checkReach("scatter", x, axis, index);
    if (typeof src !== "number") checkSource("scatter", src, x, index);
    return {
      output: put(x, axis, index, src),
      inputs: { x, src: typeof src === "number" ? undefined : src },
      saved: { index, axis, srcShape: typeof src === "number" ? undefined : src.shape },
    };
  },
  // What was put over has no part in y.
  backward({ index, axis, srcShape }, dy, needs) {
    const dsrc = (shape: Shape): Tensor => padded(gatherLines(crop(dy, index.shape, axis), index, axis), shape);
    return {
      x: needs.x ? put(dy, axis, index, 0) : undefined,
      src: needs.src && srcShape ? dsrc(srcShape) : undefined,
    };
  },
});

/** How what falls on one place is combined, and whether x takes part in that (true unless said otherwise). */
export interface ScatterReduceOptions {
  reduce: "sum" | "prod" | "mean" | "amax" | "amin";
  includeSelf?: boolean | undefined;
}

interface Scattering extends Required<ScatterReduceOptions> {
  x: Tensor;
  src: Tensor;
  index: Tensor;
  axis: number;
}

/** Runs scatter-reduce.wgsl: forward, or with `back` the gradient of x or src. */
function reduce(
  { x, src, index, axis, reduce, includeSelf }: Scattering,
  back?: { y: Tensor; dy: Tensor; of: "x" | "src" },
): Tensor {
  const ofX = back?.of !== "src";
  const shape = (ofX ? x : src).shape;
  const result = empty(shape);
  const along = (of: Tensor): number => stridesOf(of.shape)[axis] ?? 1;
  run(
    reduceKernel,
    { x, index, src, y: back?.y ?? x, dy: back?.dy ?? x, result },
    {
      ...{ sizes: innermostFirst(shape), reach: innermostFirst(index.shape), rank: shape.length },
      x_strides: innermostFirst(stridesAround(x.shape, axis)),
      index_strides: innermostFirst(stridesAround(index.shape, axis)),
      src_strides: innermostFirst(stridesAround(src.shape, axis)),
      ...{ axis: Math.max(0, shape.length - 1 - axis), count: result.size, m: index.shape[axis] ?? 1 },
      ...{ x_stride: along(x), index_stride: along(index), src_stride: along(src) },
    },
    {
      threads: result.size,
      overrides: {
        ...{ FN: constantOf(reduceKernel, reduce), SELF: Number(includeSelf) },
        ...{ GRADIENT: Number(back !== undefined), OF_X: Number(ofX) },
      },
    },
  );
  return result;
}

/**
 * x with src[i][j] combined into y[i][index[i][j]] along dimension `dim` (1 here), in the same order every time: f32 of x's shape. With
 * `includeSelf: false` x counts only where nothing falls. The largest (smallest) of equals share their gradient evenly, x included.
 * Sums of many are faster by {@link scatterAdd}.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html
 */
export const scatterReduce = defineOp("scatterReduce", {
  takes: {
    ...{ x: "tensor", dim: "dim", index: "tensor", src: "tensor" },
    options: { reduce: ["sum", "prod", "mean", "amax", "amin"], includeSelf: "boolean?" },
  },
  forward(x: Tensor, dim: number, index: Tensor, src: Tensor, options: ScatterReduceOptions) {
    const how = options?.reduce;
    check(how, "scatterReduce: reduce is missing; there are sum, prod, mean, amax, amin.");
    const axis = resolveDim("scatterReduce", dim, x.rank);
    checkReach("scatterReduce", x, axis, index);
    checkSource("scatterReduce", src, x, index);
    check(isFloat(x.dtype), () => `scatterReduce: x is ${x.dtype}; only floats are combined. Cast it.`);
    const all: Scattering = { x, src, index, axis, reduce: how, includeSelf: options.includeSelf ?? true };
    const y = reduce(all);
    return { output: y, inputs: { x, src }, saved: { ...all, y } };
  },
  backward: ({ y, ...all }, dy, needs) => ({
    x: needs.x ? reduce(all, { y, dy, of: "x" }) : undefined,
    src: needs.src ? reduce(all, { y, dy, of: "src" }) : undefined,
  }),
});
