import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { sub } from "../elementwise/binary.ts";
import { choose } from "../elementwise/choose.ts";
import { unsqueeze } from "../shape/reshape.ts";
import { combine } from "./combine.ts";
import { norm } from "./norm.ts";
import { reductionOf } from "./stretch.ts";

/** The largest |x| in each row. Of several that are equal each takes all of the gradient, as in PyTorch's cdist. For tests: users call {@link cdist}. */
export const largestDifference = defineOp("cdist", {
  forward(x: Tensor) {
    const reduction = reductionOf("cdist", x.shape, { dim: -1 });
    const y = combine("max", applyUnary("abs", x), reduction);
    return { output: y, inputs: { x }, saved: { x, y, kept: reduction.kept } };
  },
  // dx = dy sign(x) where |x| = y.
  backward({ x, y, kept }, dy) {
    const slope = applyBinary("mul", applyUnary("sign", x), dy.alias(kept), x.shape, "f32");
    const largest = applyBinary("eq", applyUnary("abs", x), y.alias(kept), x.shape, "f32");
    return { x: choose(largest, slope, 0, x.shape, "f32") };
  },
});

/**
 * The distances of each row of a [..., M, D] to each row of b [..., N, D] by the norm of order `p` (2): [..., M, N], f32. The
 * differences [..., M, N, D] are written to memory. The gradient at distance 0 is 0.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cdist.html
 */
export const cdist = checked(
  "cdist",
  { a: "tensor", b: "tensor", options: { p: "number?" } },
  (a: Tensor, b: Tensor, { p = 2 }: { p?: number } = {}): Tensor => {
    check(
      a.rank >= 2 && b.rank >= 2 && a.shape.at(-1) === b.shape.at(-1),
      () =>
        `cdist: a is ${showShape(a.shape)}, b ${showShape(b.shape)}. They are lists of vectors of one length: [..., M, D] and [..., N, D].`,
    );
    check(p >= 0, () => `cdist: p is ${p}, not a number from 0 up.`);
    const differences = sub(unsqueeze(a, -2), unsqueeze(b, -3));
    return p === Infinity && differences.shape.at(-1)! > 0
      ? largestDifference(differences)
      : norm(differences, { ord: p, dim: -1 });
  },
);
