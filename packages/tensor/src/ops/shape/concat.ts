import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "./copy.ts";
import { unsqueeze } from "./reshape.ts";

/**
 * The tensors joined along `dim`, in which alone their shapes may differ. Any dtype of 32 bits, the same for all.
 * @throws when there is none, or shapes or dtypes don't fit
 */
export const concat = defineOp("concat", {
  takes: { tensors: "tensors", options: { dim: "dim?" } },
  forward(tensors: readonly Tensor[], { dim = 0 }: { dim?: number } = {}) {
    const [first] = tensors;
    check(first, "concat: no tensors given.");
    check(first.rank > 0, "concat: scalars have no dimension to join. Use stack().");
    const axis = resolveDim("concat", dim, first.rank);
    for (const t of tensors) {
      check(
        t.rank === first.rank && t.shape.every((n, d) => d === axis || n === first.shape[d]) && t.dtype === first.dtype,
        () =>
          `concat: ${showShape(t.shape)} ${t.dtype} doesn't fit ${showShape(first.shape)} ${first.dtype}: ` +
          `only sizes of dimension ${axis} may differ.`,
      );
    }
    const shapes = tensors.map((t) => t.shape);
    const total = shapes.reduce((sum, shape) => sum + shape[axis]!, 0);
    const y = empty(
      first.shape.map((n, d) => (d === axis ? total : n)),
      first.dtype,
    );
    const starts = startsOf(shapes, axis);
    tensors.forEach((t, i) => copyView(t.shape, t, viewOf(t.shape), y, viewOf(y.shape, starts[i])));
    const inputs = Object.fromEntries(tensors.map((t, i) => [String(i), t]));
    return { output: y, inputs, saved: { shapes, starts } };
  },
  backward({ shapes, starts }, dy, needs) {
    const gradients = shapes.map((shape, i) => {
      if (!needs[String(i)]) return undefined;
      const dx = empty(shape);
      copyView(shape, dy, viewOf(dy.shape, starts[i]), dx, viewOf(shape));
      return dx;
    });
    return Object.fromEntries(gradients.map((dx, i) => [String(i), dx]));
  },
});

/** Where each piece begins in the joined tensor, as an index of all dimensions. */
function startsOf(shapes: readonly Shape[], axis: number): number[][] {
  let next = 0;
  return shapes.map((shape) => {
    const start = shape.map((_, d) => (d === axis ? next : 0));
    next += shape[axis]!;
    return start;
  });
}

/** Tensors of one shape as the slices of a new dimension `dim`; negative ones count from the end of the result. */
export const stack = checked(
  "stack",
  { tensors: "tensors", options: { dim: "dim?" } },
  (tensors: readonly Tensor[], { dim = 0 }: { dim?: number } = {}): Tensor => {
    const [first] = tensors;
    check(first, "stack: no tensors given.");
    const axis = resolveDim("stack", dim, first.rank + 1);
    for (const t of tensors) {
      check(
        t.rank === first.rank && t.shape.every((n, d) => n === first.shape[d]),
        () => `stack: ${showShape(t.shape)} among tensors of ${showShape(first.shape)}: shapes have to be the same.`,
      );
    }
    return concat(
      tensors.map((t) => unsqueeze(t, axis)),
      { dim: axis },
    );
  },
);
