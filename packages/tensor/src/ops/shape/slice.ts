import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { showValue } from "../../values.ts";
import { copyView, viewOf } from "./copy.ts";
import { reshape } from "./reshape.ts";

/** Python's `start:stop:step`; null (or nothing) is open. */
export type Slice = readonly [start?: number | null, stop?: number | null, step?: number | null];

/**
 * y = x[start:stop:step] in each dimension, by Python's rules: negative numbers count from the end, what lies beyond is cut off;
 * dimensions that `slices` doesn't reach stay whole. Any dtype of 32 bits. A copy.
 * @throws when a step is less than 1, as in PyTorch: see `flip`
 */
export const slice = defineOp("slice", {
  takes: { x: "tensor", slices: "list" },
  forward(x: Tensor, slices: readonly Slice[]) {
    check(
      slices.length <= x.rank,
      () => `slice: ${slices.length} slices for ${x.rank} dimensions (${showShape(x.shape)}).`,
    );
    for (const [d, given] of slices.entries())
      check(
        isSlice(given),
        () =>
          `slice: slices[${d}] is ${showValue(given)}, not [start, stop] or [start, stop, step] of whole numbers or null.`,
      );
    const box = x.shape.map((n, d) => range(n, slices[d] ?? []));
    const y = empty(
      box.map(({ count }) => count),
      x.dtype,
    );
    copyView(y.shape, x, boxIn(x.shape, box), y, viewOf(y.shape));
    return { output: y, inputs: { x }, saved: { shape: x.shape, box } };
  },
  backward({ shape, box }, dy) {
    const dx = zeros(shape);
    copyView(dy.shape, dy, viewOf(dy.shape), dx, boxIn(shape, box));
    return { x: dx };
  },
});

const isSlice = (given: unknown): boolean =>
  Array.isArray(given) && given.length <= 3 && given.every((at) => at == null || Number.isInteger(at));

interface Range {
  start: number;
  step: number;
  count: number;
}

/** Elements of a dimension of size n: Python's `range(*slice.indices(n))`. */
function range(n: number, [start, stop, step]: Slice): Range {
  const by = step ?? 1;
  check(
    Number.isInteger(by) && by >= 1,
    () => `slice: step ${by}. Steps are 1 or more; flip() turns a dimension round.`,
  );
  const clip = (at: number): number => Math.max(0, Math.min(at < 0 ? at + n : at, n));
  const from = clip(start ?? 0);
  return { start: from, step: by, count: Math.max(0, Math.ceil((clip(stop ?? n) - from) / by)) };
}

/** Where the elements of a box of ranges lie in a tensor of `shape`. */
function boxIn(shape: Shape, box: readonly Range[]): { offset: number; strides: number[] } {
  const { offset, strides } = viewOf(
    shape,
    box.map(({ start }) => start),
  );
  return { offset, strides: strides.map((stride, d) => stride * box[d]!.step) };
}

/** x at `index` of dimension `dim`, which goes away. Negative indices count from the end. */
export const select = checked(
  "select",
  { x: "tensor", dim: "dim", index: "number" },
  (x: Tensor, dim: number, index: number): Tensor => {
    const axis = resolveDim("select", dim, x.rank);
    const n = x.shape[axis];
    check(
      n !== undefined && Number.isInteger(index) && index >= -n && index < n,
      () => `select: index ${index} is out of range for dimension ${axis} of ${showShape(x.shape)}.`,
    );
    const at = index < 0 ? index + n : index;
    const picked = slice(
      x,
      x.shape.map((_, d) => (d === axis ? [at, at + 1] : [])),
    );
    return reshape(
      picked,
      x.shape.filter((_, d) => d !== axis),
    );
  },
);

/**
 * x cut along `dim` into pieces: of the sizes given, or of one size, the last one shorter.
 * @throws when a list of sizes doesn't add up to the dimension
 */
export const split = checked(
  "split",
  { x: "tensor", sizes: "number|numbers", options: { dim: "dim?" } },
  (x: Tensor, sizes: number | readonly number[], { dim = 0 }: { dim?: number } = {}): Tensor[] => {
    const axis = resolveDim("split", dim, x.rank);
    const n = x.shape[axis];
    check(n !== undefined, () => "split: a scalar has no dimension to cut.");
    let list: readonly number[];
    if (typeof sizes === "number") {
      check(Number.isInteger(sizes) && sizes > 0, () => `split: pieces of size ${sizes}.`);
      const pieces = Math.max(1, Math.ceil(n / sizes));
      list = Array.from({ length: pieces }, (_, i) => Math.min(sizes, n - i * sizes));
    } else {
      list = sizes;
      check(
        sizes.every((size) => Number.isInteger(size) && size >= 0) && sizes.reduce((sum, size) => sum + size, 0) === n,
        () => `split: sizes ${showShape(sizes)} don't add up to ${n}, dimension ${axis} of ${showShape(x.shape)}.`,
      );
    }
    let start = 0;
    return list.map((size) => {
      const stop = start + size;
      const piece = slice(
        x,
        x.shape.map((_, d) => (d === axis ? [start, stop] : [])),
      );
      start = stop;
      return piece;
    });
  },
);

/**
 * x cut along `dim` (0) into `chunks` pieces of ⌈n / chunks⌉, the last one shorter: fewer pieces where that runs out, as in PyTorch,
 * and as many as asked for, all empty, where n is 0.
 */
export const chunk = checked(
  "chunk",
  { x: "tensor", chunks: "index", options: { dim: "dim?" } },
  (x: Tensor, chunks: number, { dim = 0 }: { dim?: number } = {}): Tensor[] => {
    check(chunks > 0, () => `chunk: ${chunks} chunks. Give 1 or more.`);
    const n = x.shape[resolveDim("chunk", dim, x.rank)] ?? 1;
    return split(x, n === 0 ? new Array<number>(chunks).fill(0) : Math.ceil(n / chunks), { dim });
  },
);

/** x at each index of `dim` (0), which goes away. */
export const unbind = checked(
  "unbind",
  { x: "tensor", options: { dim: "dim?" } },
  (x: Tensor, { dim = 0 }: { dim?: number } = {}): Tensor[] => {
    const n = x.shape[resolveDim("unbind", dim, x.rank)];
    check(n !== undefined, () => "unbind: a scalar has no dimension to take apart.");
    return Array.from({ length: n }, (_, i) => select(x, dim, i));
  },
);
