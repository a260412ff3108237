import { defineOp } from "../../define-op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { resolveDim, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import backwardCode from "./softmax-backward.wgsl";
import forwardCode from "./softmax.wgsl";

const forwardKernel = kernel("ops/softmax/softmax.wgsl", forwardCode);
const backwardKernel = kernel("ops/softmax/softmax-backward.wgsl", backwardCode);

/** Along which dimension; the last unless said otherwise. */
export interface SoftmaxOptions {
  dim?: number;
}

/** The lines of `shape` along `dim`: how many, how long, and how far apart their elements lie. */
export function linesAlong(op: string, shape: Shape, dim: number): { rows: number; cols: number; inner: number } {
  const axis = resolveDim(op, dim, shape.length);
  const cols = shape[axis] ?? 1;
  return { rows: cols === 0 ? 0 : sizeOf(shape) / cols, cols, inner: sizeOf(shape.slice(axis + 1)) };
}

/** softmax and log-softmax differ by one override; both save only y, from which dx follows without x. */
function define(name: string, LOG: 0 | 1) {
  return defineOp(name, {
    forward(x: Tensor, { dim = -1 }: SoftmaxOptions = {}) {
      const lines = linesAlong(name, x.shape, dim);
      const y = empty(x.shape);
      run(forwardKernel, { x, y }, lines, { threads: lines.rows, overrides: { LOG } });
      return { output: y, inputs: { x }, saved: { y, lines } };
    },
    backward({ y, lines }, dy) {
      const dx = empty(y.shape);
      run(backwardKernel, { y, dy, dx }, lines, { threads: lines.rows, overrides: { LOG } });
      return { x: dx };
    },
  });
}

/** softmax(x)_c = exp(x_c) / Σ_k exp(x_k) along `dim`: f32 of x's shape. A row with +∞, or all −∞, gives NaN as in PyTorch. */
export const softmax = define("softmax", 0);

/** ln softmax(x) along `dim`, without the loss of precision that taking the logarithm afterwards has. */
export const logSoftmax = define("log_softmax", 1);
