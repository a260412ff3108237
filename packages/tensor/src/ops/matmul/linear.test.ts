import { beforeAll, describe, expect, test } from "vitest";
import { destroy, init } from "../../runtime/init.ts";
import { checkOp, expectClose, withDevice } from "../../testing/check-op.ts";
import { f16Bits, f16Value } from "../../dtype.ts";
import { dryRun } from "../../dry-run.ts";
import { fromArray } from "../../factories.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkLinearGradients } from "../../testing/linear-gradients.ts";
import { ndArray } from "../../testing/nd-array.ts";
import { forceRung, withRung } from "../ladders.ts";
import { matmulLadder } from "./ladder.ts";
import { linear, linearGelu, linearInt8 } from "./linear.ts";
import { linearGeluReference, linearReference } from "./linear.reference.ts";
import { quantizeInt8 } from "./quantize.ts";

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

const onCpu = matmulLadder.rungs["subgroup"]?.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" });
for (const rung of ["naive", "tiled", "tiled/3", "tiledLarge", "tiledLarge/2", ...(onCpu ? ["subgroup"] : [])]) {
  describe(`gradients of a layer, ${rung}`, () => {
    withDevice();
    // Rows, in and out. Columns of dW that aren't whole vectors, several tiles of rows and of columns, one row, parts of k of which the last is short.
    test.each([[37, 20, 33], [131, 22, 5], [70, 132, 131], [1, 4, 3], [67, 260, 259], [132, 36, 68]] as const)("%i rows, %i in, %i out", (...sizes) => checkLinearGradients(rung, sizes)); // prettier-ignore
  });
}

test("kernels add up the gradient of a bias beside that of the weight", async () => {
  await init();
  const kernelsOf = (rung: string, ins: number): string[] =>
    dryRun(() => {
      const { forward, backward } = linear.definition;
      if (typeof backward !== "function") throw new Error("linear has a gradient");
      const { saved } = withRung("matmul", "naive", () => forward(empty([64, ins]), empty([32, ins]), empty([32])));
      withRung("matmul", rung, () => backward(saved, empty([64, 32]), { x: false, weight: true, bias: true }));
    })
      .dispatches.slice(1)
      .map(({ kernel }) => kernel.replace(/.*\//, ""));
  expect(kernelsOf("tiled", 16)).toEqual(["matmul-tiled.wgsl"]);
  expect(kernelsOf("tiled/2", 16)).toEqual(["matmul-tiled.wgsl", "matmul-sum.wgsl"]);
  if (onCpu) expect(kernelsOf("subgroup", 16)).toEqual(["matmul-subgroup.cpu.wgsl"]);
  expect(kernelsOf("naive", 16)).toEqual(["matmul-naive.wgsl", "reduce.wgsl"]);
  await destroy();
});

describe("weights in fewer bits", () => {
  withDevice();
  const values = (count: number, seed: number): Float32Array =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * (i + 3)));
  /** Rows, in and out: for each tile of the kernels that read words, and where rows end inside a word. */
  const sizes = [[5, 8, 6], [20, 72, 40], [67, 72, 131], [3, 12, 2], [1, 8, 40]] as const; // prettier-ignore
  const rungs = Object.values(matmulLadder.rungs).filter((rung) =>
    rung.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" }),
  );
  /** The layer with each rung, and as chosen, against the same weights in float64. */
  async function check(
    rows: number,
    ins: number,
    outs: number,
    exact: Float32Array,
    layer: (x: Tensor, bias: Tensor, gelu: boolean) => Tensor,
  ) {
    const [xs, bs] = [values(rows * ins, 1), values(outs, 2)];
    const [x, bias] = [fromArray(xs, [rows, ins]), fromArray(bs, [outs])];
    const nd = [ndArray([rows, ins], xs), ndArray([outs, ins], exact), ndArray([outs], bs)] as const;
    for (const gelu of [false, true]) {
      const want = gelu ? linearGeluReference(...nd) : linearReference(...nd);
      const note = (name: string): string => `${name}${gelu ? " with gelu" : ""} ${rows} × ${ins} × ${outs}`;
      const tolerance = { rtol: 2e-5, atol: 2e-5 };
      expectClose(await layer(x, bias, gelu).data(), want.data, tolerance, note("chosen"));
      for (const { name } of rungs)
        expectClose(
          await withRung("matmul", name, () => layer(x, bias, gelu)).data(),
          want.data,
          tolerance,
          note(name),
        );
    }
  }

  test.each([...sizes, [9, 7, 33] as const])("of f16, %i rows, %i in, %i out", async (rows, ins, outs) => {
    const halves = values(outs * ins, 3).map((v) => f16Value(f16Bits(v)));
    const weight = fromArray(halves, [outs, ins], "f16");
    await check(rows, ins, outs, halves, (x, bias, gelu) => (gelu ? linearGelu : linear)(x, weight, bias));
  });

  test.each(sizes)("of 8 bits, %i rows, %i in, %i out", async (rows, ins, outs) => {
    const [words, scale] = quantizeInt8(fromArray(values(outs * ins, 4), [outs, ins]));
    const bytes = new Int8Array(((await words.data()) as Uint32Array).buffer);
    const scales = await scale.data();
    const exact = Float32Array.from(bytes, (q, i) => q * Number(scales[Math.floor(i / ins)]));
    await check(rows, ins, outs, exact, (x, bias, gelu) =>
      linearInt8(x, words, scale, bias, gelu ? { gelu: "none" } : {}),
    );
  });

  test("8 bits are rounded to the nearest of 255 steps, a scale for each row", async () => {
    const [words, scale] = quantizeInt8(fromArray([1, -0.25, 0.004, 0, -254, 2, 128, 3, 0, 0, 0, 0], [3, 4]));
    expect([...new Int8Array(((await words.data()) as Uint32Array).buffer)]).toEqual([127, -32, 1, 0, -127, 1, 64, 2, 0, 0, 0, 0]); // prettier-ignore
    expectClose(await scale.data(), [1 / 127, 2, 1], { rtol: 1e-6, atol: 0 }, "scales");
  });

  test("of f16 have gradients, in f32; of 8 bits they have none", async () => {
    const w = [0.5, -1, 2, 0.25, 1, -0.5, 0.125, 4];
    const weight = fromArray(w, [2, 4], "f16");
    const x = fromArray([1, 2, 3, 4], [1, 4]);
    const { saved } = linear.definition.forward(x, weight);
    const { backward } = linear.definition;
    if (typeof backward !== "function") throw new Error("linear has a gradient");
    const dx = backward(saved, fromArray([1, 10], [1, 2]), { x: true, weight: true, bias: false });
    expect([...(await dx.x!.data())]).toEqual([10.5, -6, 3.25, 40.25]);
    expect([...(await dx.weight!.data())]).toEqual([1, 2, 3, 4, 10, 20, 30, 40]);
    expect(linearInt8.definition.backward).toEqual({
      why: expect.stringContaining("8 bits are for inference") as string,
    });
  });

  test("are refused where they don't fit", () => {
    const x = fromArray([1, 2, 3, 4], [1, 4]);
    const [words, scale] = quantizeInt8(fromArray(new Float32Array(8), [2, 4]));
    expect(() => quantizeInt8(fromArray(new Float32Array(6), [2, 3]))).toThrow("quantizeInt8: weight [2,3] is not a matrix [out, in] with a multiple of four in."); // prettier-ignore
    expect(() => linearInt8(x, x, scale)).toThrow("linearInt8: weight is not words of four weights");
    expect(() => linearInt8(x, words, x)).toThrow("linearInt8: scale is not one number for each row of the weight");
  });
});

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
