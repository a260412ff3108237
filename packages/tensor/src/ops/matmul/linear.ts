import { computeType, type ComputeType } from "../../autocast.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnaryBackward } from "../elementwise/apply.ts";
import { geluFunction, geluTakes, type GeluOptions } from "../elementwise/unary.ts";
import { sum } from "../reduce/sum.ts";
import { type Gelu } from "./task.ts";
import { multiply } from "./product.ts";

interface Sizes {
  shape: number[];
  rows: number;
  inFeatures: number;
  outFeatures: number;
  precision: ComputeType;
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
  for (const [name, t] of Object.entries({ x, weight, bias })) {
    check(
      !t || t.dtype === "f32",
      () => `${op}: ${name} is ${t!.dtype}; products are of floats. cast(${name}, "f32") makes it one.`,
    );
  }
  const leading = x.shape.slice(0, -1);
  return { shape: [...leading, outFeatures], rows: sizeOf(leading), inFeatures, outFeatures, precision: computeType() };
}

function forward(
  { shape, rows, inFeatures, outFeatures, precision }: Sizes,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  gelu?: Gelu,
): Tensor {
  const h = empty(shape);
  multiply({ a: x, b: weight, c: h, bias, gelu, M: rows, N: outFeatures, K: inFeatures, transposeB: true, precision });
  return h;
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
  const { rows, inFeatures, outFeatures, precision } = sizes;
  const gradients: { x?: Tensor; weight?: Tensor; bias?: Tensor } = {};
  if (needs.x) {
    const dx = (gradients.x = empty(x.shape));
    multiply({ a: dy, b: weight, c: dx, M: rows, N: inFeatures, K: outFeatures, precision });
  }
  if (needs.weight) {
    const dweight = (gradients.weight = empty(weight.shape));
    multiply({ a: dy, b: x, c: dweight, M: outFeatures, N: inFeatures, K: rows, transposeA: true, precision });
  }
  if (needs.bias) gradients.bias = sum(dy.alias([rows, outFeatures]), { dim: 0 });
  return gradients;
}

/**
 * x · weightᵀ + bias: x [..., in], weight [out, in], bias [out] give [..., out], f32.
 * @throws when the shapes don't fit, or the elements are not floats.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
 */
export const linear = defineOp("linear", {
  takes: { x: "tensor", weight: "tensor", bias: "tensor?" },
  forward(x: Tensor, weight: Tensor, bias?: Tensor) {
    const sizes = plan("linear", x, weight, bias);
    const y = forward(sizes, x, weight, bias);
    return { output: y, inputs: { x, weight, bias }, saved: { x, weight, sizes } };
  },
  backward: linearGradients,
});

/**
 * gelu(x · weightᵀ + bias), the first half of a transformer's feed-forward block: shapes as in {@link linear}. One step of the
 * tape, and one kernel where the product's can write both y and h = x · weightᵀ + bias, which backward needs.
 * @throws when the shapes don't fit, or the elements are not floats.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html
 */
export const linearGelu = defineOp("linearGelu", {
  takes: { x: "tensor", weight: "tensor", bias: "tensor?", options: geluTakes },
  forward(x: Tensor, weight: Tensor, bias?: Tensor, options: GeluOptions = {}) {
    const sizes = plan("linearGelu", x, weight, bias);
    const fn = geluFunction(options);
    const y = empty(sizes.shape);
    const h = forward(sizes, x, weight, bias, { fn, y });
    return { output: y, inputs: { x, weight, bias }, saved: { x, weight, sizes, h, fn } };
  },
  // h is saved, not y: gelu takes most values twice, so its slope can't be had from y. To compute h again would cost as much as forward.
  backward({ h, fn, ...saved }, dy, needs) {
    const dh = applyUnaryBackward(fn, h, dy);
    return linearGradients(saved, dh, needs);
  },
});
