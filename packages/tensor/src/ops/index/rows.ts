import { check } from "../../errors.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import addRowsCode from "./add-rows.wgsl";
import joinCode from "./add-rows-join.wgsl";
import selectRowsCode from "./select-rows.wgsl";
import sortCode from "./sort-index.wgsl";

const selectRowsKernel = kernel("ops/index/select-rows.wgsl", selectRowsCode);
const sortKernel = kernel("ops/index/sort-index.wgsl", sortCode);
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

/** Checks that `index` holds whole numbers. */
export function checkIndex(op: string, index: Tensor): void {
  check(
    index.dtype === "i32" || index.dtype === "u32",
    () => `${op}: the index is ${index.dtype}. Cast it to i32 or u32.`,
  );
}

/** y[o, s, c] = x[o, index[s], c], into `y` of [outer, index.size, inner]; any dtype of 32 bits. */
export function selectRows(x: Tensor, index: Tensor, y: Tensor, { outer, n, inner: width }: Rows): void {
  const { kernel, inner } = widest(selectRowsKernel, "vec4u", width);
  const count = outer * index.size * inner;
  run(kernel, { x, index, y }, { count, inner, m: index.size, n }, { threads: count });
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
  const m = index.size;
  const [keys, order] = [empty([m], "u32"), empty([m], "u32")];
  run(sortKernel, { index, keys, order }, { m }, { threads: m });

  const { kernel, inner } = widest(addRowsKernel, "vec4f", width);
  const count = outer * m * inner;
  const partial = empty(dy.shape);
  run(kernel, { dy, keys, order, partial }, { count, inner, m }, { threads: count });

  const dx = zeros(shape);
  const join = widest(joinKernel, "vec4f", width).kernel;
  const NO_ROW = 0xffffffff;
  run(join, { partial, keys, dx }, { count, inner, m, n, skip: skip ?? NO_ROW }, { threads: count });
  return dx;
}
