import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { defineStorageOp } from "../../op.ts";
import { resolveDim, showShape, sizeOf, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";

/**
 * The same elements in row-major order in another shape of the same size; one entry may be -1: what is left. Shares memory.
 * @throws when the sizes differ
 */
export const reshape = defineStorageOp("reshape", {
  takes: { x: "tensor", shape: "shape with -1" },
  forward(x: Tensor, shape: Shape) {
    return { output: x.alias(inferShape(x, shape)), inputs: { x }, saved: { shape: x.shape } };
  },
  backward: ({ shape }, dy) => ({ x: dy.alias(shape) }),
});

/** `shape` with its -1, if it has one, replaced by what fills x's size. */
function inferShape(x: Tensor, shape: Shape): Shape {
  const open = shape.filter((n) => n === -1).length;
  check(open <= 1, () => `reshape: ${showShape(shape)}: of the sizes at most one is -1.`);
  const known = sizeOf(shape.filter((n) => n !== -1));
  check(
    open === 0 || known > 0,
    () => `reshape: ${showShape(shape)} for ${showShape(x.shape)}: beside a size of 0 the one that is -1 could be any.`,
  );
  const inferred = shape.map((n) => (n === -1 ? x.size / known : n));
  check(
    sizeOf(inferred) === x.size && inferred.every(Number.isInteger),
    () => `reshape: ${x.size} elements (${showShape(x.shape)}) don't fill the shape ${showShape(shape)}.`,
  );
  return inferred;
}

/** x with a new dimension of size 1 at `dim`; negative ones count from the end of the result. */
export const unsqueeze = checked("unsqueeze", { x: "tensor", dim: "dim" }, (x: Tensor, dim: number): Tensor => {
  const at = resolveDim("unsqueeze", dim, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
});

/** x without its dimensions of size 1, or without `dim`, if that has size 1. */
export const squeeze = checked("squeeze", { x: "tensor", dim: "dim?" }, (x: Tensor, dim?: number): Tensor => {
  const at = dim === undefined ? undefined : resolveDim("squeeze", dim, x.rank);
  return reshape(
    x,
    x.shape.filter((n, d) => n !== 1 || (at !== undefined && d !== at)),
  );
});

/** x with its dimensions `startDim` to `endDim` (both included) made one. */
export const flatten = checked(
  "flatten",
  { x: "tensor", options: { startDim: "dim?", endDim: "dim?" } },
  (x: Tensor, { startDim = 0, endDim = -1 }: { startDim?: number; endDim?: number } = {}): Tensor => {
    const start = resolveDim("flatten", startDim, x.rank);
    const end = resolveDim("flatten", endDim, x.rank);
    check(start <= end, () => `flatten: startDim ${startDim} lies behind endDim ${endDim} in ${showShape(x.shape)}.`);
    return reshape(x, [...x.shape.slice(0, start), sizeOf(x.shape.slice(start, end + 1)), ...x.shape.slice(end + 1)]);
  },
);
