import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastShapes, resolveDim, sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { overwrite } from "../../in-place.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { add } from "../elementwise/binary.ts";
import { expand } from "../shape/expand.ts";
import { flatten } from "../shape/reshape.ts";
import { constantPad } from "../shape/pad.ts";
import { slice } from "../shape/slice.ts";
import gatherCode from "./gather.wgsl";
import { checkIndex } from "./rows.ts";
import linesCode from "./scatter-add-lines.wgsl";
import scanCode from "./scatter-add-scan.wgsl";

const gatherKernel = kernel("ops/index/gather.wgsl", gatherCode);
const scanKernel = kernel("ops/index/scatter-add-scan.wgsl", scanCode);
const linesKernel = kernel("ops/index/scatter-add-lines.wgsl", linesCode);

// Both ops see x as [outer, n, inner] and index as [outer, m, inner], with the same outer and inner; the functions around them
// bring other shapes into this form.

/** y[o, k, c] = x[o, index[o, k, c], c], where index has x's shape but along `axis`. */
export const gatherLines = defineOp("gather", {
  forward(x: Tensor, index: Tensor, axis: number) {
    const y = empty(index.shape, x.dtype);
    run(gatherKernel, { x, index, y }, { size: y.size, ...linesOf(x.shape, index.shape, axis) }, { threads: y.size });
    return { output: y, inputs: { x }, saved: { index, axis, shape: x.shape } };
  },
  backward: ({ index, axis, shape }, dy) => ({ x: addAlong(zeros(shape), index, dy, axis) }),
});

/** y = x, and y[o, index[o, k, c], c] += src[o, k, c]; shapes as in {@link gatherLines}. */
export const scatterAddLines = defineOp("scatterAdd", {
  forward(x: Tensor, index: Tensor, src: Tensor, axis: number) {
    return { output: addAlong(x, index, src, axis), inputs: { x, src }, saved: { index, axis } };
  },
  backward: ({ index, axis }, dy, needs) => ({
    x: needs.x ? dy.alias() : undefined,
    src: needs.src ? gatherLines(dy, index, axis) : undefined,
  }),
});

const linesOf = (x: Shape, index: Shape, axis: number): { n: number; m: number; inner: number } => ({
  n: x[axis] ?? 1,
  m: index[axis] ?? 1,
  inner: sizeOf(x.slice(axis + 1)),
});

/** x plus what `src` brings: along lines if there are enough of them to keep a device busy, else by looking through them. */
function addAlong(x: Tensor, index: Tensor, src: Tensor, axis: number): Tensor {
  const y = empty(x.shape);
  const { n, m, inner } = linesOf(x.shape, index.shape, axis);
  const lines = n === 0 ? 0 : x.size / n;
  if (m > 8 && lines >= 1024) {
    overwrite(y, x);
    run(linesKernel, { index, src, y }, { lines, n, m, inner }, { threads: lines });
  } else {
    run(scanKernel, { x, index, src, y }, { size: x.size, n, m, inner }, { threads: x.size });
  }
  return y;
}

/** x cut to `shape` in every dimension but `axis` (in all of them without it), where it is larger. */
export function crop(x: Tensor, shape: Shape, axis?: number): Tensor {
  const target = x.shape.map((n, d) => (d === axis ? n : shape[d]!));
  return sameShape(target, x.shape)
    ? x
    : slice(
        x,
        target.map((n) => [0, n]),
      );
}

/** Checks that `index` reaches no further than x in the dimensions other than `axis`. */
export function checkReach(op: string, x: Tensor, axis: number, index: Tensor): void {
  checkIndex(op, index);
  check(
    index.rank === x.rank && index.shape.every((n, d) => d === axis || n <= x.shape[d]!),
    () =>
      `${op}: index ${showShape(index.shape)} for x ${showShape(x.shape)}: as many dimensions, and none larger but ${axis}.`,
  );
}

/**
 * y = x picked along `dim`: y[i][j] = x[i][index[i][j]] for dim 1. `index` (i32 or u32) has as many dimensions as x and may be
 * smaller in the others; y has its shape and x's dtype (any of 32 bits). An index out of range, negative ones too, gives NaN.
 *
 * The gradient adds dy where an index occurs more than once, in the same order every time.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.gather.html
 */
export const gather = checked(
  "gather",
  { x: "tensor", dim: "dim", index: "tensor" },
  (x: Tensor, dim: number, index: Tensor): Tensor => {
    const axis = resolveDim("gather", dim, x.rank);
    checkReach("gather", x, axis, index);
    return gatherLines(crop(x, index.shape, axis), index, axis);
  },
);

/**
 * y = x, then y[i][index[i][j]] += src[i][j] along dimension `dim` (1 here), in the same order every time: f32 of x's shape.
 * `index` (i32 or u32) may be smaller than x in the other dimensions, and than `src` in all. An index out of range, negative ones
 * too, makes the first element of its line NaN.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_add_.html
 */
export const scatterAdd = checked(
  "scatterAdd",
  { x: "tensor", dim: "dim", index: "tensor", src: "tensor" },
  (x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor => {
    const axis = resolveDim("scatterAdd", dim, x.rank);
    checkReach("scatterAdd", x, axis, index);
    check(
      src.rank === index.rank && index.shape.every((n, d) => n <= src.shape[d]!),
      () => `scatterAdd: src ${showShape(src.shape)} is smaller than index ${showShape(index.shape)}.`,
    );
    for (const { dtype } of [x, src])
      check(isFloat(dtype), () => `scatterAdd: ${dtype}; only floats are added. Cast it.`);
    const source = crop(src, index.shape);
    const reached = index.shape.map((n, d) => (d === axis ? x.shape[d]! : n));
    if (sameShape(reached, x.shape)) return scatterAddLines(x, index, source, axis);
    const sums = scatterAddLines(zeros(reached), index, source, axis);
    const margins = x.shape.flatMap((n, d) => [n - reached[d]!, 0]).reverse(); // last dimension first: before, after
    return add(x, constantPad(sums, margins));
  },
);

/**
 * As {@link gather}, but x and index broadcast in the other dimensions; `dim` null picks from all of x, flattened.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html
 */
export const takeAlongDim = checked(
  "takeAlongDim",
  { x: "tensor", index: "tensor", dim: "dim|null" },
  (x: Tensor, index: Tensor, dim: number | null): Tensor => {
    if (dim === null) return gather(flatten(x), 0, flatten(index));
    const axis = resolveDim("takeAlongDim", dim, x.rank);
    check(
      index.rank === x.rank,
      () => `takeAlongDim: index ${showShape(index.shape)} and x ${showShape(x.shape)} differ in dimensions.`,
    );
    const without = (shape: Shape): Shape => shape.map((n, d) => (d === axis ? 1 : n));
    const common = broadcastShapes("takeAlongDim", without(x.shape), without(index.shape));
    const along = (t: Tensor): Tensor =>
      expand(
        t,
        common.map((n, d) => (d === axis ? t.shape[d]! : n)),
      );
    return gather(along(x), axis, along(index));
  },
);
