import { defineOp } from "../../define-op.ts";
import { device } from "../../runtime/device.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { resolveDim, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import rowsBackwardCode from "./softmax-rows-backward.wgsl";
import rowsCode from "./softmax-rows.wgsl";
import workgroupBackwardCode from "./softmax-workgroup-backward.wgsl";
import workgroupCode from "./softmax-workgroup.wgsl";

const forwardKernels = {
  rows: kernel("ops/softmax/softmax-rows.wgsl", rowsCode),
  workgroup: kernel("ops/softmax/softmax-workgroup.wgsl", workgroupCode),
};
const backwardKernels = {
  rows: kernel("ops/softmax/softmax-rows-backward.wgsl", rowsBackwardCode),
  workgroup: kernel("ops/softmax/softmax-workgroup-backward.wgsl", workgroupBackwardCode),
};

/** Along which dimension; the last unless said otherwise. */
export interface SoftmaxOptions {
  dim?: number;
}

/** The lines of a shape along a dimension: how many, how long, and how far apart their elements lie. */
export interface Lines {
  rows: number;
  cols: number;
  inner: number;
}

/** The lines of `shape` along `dim`. */
export function linesAlong(op: string, shape: Shape, dim: number): Lines {
  const axis = resolveDim(op, dim, shape.length);
  const cols = shape[axis] ?? 1;
  return { rows: cols === 0 ? 0 : sizeOf(shape) / cols, cols, inner: sizeOf(shape.slice(axis + 1)) };
}

/** Whether a workgroup for each line pays: on a GPU, for contiguous lines of some length. Else each gets one invocation. */
export const wantsWorkgroups = ({ cols, inner }: Lines): boolean => !device().adapter.cpu && inner === 1 && cols >= 32;

/** Invocations of such a workgroup: few enough that each has some elements to add up before the tree. */
export const workgroupFor = (cols: number): number => (cols <= 256 ? 64 : 256);

/** softmax and log-softmax differ by one override; both save only y, from which dx follows without x. */
function define(name: string, LOG: 0 | 1) {
  const runLines = (kernels: typeof forwardKernels, tensors: Record<string, Tensor>, lines: Lines): void => {
    const { rows, cols, inner } = lines;
    if (wantsWorkgroups(lines)) {
      const overrides = { LOG, SIZE: workgroupFor(cols) };
      run(kernels.workgroup, tensors, { rows, cols }, { workgroups: rows, overrides });
    } else {
      const byVec4 = inner === 1 && cols % 4 === 0;
      const code: Kernel = byVec4 ? specialize(kernels.rows, { Lanes: "vec4f", WIDTH: 4 }) : kernels.rows;
      run(code, tensors, { rows, cols, inner }, { threads: rows, overrides: { LOG } });
    }
  };
  return defineOp(name, {
    forward(x: Tensor, { dim = -1 }: SoftmaxOptions = {}) {
      const lines = linesAlong(name, x.shape, dim);
      const y = empty(x.shape);
      runLines(forwardKernels, { x, y }, lines);
      return { output: y, inputs: { x }, saved: { y, lines } };
    },
    backward({ y, lines }, dy) {
      const dx = empty(y.shape);
      runLines(backwardKernels, { y, dy, dx }, lines);
      return { x: dx };
    },
  });
}

/** softmax(x)_c = exp(x_c) / Σ_k exp(x_k) along `dim`: f32 of x's shape. A row with +∞, or all −∞, gives NaN as in PyTorch. */
export const softmax = define("softmax", 0);

/** ln softmax(x) along `dim`, without the loss of precision that taking the logarithm afterwards has. */
export const logSoftmax = define("log_softmax", 1);
