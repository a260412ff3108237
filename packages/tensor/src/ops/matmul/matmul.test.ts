import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkOp, withDevice, type OpCase } from "../../testing/check-op.ts";
import { destroy, init } from "../../runtime/device.ts";
import { fromArray } from "../../tensor.ts";
import { matmulKernels, type MatmulKernel } from "./kernels.ts";
import { matmul } from "./matmul.ts";
import { matmulReference } from "./matmul.reference.ts";
import { force } from "./product.ts";

const flips = [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }];
const size = (batch: number[], rows: number, cols: number, flip: boolean | undefined) =>
  flip ? [...batch, cols, rows] : [...batch, rows, cols];

/** All four forms of a product, batches given. */
const forms = (
  aBatch: number[],
  bBatch: number[],
  M: number,
  K: number,
  N: number,
  more: Partial<OpCase> = {},
): OpCase[] =>
  flips.map((flip) => ({
    shapes: [size(aBatch, M, K, flip.transposeA), size(bBatch, K, N, flip.transposeB)],
    args: [flip],
    ...more,
  }));

const cases: OpCase[] = [
  ...forms([], [], 1, 1, 1),
  ...forms([], [], 5, 7, 3),
  ...forms([3], [3], 2, 5, 4),
  ...forms([2, 3], [3], 3, 2, 4, { note: "B broadcast along the outer batch" }),
  ...forms([4], [1], 3, 2, 4, { note: "B broadcast" }),
  ...forms([1, 3], [2, 1], 2, 3, 2, { note: "both broadcast" }),
  ...forms([2, 1, 2], [1, 2, 1], 2, 3, 2, { note: "both broadcast, in turns" }),
  ...forms([], [], 3, 0, 4, { note: "an empty sum" }),
  ...forms([], [], 0, 3, 4),
  ...forms([0], [], 2, 3, 4, { note: "no matrix at all" }),
  ...forms([], [], 65, 67, 33, { gradient: false, atol: 2e-5 }),
  ...forms([], [], 64, 16, 32, { gradient: false, atol: 2e-5, note: "whole tiles" }),
  ...forms([2], [2], 129, 70, 131, { gradient: false, atol: 2e-5 }),
  ...forms([2], [2], 132, 36, 68, { gradient: false, atol: 2e-5, note: "whole vectors" }),
  {
    shapes: [
      [2, 3072],
      [3072, 3],
    ],
    gradient: false,
    atol: 2e-4,
    note: "a long sum",
  },
];

const { adapter } = await init();
await destroy();
for (const kernel of Object.values<MatmulKernel>(matmulKernels)) {
  describe.skipIf(!kernel.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" }))(kernel.name, () => {
    beforeAll(() => void (force.kernel = kernel));
    afterAll(() => void (force.kernel = undefined));
    checkOp(matmul, matmulReference, { cases });
  });
}

checkOp(matmul, matmulReference, {
  cases: [
    { shapes: [[5], [5]] },
    { shapes: [[5], [5, 3]] },
    { shapes: [[5], [2, 5, 3]] },
    { shapes: [[3, 5], [5]] },
    { shapes: [[2, 3, 5], [5]], args: [{ transposeB: true }] },
    {
      shapes: [
        [70_000, 1, 2],
        [70_000, 2, 1],
      ],
      gradient: false,
      note: "many matrices",
    },
    {
      shapes: [
        [2200, 3],
        [3, 2000],
      ],
      gradient: false,
      note: "more than 65,535 workgroups",
    },
  ],
});

describe("matmul refuses", () => {
  withDevice();
  const zeros = (...shape: number[]) => fromArray(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

  test("inner dimensions that differ, with a hint", () => {
    expect(() => matmul(zeros(2, 4, 6), zeros(5, 6))).toThrow(
      "matmul: inner dimensions differ: a [2,4,6] · b [5,6] (6 and 5). Did you mean transposeB?",
    );
  });
  test("batches that don't broadcast", () => {
    expect(() => matmul(zeros(2, 4, 6), zeros(3, 6, 5))).toThrow(
      "matmul, batch of: shapes don't broadcast: [2] and [3]",
    );
  });
  test("whole numbers", () => {
    const whole = fromArray([1], [1, 1], "i32");
    expect(() => matmul(zeros(1, 1), whole)).toThrow(
      'matmul: b is i32; products are of floats. cast(b, "f32") makes it one.',
    );
  });
  test("scalars", () => {
    expect(() => matmul(zeros(), zeros(2, 2))).toThrow("matmul: a scalar is no matrix");
  });
});
