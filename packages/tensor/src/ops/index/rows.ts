import { check } from "../../errors.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import addRowsCode from "./add-rows.wgsl";
import joinCode from "./add-rows-join.wgsl";
import selectRowsCode from "./select-rows.wgsl";
import mergeCode from "./merge-runs.wgsl";
import sortCode from "./sort-blocks.wgsl";

const selectRowsKernel = kernel("ops/index/select-rows.wgsl", selectRowsCode);
const sortKernel = kernel("ops/index/sort-blocks.wgsl", sortCode);
const mergeKernel = kernel("ops/index/merge-runs.wgsl", mergeCode);
const addRowsKernel = kernel("ops/index/add-rows.wgsl", addRowsCode);
const joinKernel = kernel("ops/index/add-rows-join.wgsl", joinCode);

/** x seen as [outer, n, inner], of which rows along n are picked. */
export interface Rows {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

/** The kernel for elements one by one, or four at a time where rows allow it, and the length of rows in those. */
function widest(base: Kernel, vector: string, inner: number): { kernel: Kernel; inner: number } {
  return inner % 4 === 0
    ? { kernel: specialize(base, { Element: vector }), inner: inner / 4 }
    : { kernel: base, inner };
}

/** How much of a row of `inner` elements an invocation copies: up to four, if that leaves enough invocations side by side. */
export const shareOf = (inner: number): number => (inner < 64 ? 1 : inner % 4 === 0 ? 4 : inner % 2 === 0 ? 2 : 1);

/** Checks that `index` holds whole numbers. */
export function checkIndex(op: string, index: Tensor): void {
  check(
    index.dtype === "i32" || index.dtype === "u32",
    () => `${op}: the index is ${index.dtype}. Cast it to i32 or u32.`,
  );
}

/** y[o, s, c] = x[o, index[s], c], into `y` of [outer, index.size, inner]; any dtype of 32 bits. */
export function selectRows(x: Tensor, index: Tensor, y: Tensor, { outer, n, inner: width }: Rows): void {
  if (y.size === 0) return;
  const { kernel, inner: INNER } = widest(selectRowsKernel, "vec4u", width);
  const SHARE = shareOf(INNER);
  const count = (outer * index.size * INNER) / SHARE;
  run(
    kernel,
    { x, index, y },
    { count, m: index.size, n },
    { threads: count, overrides: { INNER, SHARE, OUTER: +(outer > 1) } },
  );
}

/**
 * dx[o, index[s], c] = Σ_s dy[o, s, c]: what goes back through {@link selectRows}, as f32 of `shape`, the same bits every time.
 * The row `skip`, if given, stays 0.
 */
export function addRows(
  dy: Tensor,
  index: Tensor,
  shape: readonly number[],
  { outer, n, inner: width }: Rows,
  skip?: number,
): Tensor {
  if (dy.size === 0) return zeros(shape);
  const m = index.size;
  const { keys, order } = sorted(index);
  const { kernel, inner: INNER } = widest(addRowsKernel, "vec4f", width);
  const pieces = ceilDiv(m, PIECE);
  const dx = zeros(shape);
  const partial = empty([outer, pieces, 2, width]);
  const NO_ROW = 0xffffffff;
  const params = { m, n, skip: skip ?? NO_ROW, pieces };
  const overrides = { PIECE, INNER };
  const count = outer * m * INNER;
  run(kernel, { dy, keys, order, dx, partial }, { ...params, count }, { threads: count, overrides });

  const join = widest(joinKernel, "vec4f", width).kernel;
  const joined = outer * Math.max(0, pieces - 1) * INNER;
  run(join, { partial, keys, dx }, { ...params, count: joined }, { threads: joined, overrides });
  return dx;
}

/** Keys that are added up in one go. */
const PIECE = 64;

/** The numbers of `index` in order, and where they were: blocks sorted by counting, then merged, four at a time. */
function sorted(index: Tensor): Ordered {
  const m = index.size;
  const list = { keys: empty([m], "u32"), order: empty([m], "u32") };
  run(sortKernel, { index, ...list }, { m }, { threads: m });
  return merged(list, m, m, sortKernel.constants.get("BLOCK")!);
}

/** Keys, and where they were. */
export interface Ordered {
  keys: Tensor;
  order: Tensor;
}

/** Sorted runs of `length` keys, in lines of n of m in all, merged until each line is one run. What is given is disposed on the way. */
export function merged(runs: Ordered, m: number, n: number, length: number): Ordered {
  const WAYS = 4;
  let list = runs;
  for (let size = length; size < n; size *= WAYS) {
    const { keys, order } = { keys: empty([m], "u32"), order: empty([m], list.order.dtype) };
    run(
      mergeKernel,
      { ...list, merged_keys: keys, merged_order: order },
      { m, n, run: size },
      { threads: m, overrides: { WAYS } },
    );
    list.keys.dispose();
    list.order.dispose();
    list = { keys, order };
  }
  return list;
}
