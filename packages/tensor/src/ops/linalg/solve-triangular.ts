import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastShapes, showShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { neg } from "../elementwise/unary.ts";
import { matmul } from "../matmul/matmul.ts";
import { expand } from "../shape/expand.ts";
import { transpose } from "../shape/permute.ts";
import { tril, triu } from "../shape/triangle.ts";
import solveCode from "./solve-triangular.wgsl";

const solveKernel = kernel("ops/linalg/solve-triangular.wgsl", solveCode);

/** Options of {@link solveTriangular}. */
export interface SolveTriangularOptions {
  /** Whether a's upper triangle is read, or else its lower one. What lies in the other is not looked at. */
  upper: boolean;
  /** Whether the unknown is on the right of a, a x = b (true), or on its left, x a = b. */
  left?: boolean;
  /** Whether a's diagonal counts as 1, whatever it holds (false). */
  unitriangular?: boolean;
}

/** x with a x = b, or aᵀ x = b, of the same leading dimensions. */
function solved(a: Tensor, b: Tensor, upper: boolean, unit: boolean, transposed: boolean): Tensor {
  const x = empty(b.shape);
  const [n, cols] = b.shape.slice(-2) as [number, number];
  const count = n === 0 ? 0 : x.size / n;
  const overrides = { UPPER: +upper, UNIT: +unit, TRANSPOSED: +transposed };
  run(solveKernel, { a, b, x }, { count, n, cols }, { threads: count, overrides });
  return x;
}

/** With a [..., n, n] and b [..., n, k] of the same leading dimensions. For tests: users call {@link solveTriangular}. */
export const solveLeft = defineOp("solveTriangular", {
  forward(a: Tensor, b: Tensor, upper: boolean, unit: boolean) {
    const x = solved(a, b, upper, unit, false);
    return { output: x, inputs: { a, b }, saved: { a, x, upper, unit } };
  },
  // db = a⁻ᵀ dx, da = −db xᵀ within the triangle, and without the diagonal where that counts as 1.
  backward({ a, x, upper, unit }, dx, needs) {
    const b = solved(a, dx, upper, unit, true);
    const diagonal = !unit ? 0 : upper ? 1 : -1;
    const outer = (): Tensor => neg(matmul(b, x, { transposeB: true }));
    return { a: needs.a ? (upper ? triu : tril)(outer(), { diagonal }) : undefined, b: needs.b ? b : undefined };
  },
});

/**
 * x with a x = b, where a [..., n, n] is triangular and b [..., n, k]; with `left: false` x with x a = b, where b is [..., k, n]. Leading
 * dimensions are broadcast. f32. A diagonal with a 0 gives infinities or NaN.
 * @throws when a is not square, or b does not fit it
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html
 */
export const solveTriangular = checked(
  "solveTriangular",
  { a: "tensor", b: "tensor", options: { upper: "boolean", left: "boolean?", unitriangular: "boolean?" } },
  (a: Tensor, b: Tensor, options: SolveTriangularOptions): Tensor => {
    const { upper, left = true, unitriangular = false } = options;
    const n = a.shape.at(-1);
    check(
      a.rank >= 2 && b.rank >= 2 && a.shape.at(-2) === n && b.shape.at(left ? -2 : -1) === n,
      () =>
        `solveTriangular: a is ${showShape(a.shape)}, b ${showShape(b.shape)}. They are [..., n, n] and [..., ${left ? "n, k" : "k, n"}].`,
    );
    const lead = broadcastShapes("solveTriangular", a.shape.slice(0, -2), b.shape.slice(0, -2));
    const whole = (t: Tensor): Tensor => {
      const shape = [...lead, ...t.shape.slice(-2)];
      return sizeOf(shape) === t.size && t.rank === shape.length ? t : expand(t, shape);
    };
    if (left) return solveLeft(whole(a), whole(b), upper, unitriangular);
    const flipped = (t: Tensor): Tensor => transpose(whole(t), -2, -1); // x a = b is aᵀ xᵀ = bᵀ
    return transpose(solveLeft(flipped(a), flipped(b), !upper, unitriangular), -2, -1);
  },
);
