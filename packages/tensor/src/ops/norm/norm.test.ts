import { describe, expect, test } from "vitest";
import { Generator } from "../../random.ts";
import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import {
  checkOp,
  drawnNear,
  expectClose,
  randomNormal,
  withDevice,
  withGpuKernels,
  type OpCase,
} from "../../testing/check-op.ts";
import { fromArray, tensor } from "../../factories.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { ones, zeros } from "../create/create.ts";
import { drawDrop } from "../dropout/draw.ts";
import { dropout } from "../dropout/dropout.ts";
import { addLayerNorm, layerNorm } from "./layer-norm.ts";
import { chooseNorm } from "./choose.ts";
import { withRung } from "../ladders.ts";
import { normLadder, type NormRung, type Pass } from "./ladder.ts";
import {
  addLayerNormReference,
  keptReference,
  layerNormGradientsReference,
  layerNormReference,
  rmsNormReference,
} from "./norm.reference.ts";
import { inputGradient, normalize, weightGradients } from "./norm.ts";
import { rmsNorm } from "./rms-norm.ts";

const withAffine = (shape: number[], more: Partial<OpCase> = {}): OpCase => ({
  shapes: [shape, shape.slice(-1), shape.slice(-1)],
  ...more,
});

const layerNormCases: OpCase[] = [
  withAffine([1, 1]),
  withAffine([3, 7]),
  withAffine([33]),
  withAffine([2, 3, 36]),
  withAffine([9, 257], { note: "odd, several blocks of rows" }),
  withAffine([0, 4]),
  withAffine([2, 1028], { gradient: false }),
  withAffine([70_000, 4], { gradient: false, note: "many rows" }),
  { shapes: [[5, 33]], args: [undefined, undefined, { eps: 1e-12 }], note: "no weight" },
  { shapes: [[5, 33], [33]], note: "no bias" },
  { shapes: [[4, 3, 12]], args: [undefined, undefined, { normalizedShape: [3, 12] }] },
  withAffine([3, 40], { map: (v, i) => (i === 0 ? 1e4 + Math.round(v * 64) / 64 : v), gradient: false, atol: 2e-5 }),
];
const rmsNormCases: OpCase[] = [
  { shapes: [[1, 1], [1]] },
  { shapes: [[3, 7], [7]] },
  { shapes: [[5, 2, 36], [36]], args: [{ eps: 1e-6 }] },
  { shapes: [[4, 257]] },
];
const addLayerNormCases: OpCase[] = [
  [3, 7],
  [5, 36],
  [2, 2, 257],
].flatMap((shape) =>
  [0, 0.3, 1].map((dropoutP) => ({
    shapes: [shape, shape, shape.slice(-1), shape.slice(-1)],
    args: [{ eps: 1e-12, dropoutP, generator: sameAgain() }],
  })),
);

/** A generator that gives the same numbers every time, some of them from beyond a carry in its counter. */
function sameAgain(): Generator {
  const state = { key: [3, 4], stream: [0, 1], blocks: 2 ** 32 - 2 } as const;
  const fresh = (): Generator => new Generator(0).setState(state);
  return Object.assign(new Generator(0), {
    draw: (n: number) => fresh().draw(n),
    words: (n: number) => fresh().words(n),
  });
}

function check(which: (c: OpCase) => boolean): void {
  checkOp(layerNorm, layerNormReference, { cases: layerNormCases.filter(which), together: [["weight", "bias"]] });
  checkOp(addLayerNorm, addLayerNormReference, {
    cases: addLayerNormCases.filter(which),
    together: [["weight", "bias"], ["x", "residual"]], // prettier-ignore
  });
  checkOp(rmsNorm, rmsNormReference, { cases: rmsNormCases.filter(which) });
}

check(() => true);
withGpuKernels(() => check(({ shapes: [x] }) => x!.at(-1)! !== 257)); // many numbers in float64 differences

