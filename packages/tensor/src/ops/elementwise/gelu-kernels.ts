import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnary } from "./apply.ts";
import naiveCode from "./gelu-naive.wgsl";

const naiveKernel = kernel("ops/elementwise/gelu-naive.wgsl", naiveCode);

/**
 * The ladder of the exact GELU: f32 to f32. The op takes the last; its third step, in the epilogue of a matmul, is linearGelu's
 * (ops/matmul/epilogue-gelu.wgsl).
 */
export const geluKernels = {
  /** One invocation per element: for readers. */
  naive: {
    name: "gelu-naive",
    compute(x: Tensor): Tensor {
      const y = empty(x.shape);
      run(naiveKernel, { x, y }, { count: x.size }, { threads: x.size });
      return y;
    },
  },
  /** Four elements per invocation. */
  fours: { name: "unary", compute: (x: Tensor): Tensor => applyUnary("gelu", x) },
};
