import { beforeAll, describe, expect, test } from "vitest";
import { destroy, init } from "../../runtime/init.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { fromArray } from "../../factories.ts";
import { forceRung } from "../ladders.ts";
import { matmulLadder } from "./ladder.ts";
import { linear, linearGelu } from "./linear.ts";
import { linearGeluReference, linearReference } from "./linear.reference.ts";

const shapes = [
  [[1, 1], [1, 1], [1]],
  [[5], [3, 5], [3]],
  [
    [7, 5],
    [3, 5],
  ],
  [[2, 3, 5], [4, 5], [4]],
  [[2, 1, 3, 9], [7, 9], [7]],
  [[0, 5], [3, 5], [3]],
  [[4, 0], [3, 0], [3]],
  [[4, 5], [0, 5], [0]],
];
const cases = [
  ...shapes.map((s) => ({ shapes: s })),
  { shapes: [[67, 70], [131, 70], [131]], gradient: false, atol: 2e-5 },
];

checkOp(linear, linearReference, { cases });
checkOp(linearGelu, linearGeluReference, {
  cases: [
    ...cases,
    { shapes: [[7, 5], [3, 5], [3]], args: [{ approximate: "tanh" }] },
    ...(["none", "tanh"] as const).map((approximate) => ({
      shapes: [[801, 1], [1, 1], [1]],
      values: [Float32Array.from({ length: 801 }, (_, i) => (i - 400) / 20), [1], [0]],
      args: [{ approximate }],
      gradient: false,
      note: "from −20 to 20",
    })),
  ],
});

const { adapter } = await init();
await destroy();
for (const rung of Object.values(matmulLadder.rungs)) {
  describe.skipIf(!rung.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" }))(rung.kernel, () => {
    beforeAll(() => forceRung("matmul", rung.name));
    checkOp(linear, linearReference, {
      cases: [[67, 70, 131] as const, [64, 32, 128] as const].map(([rows, inputs, outputs]) => ({
        shapes: [[rows, inputs], [outputs, inputs], [outputs]],
        gradient: false,
        atol: 2e-5,
      })),
    });
    checkOp(linearGelu, linearGeluReference, {
      cases: (["none", "tanh"] as const).flatMap((approximate) => [
        { shapes: [[67, 70], [131, 70], [131]], args: [{ approximate }], gradient: false, atol: 2e-5 },
        { shapes: [[64, 32], [128, 32], [128]], args: [{ approximate }], gradient: false, atol: 2e-5 },
        { shapes: [[5, 7], [6, 7], [6]], args: [{ approximate }] },
        {
          shapes: [[801, 1], [4, 1], [4]],
          values: [Float32Array.from({ length: 801 }, (_, i) => (i - 400) / 20), [1, -1, 0.5, 0], [0, 0, 0, 1]],
          args: [{ approximate }],
          gradient: false,
          note: "from −20 to 20",
        },
      ]),
    });
  });
}

describe("linear refuses", () => {
  withDevice();
  const zeros = (...shape: number[]) => fromArray(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

  test("a weight that is [in, out]", () => {
    expect(() => linear(zeros(2, 4), zeros(4, 3))).toThrow(
      "linear: x's last dimension is not weight's last: x [2,4] · weight [4,3]. The weight is [out, in], as in PyTorch.",
    );
  });
  test("a bias of another size", () => {
    expect(() => linear(zeros(2, 4), zeros(3, 4), zeros(4))).toThrow("linear: bias [4] is not [3]");
  });

  test("a weight that is not a matrix, and whole numbers", () => {
    expect(() => linear(zeros(2, 4), zeros(4))).toThrow(
      "linear: weight is not a matrix [out, in]: x [2,4] · weight [4]",
    );
    expect(() => linear(zeros(), zeros(3, 4))).toThrow("linear: x's last dimension");
    const whole = (...shape: number[]) => fromArray(new Int32Array(shape.reduce((a, b) => a * b, 1)), shape, "i32");
    for (const [name, x, w, b] of [
      ["x", whole(2, 4), zeros(3, 4), zeros(3)],
      ["weight", zeros(2, 4), whole(3, 4), zeros(3)],
      ["bias", zeros(2, 4), zeros(3, 4), whole(3)],
    ] as const)
      // prettier-ignore
      expect(() => linear(x, w, b)).toThrow(`linear: ${name} is i32; products are of floats. cast(${name}, "f32")`);
    expect(() => linear(zeros(2, 4), zeros(3, 4), zeros(3, 1))).toThrow("linear: bias [3,1] is not [3]");
  });
});
