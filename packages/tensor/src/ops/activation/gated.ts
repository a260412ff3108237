import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { broadcastShapes, resolveDim, showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { mul } from "../elementwise/binary.ts";
import { clamp, sigmoid } from "../elementwise/unary.ts";
import { sumTo } from "../reduce/sum.ts";
import { split } from "../shape/slice.ts";
import { applyActivation } from "./activation.ts";

/** min(max(x, minVal), maxVal), from −1 to 1 unless given; dx = 0 at both ends. `{ minVal: 0, maxVal: 6 }` is ReLU6. */
export const hardtanh = checked(
  "hardtanh",
  { x: "tensor", options: { minVal: "number?", maxVal: "number?" } },
  (x: Tensor, { minVal = -1, maxVal = 1 }: { minVal?: number; maxVal?: number } = {}): Tensor =>
    clamp(x, { min: minVal, max: maxVal }),
);

/** The first half of x along `dim` (the last one), times the sigmoid of the second half. @see https://arxiv.org/abs/1612.08083 */
export const glu = checked(
  "glu",
  { x: "tensor", options: { dim: "dim?" } },
  (x: Tensor, { dim = -1 }: { dim?: number } = {}): Tensor => {
    const n = x.shape[resolveDim("glu", dim, x.rank)] ?? 1;
    check(n % 2 === 0, () => `glu: dimension ${dim} of ${showShape(x.shape)} is odd; it has two halves.`);
    const [value, gate] = split(x, n / 2, { dim }) as [Tensor, Tensor];
    return mul(value, sigmoid(gate));
  },
);

/** ln(eᵃ + eᵇ), by what it exceeds the larger one; a and b are broadcast. */
export const logaddexp = defineOp("logaddexp", {
  takes: { a: "tensor", b: "tensor" },
  forward(a: Tensor, b: Tensor) {
    const shape = broadcastShapes("logaddexp", a.shape, b.shape);
    const f32 = (fn: "maximum" | "sub" | "add", p: Tensor, q: Tensor): Tensor => applyBinary(fn, p, q, shape, "f32");
    const difference = f32("sub", a, b);
    const output = f32("add", f32("maximum", a, b), applyActivation("log_add", difference));
    return { output, inputs: { a, b }, saved: { difference, shapes: [a.shape, b.shape] as const } };
  },
  // Each has its share of the sum.
  backward({ difference, shapes }, dy, needs) {
    const share = (d: Tensor): Tensor => applyBinary("mul", dy, applyUnary("sigmoid", d), dy.shape, "f32");
    return {
      a: needs.a ? sumTo(share(difference), shapes[0]) : undefined,
      b: needs.b ? sumTo(share(applyUnary("neg", difference)), shapes[1]) : undefined,
    };
  },
});
