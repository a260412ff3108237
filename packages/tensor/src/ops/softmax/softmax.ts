import { defineOp } from "../../define-op.ts";
import { resolveDim, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { choose } from "./choose.ts";
import { type Lines, type SoftmaxTask } from "./ladder.ts";

/** Along which dimension; the last unless said otherwise. */
export interface SoftmaxOptions {
  dim?: number;
}

/** The lines of `shape` along `dim`. */
export function linesAlong(op: string, shape: Shape, dim: number): Lines {
  const axis = resolveDim(op, dim, shape.length);
  const cols = shape[axis] ?? 1;
  return { rows: cols === 0 ? 0 : sizeOf(shape) / cols, cols, inner: sizeOf(shape.slice(axis + 1)) };
}

const compute = (task: SoftmaxTask): void => choose(task).compute(task);

/** softmax and log-softmax differ by one override; both save only y, from which dx follows without x. */
/* @__NO_SIDE_EFFECTS__ */
function define(name: string, log: boolean) {
  return defineOp(name, {
    takes: { x: "tensor", options: { dim: "dim?" } },
    forward(x: Tensor, { dim = -1 }: SoftmaxOptions = {}) {
      const lines = linesAlong(name, x.shape, dim);
      const y = empty(x.shape);
      compute({ pass: "forward", ...lines, log, tensors: { x, y } });
      return { output: y, inputs: { x }, saved: { y, lines } };
    },
    backward({ y, lines }, dy) {
      const dx = empty(y.shape);
      compute({ pass: "backward", ...lines, log, tensors: { y, dy, dx } });
      return { x: dx };
    },
  });
}

/** softmax(x)_c = exp(x_c) / Σ_k exp(x_k) along `dim`: f32 of x's shape. A row with +∞, or all −∞, gives NaN. */
export const softmax = define("softmax", false);

/** ln softmax(x) along `dim`, without the loss of precision that taking the logarithm afterwards has. */
export const logSoftmax = define("logSoftmax", true);
