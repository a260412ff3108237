import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { resolveDim, showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "./copy.ts";

/** x moved by `shift` along one dimension: what leaves at its end comes back at its beginning. */
function rolled(x: Tensor, shift: number, axis: number): Tensor {
  const n = x.shape[axis]!;
  const by = n === 0 ? 0 : ((shift % n) + n) % n;
  if (by === 0) return x.alias();
  const y = empty(x.shape, x.dtype);
  const move = (count: number, from: number, to: number): void => {
    const box = x.shape.map((size, d) => (d === axis ? count : size));
    const start = (at: number): number[] => x.shape.map((_, d) => (d === axis ? at : 0));
    copyView(box, x, viewOf(x.shape, start(from)), y, viewOf(y.shape, start(to)));
  };
  move(n - by, 0, by);
  move(by, n - by, 0);
  return y;
}

/** Moves along several dimensions, or along the flattened tensor. */
function rolledAll(x: Tensor, shifts: readonly number[], axes: readonly number[] | undefined): Tensor {
  if (!axes) return rolled(x.alias([sizeOf(x.shape)]), shifts[0]!, 0).alias(x.shape);
  return axes.reduce((y, axis, i) => rolled(y, shifts[i]!, axis), x.alias());
}

/**
 * x with its elements moved by `shifts` along `dims`; what leaves at the end comes back at the beginning. Without `dims` the
 * flattened tensor is moved. Any dtype of 32 bits.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.roll.html
 */
export const roll = defineOp("roll", {
  takes: { x: "tensor", shifts: "number|numbers", dims: "dim|dims?" },
  forward(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]) {
    const list = (of: number | readonly number[]): readonly number[] => (typeof of === "number" ? [of] : of);
    const by = list(shifts);
    const axes = dims === undefined ? undefined : list(dims).map((d) => resolveDim("roll", d, x.rank));
    check(
      by.every(Number.isInteger) && by.length === (axes?.length ?? 1),
      () => `roll: shifts ${showShape(by)} for dims ${axes ? showShape(axes) : "left out"}: a whole number for each.`,
    );
    return { output: rolledAll(x, by, axes), inputs: { x }, saved: { by, axes } };
  },
  backward({ by, axes }, dy) {
    const back = by.map((shift) => -shift);
    return { x: rolledAll(dy, back, axes) };
  },
});