/** Forward and backward of a kernel, where it suits, against float64. */
async function checkRung(
  rung: NormRung,
  rows: number,
  cols: number,
  { residual = false, dropoutP = 0, offset = 0, spread = 1, eps = 1e-12, atol = 4e-6 } = {},
): Promise<void> {
  const numbers = (count: number, seed: number, scale = 1, plus = 0): NdArray =>
    ndArray(
      [count],
      Float32Array.from(randomNormal(count, seed), (v) => v * scale + plus),
    );
  const x = numbers(rows * cols, cols, spread, offset);
  const [other, dy, weight, bias] = [
    numbers(rows * cols, 2),
    numbers(rows * cols, 3),
    numbers(cols, 4),
    numbers(cols, 5),
  ];
  const kept = keptReference(rows * cols, dropoutP, sameAgain());
  const h = x.data.map((v, i) => Math.fround(residual ? Math.fround(v * Math.fround(kept[i]!)) + other.data[i]! : v));
  const want = layerNormReference({ shape: [rows, cols], data: h }, weight, bias, { eps });
  const slopes = layerNormGradientsReference({ shape: [rows, cols], data: h }, weight, dy, eps);

  const on = (a: NdArray, shape: number[]) => fromArray(a.data, shape);
  const suits = (pass: Pass): boolean =>
    rung.suits(device().adapter, {
      ...{ pass, rows, cols, eps, center: true, residual, weight: true, bias: true },
      drop: drawDrop("test", 4, dropoutP, new Generator(1)),
    });
  const { y, gradients } = scope(() => {
    const drop = drawDrop("test", rows * cols, dropoutP, sameAgain());
    const norm = {
      ...{ x: on(x, [rows, cols]), weight: on(weight, [cols]), bias: on(bias, [cols]), cols, center: true, drop },
      ...(residual && { residual: on(other, [rows, cols]) }),
    };
    const name = (pass: Pass): string => (suits(pass) ? rung : normLadder.rungs.rows).name;
    const { y, saved } = withRung("norm", name("forward"), () => normalize(norm, eps));
    const given = on(dy, [rows, cols]);
    const { dx, dh } = withRung("norm", name("backward"), () => inputGradient(saved, given));
    return { y, gradients: { dx, dh, ...weightGradients(saved, given, [cols]) } };
  });
  const what = `${rung.kernel} [${rows}, ${cols}]`;
  const { dx, dh, weight: dweight, bias: dbias } = gradients;
  // A gradient is as large as rstd, which is large where rows are nearly constant. In rows of one it is what rounding leaves of g − g, times
  // rstd: nothing, unless the compiler makes a multiply-add of one g = w dy, as GPUs' do.
  const fused = cols === 1 && !device().adapter.cpu ? 0.1 / Math.sqrt(eps) / 1e6 / atol : 1;
  const large = slopes.dh.reduce((most, v) => Math.max(most, Math.abs(v)), fused);
  expectClose(await y.data(), want.data, { rtol: 1e-5, atol }, `${what} y`);
  expectClose(await dh.data(), slopes.dh, { rtol: 1e-5, atol: atol * large }, `${what} dh`);
  if (residual) {
    const want = slopes.dh.map((v, i) => v * kept[i]!);
    expectClose(await dx.data(), want, { rtol: 1e-5, atol: 2 * atol * large }, `${what} dx`);
  }
  const many = Math.sqrt(rows);
  expectClose(await dweight.data(), slopes.dweight, { rtol: 1e-5, atol: atol * many }, `${what} dweight`);
  expectClose(await dbias.data(), slopes.dbias, { rtol: 1e-5, atol: atol * many }, `${what} dbias`);
  for (const t of new Set([y, dx, dh, dweight, dbias])) t.dispose();
}

const widths = [1, 3, 4, 5, 32, 36, 384, 768, 1000, 1023, 4096, 5000];

