import { argumentCheck, checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { notDifferentiable } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { resolveDim, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { permuted } from "../elementwise/apply.ts";
import { gatherLines } from "../index/gather.ts";
import { put } from "../index/put.ts";
import { merged } from "../index/rows.ts";
import type { ValuesAndIndices } from "../reduce/extremes.ts";
import { slice, type Slice } from "../shape/slice.ts";
import keysCode from "./sort-keys.wgsl";

const keysKernel = kernel("ops/sort/sort-keys.wgsl", keysCode);

/** The places of the elements along `axis` in their order: i32 of x's shape. Equal ones stay as they are; NaN counts as the greatest. */
function sortedPlaces(x: Tensor, axis: number, descending: boolean): Tensor {
  const n = x.shape[axis] ?? 1;
  const inner = sizeOf(x.shape.slice(axis + 1));
  if (x.size === 0) return empty(x.shape, "i32");
  const [keys, order] = [empty([x.size], "u32"), empty([x.size], "i32")];
  const overrides = {
    ...{ FLOAT: Number(isFloat(x.dtype)), SIGNED: Number(x.dtype === "i32") },
    DESCENDING: Number(descending),
  };
  run(keysKernel, { x, keys, order }, { size: x.size, n, inner }, { threads: x.size, overrides });
  const places = merged({ keys, order }, x.size, n, 1).order;
  const lines = places.alias([x.size / (n * inner), inner, n]);
  return (inner === 1 ? lines : permuted(lines, [0, 2, 1])).alias(x.shape);
}

/** Which dimension is sorted (the last one), and whether from the largest on. */
export interface SortOptions {
  dim?: number | undefined;
  descending?: boolean | undefined;
}

const sortTakes = { x: "tensor", options: { dim: "dim?", descending: "boolean?" } } as const;

/** The gradient of values picked from different places of x: each goes back to its own. */
const putBack = (index: Tensor, dy: Tensor, shape: Shape, axis: number): Tensor => put(zeros(shape), axis, index, dy);

/** Values and places; exported for tests, users call {@link sort}. */
export const sortLines = defineOp("sort", {
  forward(x: Tensor, { dim = -1, descending = false }: SortOptions = {}) {
    const axis = resolveDim("sort", dim, x.rank);
    const index = sortedPlaces(x, axis, descending);
    const values = gatherLines(x, index, axis);
    return { output: [values, index] as const, inputs: { x }, saved: { index, axis, shape: x.shape } };
  },
  backward: ({ index, axis, shape }, dy) => ({ x: putBack(index, dy, shape, axis) }),
});

const checkSort = argumentCheck("sort", sortTakes);

/**
 * The elements along `dim` in their order, and where they were (i32). Equal ones keep their order; NaN counts as the greatest. Any
 * dtype of 32 bits.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sort.html
 */
export function sort(...args: [x: Tensor, options?: SortOptions]): ValuesAndIndices {
  checkSort(args);
  const [values, indices] = sortLines(...args);
  return { values, indices };
}

/** Where the elements along `dim` are in their order: i32 of x's shape; see {@link sort}. */
export const argsort = defineOp("argsort", {
  takes: sortTakes,
  forward: (x: Tensor, { dim = -1, descending = false }: SortOptions = {}) => ({
    output: sortedPlaces(x, resolveDim("argsort", dim, x.rank), descending),
    inputs: {},
    saved: {},
  }),
  backward: notDifferentiable("its result is an index"),
});

/** Along which dimension (the last one), and whether the largest (the default) or the smallest. They come in order. */
export interface TopkOptions {
  dim?: number | undefined;
  largest?: boolean | undefined;
}

/** Values and places; exported for tests, users call {@link topk}. */
export const topkLines = defineOp("topk", {
  forward(x: Tensor, k: number, { dim = -1, largest = true }: TopkOptions = {}) {
    const axis = resolveDim("topk", dim, x.rank);
    const n = x.shape[axis] ?? 1;
    check(k >= 0 && k <= n, () => `topk: k is ${k}, but dimension ${axis} of ${showShape(x.shape)} has ${n} elements.`);
    const places = sortedPlaces(x, axis, largest);
    const first = x.shape.map((_, d): Slice => (d === axis ? [0, k] : []));
    const index = x.rank === 0 ? places : slice(places, first);
    const values = gatherLines(x, index, axis);
    return { output: [values, index] as const, inputs: { x }, saved: { index, axis, shape: x.shape } };
  },
  backward: ({ index, axis, shape }, dy) => ({ x: putBack(index, dy, shape, axis) }),
});

/**
 * The k largest (or smallest) elements along `dim` in order, and where they were (i32). Of equal ones the first come first; NaN
 * counts as the greatest.
 * @throws when there are fewer than k
 * @see https://docs.pytorch.org/docs/stable/generated/torch.topk.html
 */
export const topk = checked(
  "topk",
  { x: "tensor", k: "index", options: { dim: "dim?", largest: "boolean?" } },
  (x: Tensor, k: number, options: TopkOptions = {}): ValuesAndIndices => {
    const [values, indices] = topkLines(x, k, options);
    return { values, indices };
  },
);
