import { computeType, type ComputeType } from "../../autocast.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { defineStorageOp, notDifferentiable } from "../../op.ts";
import { showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnaryBackward } from "../elementwise/apply.ts";
import { geluFunction, geluTakes, type GeluOptions } from "../elementwise/unary.ts";
import { sum } from "../reduce/sum.ts";
import { type Gelu } from "./task.ts";
import { multiply } from "./product.ts";
import { widened } from "./quantize.ts";

interface Sizes {
  shape: number[];
  rows: number;
  inFeatures: number;
  outFeatures: number;
  precision: ComputeType;
}

function plan(op: string, x: Tensor, weight: Tensor, bias: Tensor | undefined, scale?: Tensor): Sizes {
  const shapes = () => `x ${showShape(x.shape)} · weight ${showShape(weight.shape)}`;
  check(weight.rank === 2, () => `${op}: weight is not a matrix [out, in]: ${shapes()}.`);
  const outFeatures = weight.shape[0]!;
  const inFeatures = weight.shape[1]! * (scale ? 4 : 1); // in a word there are four of 8 bits
  check(
    x.rank > 0 && x.shape.at(-1) === inFeatures,
    () => `${op}: x's last dimension is not weight's last: ${shapes()}. The weight is [out, in], as in PyTorch.`,
  );
  check(
    bias === undefined || (bias.rank === 1 && bias.size === outFeatures),
    () => `${op}: bias ${showShape(bias!.shape)} is not [${outFeatures}], one number for each row of the weight.`,
  );
  for (const [name, t] of Object.entries({ x, bias, ...(!scale && { weight }) })) {
    check(
      !t || isFloat(t.dtype),
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
  { gelu, scale }: { gelu?: Gelu | undefined; scale?: Tensor } = {},
): Tensor {
  const h = empty(shape);
  multiply({
    a: x,
    b: weight,
    c: h,
    bias,
    scale,
    gelu,
    M: rows,
    N: outFeatures,
    K: inFeatures,
    transposeB: true,
    precision,
  });
  return h;
}

/** What the gradients of x · weightᵀ + bias need. */
interface Saved {
  x: Tensor;
  weight: Tensor;
  sizes: Sizes;
}

/** dx = dy · weight, added to a gradient of x that is there already; dweight = dyᵀ · x over all rows, dbias = Σ dy over all rows. */
function linearGradients(
  { x, weight, sizes }: Saved,
  dy: Tensor,
  needs: { x: boolean; weight: boolean; bias: boolean },
  onto: { x?: Tensor | undefined } = {},
) {
  const { rows, inFeatures, outFeatures, precision } = sizes;
  const gradients: { x?: Tensor; weight?: Tensor; bias?: Tensor } = {};
  if (needs.x) {
    const dx = (gradients.x = onto.x ?? empty(x.shape));
    const accumulate = dx === onto.x;
    multiply({ a: dy, b: weight, c: dx, accumulate, M: rows, N: inFeatures, K: outFeatures, precision });
  }
  if (needs.weight) {
    const dweight = (gradients.weight = empty(weight.shape));
    const sizes = { M: outFeatures, N: inFeatures, K: rows };
    // dbias comes with it where a kernel can: the sums of dyᵀ's rows, which pass by.
    const dbias = multiply({ a: dy, b: x, c: dweight, ...sizes, transposeA: true, precision, sumsRows: needs.bias });
    if (dbias) gradients.bias = dbias;
  }
  if (needs.bias) gradients.bias ??= sum(dy.alias([rows, outFeatures]), { dim: 0 });
  return gradients;
}

/**
 * x · weightᵀ + bias: x [..., in], weight [out, in], bias [out] give [..., out], f32. A weight kept in f16 is read as it is where a kernel can.
 * @throws when the shapes don't fit, or the elements are not floats.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html
 */
export const linear = defineStorageOp("linear", {
  takes: { x: "tensor", weight: "tensor", bias: "tensor?" },
  forward(x: Tensor, weight: Tensor, bias?: Tensor) {
    const sizes = plan("linear", x, weight, bias);
    const wide = widened(x);
    const y = forward(sizes, wide, weight, bias && widened(bias));
    return { output: y, inputs: { x, weight, bias }, saved: { x: wide, weight, sizes } };
  },
  backward: linearGradients,
});

/**
 * gelu(x · weightᵀ + bias), the first half of a transformer's feed-forward block: shapes as in {@link linear}. One step of the
 * tape, and one kernel where the product's can write both y and h = x · weightᵀ + bias, which backward needs.
 * @throws when the shapes don't fit, or the elements are not floats.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html
 */
export const linearGelu = defineStorageOp("linearGelu", {
  takes: { x: "tensor", weight: "tensor", bias: "tensor?", options: geluTakes },
  forward(x: Tensor, weight: Tensor, bias?: Tensor, options: GeluOptions = {}) {
    const sizes = plan("linearGelu", x, weight, bias);
    const fn = geluFunction(options);
    const y = empty(sizes.shape);
    const wide = widened(x);
    const h = forward(sizes, wide, weight, bias && widened(bias), { gelu: { fn, y } });
    return { output: y, inputs: { x, weight, bias }, saved: { x: wide, weight, sizes, h, fn } };
  },
  // h is saved, not y: gelu takes most values twice, so its slope can't be had from y. To compute h again would cost as much as forward.
  backward({ h, fn, ...saved }, dy, needs, onto) {
    const dh = applyUnaryBackward(fn, h, dy);
    return linearGradients(saved, dh, needs, onto);
  },
});

/**
 * x · weightᵀ + bias, or gelu of it, of a weight in 8 bits as {@link quantizeInt8} gives it: words [out, in / 4] and scales [out]. Sums are f32. For inference.
 * @throws when the shapes don't fit
 */
export const linearInt8 = defineOp("linearInt8", {
  takes: {
    x: "tensor",
    weight: "tensor",
    scale: "tensor",
    bias: "tensor?",
    options: { gelu: ["none", "tanh"] },
  },
  forward(
    x: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias?: Tensor,
    options: { gelu?: GeluOptions["approximate"] } = {},
  ) {
    const words = () => `weight ${weight.toString()} · scale ${scale.toString()}`;
    check(
      weight.dtype === "u32",
      () => `linearInt8: weight is not words of four weights: ${words()}. quantizeInt8() makes them.`,
    );
    check(
      scale.size === weight.shape[0],
      () => `linearInt8: scale is not one number for each row of the weight: ${words()}.`,
    );
    const sizes = plan("linearInt8", x, weight, bias, scale);
    const { gelu: approximate } = options;
    const y = approximate && { fn: geluFunction({ approximate }), y: empty(sizes.shape) };
    const h = forward(sizes, x, weight, bias, { gelu: y, scale });
    return { output: y?.y ?? h, inputs: { x, bias }, saved: {} };
  },
  backward: notDifferentiable("weights of 8 bits are for inference; train in f32 and quantize what was trained."),
});
