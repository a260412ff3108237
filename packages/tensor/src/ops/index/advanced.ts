import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check, GpugradError } from "../../errors.ts";
import { notDifferentiable } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastShapes, showShape, sizeOf, type Shape } from "../../shape.ts";
import { Tensor } from "../../tensor.ts";
import { showValue } from "../../values.ts";
import { cast } from "../cast/cast.ts";
import { ones, zeros } from "../create/create.ts";
import { add, sub } from "../elementwise/binary.ts";
import { cumsum } from "../reduce/cumsum.ts";
import { sumTo } from "../reduce/sum.ts";
import { expand } from "../shape/expand.ts";
import { permute } from "../shape/permute.ts";
import { flatten, reshape, unsqueeze } from "../shape/reshape.ts";
import { select, slice, type Slice } from "../shape/slice.ts";
import { indexSelect } from "./index-select.ts";
import joinCode from "./join-index.wgsl";
import { put } from "./put.ts";
import { addRows, checkIndex } from "./rows.ts";

const joinKernel = kernel("ops/index/join-index.wgsl", joinCode);

/** What stands for one dimension in Python's `x[…]`: a tensor of places, a number, a slice; null is a new dimension. */
export type IndexEntry = Tensor | number | Slice | ":" | "..." | null;

/** Places in several dimensions of these sizes as places in the one that they make, flattened. */
const joined = defineOp("index", {
  forward(indices: readonly Tensor[], sizes: readonly number[]) {
    const y = zeros(indices[0]!.shape, { dtype: "i32" });
    indices.forEach((index, i) => run(joinKernel, { index, y }, { count: y.size, n: sizes[i]! }, { threads: y.size }));
    return { output: y, inputs: {}, saved: {} };
  },
  backward: notDifferentiable("its result is an index"),
});

/** Entries without `...`: as many whole dimensions as it stands for, and the rest at the end. */
function complete(op: string, x: Tensor, entries: readonly IndexEntry[]): Exclude<IndexEntry, "...">[] {
  const taken = entries.filter((entry) => entry !== null && entry !== "...").length;
  check(taken <= x.rank, () => `${op}: ${taken} indices for the ${x.rank} dimensions of ${showShape(x.shape)}.`);
  const whole = new Array<":">(x.rank - taken).fill(":");
  const at = entries.indexOf("...");
  check(entries.lastIndexOf("...") === at, () => `${op}: "..." occurs twice.`);
  const rest = (at < 0 ? [...entries, ...whole] : entries.toSpliced(at, 1, ...whole)) as Exclude<IndexEntry, "...">[];
  return rest;
}

/** x by the entries that are not tensors; and the tensors by the dimension that each is for. */
function basic(op: string, x: Tensor, entries: readonly IndexEntry[]): { view: Tensor; places: Map<number, Tensor> } {
  let view = x;
  let dim = 0;
  const places = new Map<number, Tensor>();
  for (const entry of complete(op, x, entries)) {
    if (typeof entry === "number") {
      view = select(view, dim, entry);
      continue;
    }
    if (entry === null) view = unsqueeze(view, dim);
    else if (entry instanceof Tensor) {
      check(
        entry.dtype !== "bool",
        () => `${op}: a mask takes an unknown number of places. Use ...unbind(await nonzero(mask), { dim: 1 }).`,
      );
      checkIndex(op, entry);
      places.set(dim, entry);
    } else if (Array.isArray(entry)) view = slice(view, [...new Array<Slice>(dim).fill([]), entry as Slice]);
    else if (entry !== ":") {
      throw new GpugradError(
        `${op}: ${showValue(entry)} is not an index: they are tensors, numbers, slices [start, stop, step], ":", "..." and null.`,
      );
    }
    dim++;
  }
  return { view, places };
}