describe.each(Object.values(normLadder.rungs))("$kernel", (rung) => {
  withDevice();

  test.each(widths)("rows of %i", async (cols) => {
    await checkRung(rung, 5, cols);
  });
  test.each([3, 4, 36, 768, 5000])("with a residual, and with dropout, rows of %i", async (cols) => {
    await checkRung(rung, 5, cols, { residual: true });
    await checkRung(rung, 5, cols, { residual: true, dropoutP: drawnNear(0.3, sameAgain().words(5 * cols)) });
  });
  test("more than 65,535 rows", async () => {
    const sum = rung === normLadder.rungs.naive ? {} : { residual: true, dropoutP: 0.1 };
    await checkRung(rung, 65_600, 4, { ...sum, eps: 1e-5, atol: 2e-5 });
  });
  test("a mean far larger than the spread", async () => {
    await checkRung(rung, 3, 768, { offset: 1e4, spread: 0.01, atol: 4e-5 });
    await checkRung(rung, 3, 1023, { offset: 1e4, spread: 0.01, atol: 4e-5 });
  });
});

describe("norm-subgroup at smaller subgroups", () => {
  withDevice();
  for (const span of [16, 8, 4, 1]) {
    test(`of ${span}`, async ({ skip }) => {
      if (device().adapter.subgroupSize[0] < span) skip("this adapter's are smaller");
      Object.assign(device().adapter, { subgroupSize: [span, span] });
      for (const cols of [3, 100, 1028]) await checkRung(normLadder.rungs.subgroup, 5, cols);
    });
  }
});

describe("layer norm", () => {
  withDevice();

  test("of a sum drops what the op dropout drops, on every adapter's kernels", async () => {
    const x = fromArray(Float32Array.from(randomNormal(20 * 64, 1)), [20, 64]);
    const residual = fromArray(Float32Array.from(randomNormal(20 * 64, 2)), [20, 64]);
    const [weight, bias] = [ones([64]), zeros([64])];
    const apart = addLayerNorm(dropout(x, { p: 0.1, generator: new Generator(7) }), residual, weight, bias);
    const together = addLayerNorm(x, residual, weight, bias, { dropoutP: 0.1, generator: new Generator(7) });
    expect(await together.data()).toEqual(await apart.data());
  });

  test("takes registers on GPUs, workgroup memory for what they don't hold, and single invocations on CPUs", () => {
    const adapter = { ...device().adapter, cpu: false, features: ["subgroups"], subgroupSize: [32, 32] as const };
    const task = { pass: "forward", rows: 9, eps: 0, center: true, residual: false, weight: true, bias: true } as const;
    const choice = (cols: number, more = {}) =>
      chooseNorm({ ...adapter, ...more }, { ...task, cols, drop: undefined }).kernel;
    expect([3, 384, 768, 1003, 8192].map((cols) => choice(cols))).toEqual(new Array(5).fill("norm-subgroup"));
    expect([choice(8196), choice(768, { features: [] })]).toEqual(new Array(2).fill("norm-workgroup"));
    expect([choice(768, { cpu: true }), choice(31, { features: [] })]).toEqual(new Array(2).fill("norm-rows"));
  });

  test("of a constant row is the bias, whatever the constant, with BERT's eps", async () => {
    const x = Float32Array.from({ length: 2 * 768 }, (_, i) => (i < 768 ? 0.1 : 1234.567));
    const bias = tensor(Array.from({ length: 768 }, (_, i) => i / 768));
    const y = await layerNorm(fromArray(x, [2, 768]), undefined, bias, { eps: 1e-12 }).data();
    const want = Float32Array.from({ length: 2 * 768 }, (_, i) => (i % 768) / 768);
    expectClose(y, want, { rtol: 0, atol: 2e-6 }, "constant rows");
  });

  test("of a row whose variance overflows is the bias, as in PyTorch", async () => {
    const x = tensor([[1e20, -1e20, 3e20, 2]]);
    expect(await layerNorm(x, undefined, tensor([1, 2, 3, 4])).toArray()).toEqual([[1, 2, 3, 4]]);
  });

  test("refuses a weight, a shape or a residual that doesn't fit", () => {
    const x = tensor([[1, 2, 3]]);
    expect(() => layerNorm(x, tensor([1, 2]))).toThrow("normalizedShape [2] is not the end of x's shape [1,3]");
    expect(() => layerNorm(x, tensor([1, 2, 3]), tensor([1]))).toThrow("bias is [1], but rows of [3] are normalized");
    expect(() => addLayerNorm(x, tensor([1]), x, x)).toThrow("x is [1,3] and residual [1]");
  });
});
