import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { resolveDim } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { scan } from "./cumsum.ts";
import backwardCode from "./cumulative-backward.wgsl";
import logCode from "./logcumsumexp.wgsl";
import { linesOf, type Lines } from "./stretch.ts";

const backwardKernel = kernel("ops/reduce/cumulative-backward.wgsl", backwardCode);
const logKernel = kernel("ops/reduce/logcumsumexp.wgsl", logCode);

interface Saved {
  x: Tensor;
  y: Tensor;
  lines: Lines;
}

const paramsOf = ({ outer, n, inner }: Lines) => ({ lines: outer * inner, n, inner });

/** dx of a running value; see cumulative-backward.wgsl. */
function goBack({ x, y, lines }: Saved, dy: Tensor, LOG: 0 | 1): Tensor {
  const dx = empty(x.shape);
  const params = paramsOf(lines);
  if (dx.size > 0) run(backwardKernel, { x, y, dy, dx }, params, { threads: params.lines, overrides: { LOG } });
  return dx;
}

/** The lines of x along `dim`. */
function alongDim(op: string, x: Tensor, dim: number): Lines {
  resolveDim(op, dim, x.rank);
  return linesOf(op, x.shape, { dim }).lines;
}

/** y_k = x_0 · … · x_k along `dim`: f32; of i32 and u32 in the same dtype, modulo 2³²; of bool i32. dx is right at zeros, too. */
export const cumprod = defineOp("cumprod", {
  takes: { x: "tensor", options: { dim: "dim" } },
  forward(x: Tensor, { dim }: { dim: number }) {
    const lines = alongDim("cumprod", x, dim);
    const y = scan(x.dtype === "bool" ? cast(x, "i32") : x, lines, { fn: "prod" });
    return { output: y, inputs: { x }, saved: { x, y, lines } };
  },
  backward: (saved, dy) => ({ x: goBack(saved, dy, 0) }),
});

/** y_k = ln(e^x_0 + … + e^x_k) along `dim`: f32. The largest so far is taken out first, so that no eˣ overflows. */
export const logcumsumexp = defineOp("logcumsumexp", {
  takes: { x: "tensor", options: { dim: "dim" } },
  forward(given: Tensor, { dim }: { dim: number }) {
    const lines = alongDim("logcumsumexp", given, dim);
    const x = isFloat(given.dtype) ? given : cast(given, "f32");
    const y = empty(x.shape);
    const params = paramsOf(lines);
    if (y.size > 0) run(logKernel, { x, y }, params, { threads: params.lines });
    return { output: y, inputs: { x: given }, saved: { x, y, lines } };
  },
  backward: (saved, dy) => ({ x: goBack(saved, dy, 1) }),
});