/**
 * Python's `x[…]`, entry by entry: `index(x, [rows, columns])` takes x[rows[i], columns[i]]; `index(x, [":", rows])` rows of the second
 * dimension. Tensors (i32 or u32, negative numbers count from the end) are broadcast to each other; their dimensions take the place of theirs
 * if they are next to each other, else come first, as in PyTorch. A number takes its dimension away before. A place out of range gives NaN.
 *
 * The gradient adds dy where a place is read more than once, in the same order every time.
 * @see https://docs.pytorch.org/docs/stable/tensor_indexing.html
 */
export const index = checked(
  "index",
  { x: "tensor", entries: "list" },
  (x: Tensor, entries: readonly IndexEntry[]): Tensor => {
    const { view, places } = basic("index", x, entries);
    if (places.size === 0) return view;
    const dims = [...places.keys()];
    const shape = broadcastShapes("index", ...[...places.values()].map((p) => p.shape));
    const sizes = dims.map((d) => view.shape[d]!);
    const flat = joined(
      [...places.values()].map((p) => flatten(expand(p.dtype === "i32" ? p : cast(p, "i32"), shape))),
      sizes,
    );
    const others = [...view.shape.keys()].filter((d) => !places.has(d));
    const rest = others.map((d) => view.shape[d]!);
    const rows = reshape(permute(view, [...dims, ...others]), [sizeOf(sizes), ...rest]);
    const picked = reshape(indexSelect(rows, 0, flat), [...shape, ...rest]);
    const adjacent = dims.every((d, i) => d === dims[0]! + i);
    const before = adjacent ? others.filter((d) => d < dims[0]!).length : 0;
    if (before === 0) return picked;
    const order = [...picked.shape.keys()];
    const moved = order.splice(shape.length, before);
    return permute(picked, [...moved, ...order]);
  },
);

/** Puts or adds `values` at flat places of x. */
const putFlat = defineOp("indexPut", {
  forward(x: Tensor, places: Tensor, values: Tensor, accumulate: boolean) {
    const saved = { places, accumulate, shapes: [x.shape, values.shape] as const };
    const rows = { outer: 1, n: x.size, inner: 1 };
    const whole = broadcastValues(values, places.shape);
    const y = accumulate
      ? add(x, addRows(whole, flatten(places), x.shape, rows))
      : put(flatten(x), 0, flatten(places), flatten(whole)).alias(x.shape);
    return { output: y, inputs: { x, values }, saved };
  },
  backward({ places, accumulate, shapes }, dy, needs) {
    const at = flatten(places);
    const dx = (): Tensor => (accumulate ? dy.alias() : put(flatten(dy), 0, at, 0).alias(shapes[0]));
    const dvalues = (): Tensor => sumTo(reshape(indexSelect(flatten(dy), 0, at), places.shape), shapes[1]);
    return { x: needs.x ? dx() : undefined, values: needs.values ? dvalues() : undefined };
  },
});

const broadcastValues = (values: Tensor, shape: Shape): Tensor => {
  check(
    broadcastShapes("indexPut", values.shape, shape).length === shape.length,
    () => `indexPut: values ${showShape(values.shape)} don't broadcast to the places ${showShape(shape)}.`,
  );
  return expand(values, shape);
};

/**
 * x with `values`, broadcast, at the places of {@link index}; with `accumulate` they are added there, in the same order every time. Without
 * it, either value may stay where two fall on one place.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_put_.html
 */
export const indexPut = checked(
  "indexPut",
  { x: "tensor", entries: "list", values: "tensor", options: { accumulate: "boolean?" } },
  (
    x: Tensor,
    entries: readonly IndexEntry[],
    values: Tensor,
    { accumulate = false }: { accumulate?: boolean } = {},
  ): Tensor => {
    check(values.dtype === x.dtype, () => `indexPut: values are ${values.dtype} and x ${x.dtype}. Cast one of them.`);
    const numbers = sub(cumsum(ones([x.size], { dtype: "i32" }), { dim: 0 }), 1);
    const places = index(reshape(numbers, x.shape), entries);
    return putFlat(x, places, values, accumulate);
  },
);
