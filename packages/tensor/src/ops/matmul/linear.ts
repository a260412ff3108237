import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import columnSumCode from "./column-sum.wgsl";
import geluCode from "./gelu.wgsl";
import { multiply } from "./product.ts";

const columnSum = kernel("ops/matmul/column-sum.wgsl", columnSumCode);
const geluKernel = kernel("ops/matmul/gelu.wgsl", geluCode);

interface Sizes {
  shape: number[];
  rows: number;
  inFeatures: number;
  outFeatures: number;
}

function plan(op: string, x: Tensor, weight: Tensor, bias: Tensor | undefined): Sizes {
  const shapes = () => `x ${showShape(x.shape)} · weight ${showShape(weight.shape)}`;
  check(weight.rank === 2, () => `${op}: weight is not a matrix [out, in]: ${shapes()}.`);
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  check(
    x.rank > 0 && x.shape.at(-1) === inFeatures,
    () => `${op}: x's last dimension is not weight's last: ${shapes()}. The weight is [out, in], as in PyTorch.`,
  );
  check(
    bias === undefined || (bias.rank === 1 && bias.size === outFeatures),
    () => `${op}: bias ${showShape(bias!.shape)} is not [${outFeatures}], one number for each row of the weight.`,
  );
  const leading = x.shape.slice(0, -1);
  return { shape: [...leading, outFeatures], rows: sizeOf(leading), inFeatures, outFeatures };
}

/** What the gradients of x · weightᵀ + bias need. */
interface Saved {
  x: Tensor;
  weight: Tensor;
  sizes: Sizes;
}

/** dx = dy · weight, dweight = dyᵀ · x over all rows, dbias = Σ dy over all rows. */
function linearGradients(
  { x, weight, sizes }: Saved,
  dy: Tensor,
  needs: { x: boolean; weight: boolean; bias: boolean },
) {
  const { rows, inFeatures, outFeatures } = sizes;
  const gradients: { x?: Tensor; weight?: Tensor; bias?: Tensor } = {};
  if (needs.x) {
    const dx = (gradients.x = empty(x.shape));
    multiply({ a: dy, b: weight, c: dx, M: rows, N: inFeatures, K: outFeatures });
  }
  if (needs.weight) {
    const dweight = (gradients.weight = empty(weight.shape));
    multiply({ a: dy, b: x, c: dweight, M: outFeatures, N: inFeatures, K: rows, transposeA: true });
  }
  if (needs.bias) {
    const dbias = (gradients.bias = empty([outFeatures]));
    run(columnSum, { x: dy, y: dbias }, { rows, cols: outFeatures }, { threads: outFeatures });
  }
  return gradients;
}

/**
 * x · weightᵀ + bias: x [..., in], weight [out, in], bias [out] give [..., out], f32.
 * @throws when the shapes don't fit.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
 */
export const linear = defineOp("linear", {
  forward(x: Tensor, weight: Tensor, bias?: Tensor) {
    const sizes = plan("linear", x, weight, bias);
    const y = empty(sizes.shape);
    multiply({
      a: x,
      b: weight,
      c: y,
      bias,
      M: sizes.rows,
      N: sizes.outFeatures,
      K: sizes.inFeatures,
      transposeB: true,
    });
    return { output: y, inputs: { x, weight, bias }, saved: { x, weight, sizes } };
  },
  backward: linearGradients,
});

/** Which GELU: `"none"` is exact, x·Φ(x); `"tanh"` is its approximation by tanh. */
export interface LinearGeluOptions {
  approximate?: "none" | "tanh";
}

/**
 * gelu(x · weightᵀ + bias), the first half of a transformer's feed-forward block: shapes as in {@link linear}.
 * @throws when the shapes don't fit.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html
 */
export const linearGelu = defineOp("linear_gelu", {
  forward(x: Tensor, weight: Tensor, bias?: Tensor, { approximate = "none" }: LinearGeluOptions = {}) {
    const sizes = plan("linear_gelu", x, weight, bias);
    check(
      approximate === "none" || approximate === "tanh",
      () => `linear_gelu: approximate is ${JSON.stringify(approximate)}: it may be "none" or "tanh".`,
    );
    const TANH = Number(approximate === "tanh");
    const h = empty(sizes.shape);
    const y = empty(sizes.shape);
    multiply({
      a: x,
      b: weight,
      c: h,
      bias,
      M: sizes.rows,
      N: sizes.outFeatures,
      K: sizes.inFeatures,
      transposeB: true,
    });
    run(geluKernel, { x: h, dy: h, y }, { size: h.size }, { threads: Math.ceil(h.size / 4), overrides: { TANH } });
    return { output: y, inputs: { x, weight, bias }, saved: { x, weight, h, TANH, sizes } };
  },
  // h is saved, not y: gelu takes most values twice, so its slope can't be had from y. To recompute h would cost as much as forward.
  backward({ h, TANH, ...saved }, dy, needs) {
    const dh = empty(h.shape);
    const overrides = { TANH, BACKWARD: 1 };
    run(geluKernel, { x: h, dy, y: dh }, { size: h.size }, { threads: Math.ceil(h.size / 4), overrides });
    return linearGradients(saved, dh, needs);
  },
});
