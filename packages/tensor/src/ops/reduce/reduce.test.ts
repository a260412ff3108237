import { describe, expect, test } from "vitest";
import { device } from "../../runtime/init.ts";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, randomNormal, withDevice, withGpuKernels, type OpCase } from "../../testing/check-op.ts";
import { filled } from "../elementwise/fill.ts";
import { cumsum } from "./cumsum.ts";
import { amax, amin, argmax, argmin, max, maxAlong, min, minAlong } from "./extremes.ts";
import { logsumexp } from "./logsumexp.ts";
import { prod } from "./prod.ts";
import {
  amaxReference,
  aminReference,
  argmaxReference,
  argminReference,
  cumsumReference,
  logsumexpReference,
  meanReference,
  prodReference,
  sumReference,
  varianceReference,
} from "./reduce.reference.ts";
import { mean, sum, sumTo } from "./sum.ts";
import { variance } from "./variance.ts";

const small: OpCase[] = [
  { shapes: [[1]] },
  { shapes: [[]] },
  { shapes: [[3, 7]] },
  { shapes: [[3, 7]], args: [{ dim: -1 }] },
  { shapes: [[3, 36]], args: [{ dim: 1, keepdim: true }] },
  { shapes: [[9, 8]], args: [{ dim: 0 }] },
  { shapes: [[200, 2]], args: [{ dim: 1 }], note: "several workgroups" },
  { shapes: [[2, 5, 3]], args: [{ dim: 1 }] },
  { shapes: [[2, 1, 3]], args: [{ dim: 1 }] },
];
const severalDims: OpCase[] = [
  { shapes: [[2, 3, 4]], args: [{ dim: [0, 1] }] },
  { shapes: [[2, 3, 5]], args: [{ dim: [2, 0], keepdim: true }] },
  { shapes: [[3, 2, 3, 2]], args: [{ dim: [1, 3] }] },
];
const long: OpCase[] = [
  { shapes: [[2, 1031]], args: [{ dim: 1 }], gradient: false, note: "long rows" },
  { shapes: [[3, 2052]], args: [{ dim: 1 }], gradient: false, note: "long rows of fours" },
  { shapes: [[601, 8]], args: [{ dim: 0 }], gradient: false, note: "long columns" },
  { shapes: [[2, 300, 3]], args: [{ dim: 1 }], gradient: false },
  { shapes: [[2, 4099]], args: [{ dim: 1 }], gradient: false, note: "rows whose last segment is shorter" },
  { shapes: [[70_000]], gradient: false, note: "everything", rtol: 1e-6 },
  { shapes: [[70_000, 3]], args: [{ dim: 1 }], gradient: false, note: "many rows" },
];
const empty: OpCase[] = [{ shapes: [[0, 3]], args: [{ dim: 1 }] }];
const sumOfNothing: OpCase[] = [{ shapes: [[2, 0]], args: [{ dim: 1 }] }];
const nearOne = (v: number): number => 1 + v / 20;

function checkAll(): void {
  checkOp(sum, sumReference, { cases: [...small, ...severalDims, ...long, ...empty, ...sumOfNothing] });
  checkOp(mean, meanReference, { cases: [...small, ...severalDims, ...long, ...empty] });
  checkOp(amax, amaxReference, { cases: [...small, ...severalDims, ...long, ...empty] });
  checkOp(amin, aminReference, { cases: [...small, ...long] });
  checkOp(logsumexp, logsumexpReference, { cases: [...small, ...severalDims, ...long, ...empty] });
  const products = [...small, ...severalDims, ...long.slice(0, 4)].map((c) => ({ ...c, map: nearOne }));
  checkOp(prod, prodReference, {
    cases: [
      ...products,
      ...empty,
      ...sumOfNothing,
      { shapes: [[2, 3]], values: [[2, 0, 4, 0, 0, 1]], args: [{ dim: 1 }], note: "zeros" },
    ],
  });
  const variances = [...small.slice(2, -1), ...severalDims, ...long, ...empty];
  checkOp(variance, varianceReference, {
    cases: [
      ...variances,
      { shapes: [[4, 6]], args: [{ dim: 1, correction: 0 }] },
      { shapes: [[3, 40]], args: [{ dim: 1 }], map: (v) => 1e4 + Math.round(v * 64) / 64, gradient: false },
      { shapes: [[3, 1]], args: [{ dim: 1 }], gradient: false, note: "NaN" },
    ],
  });
}

/** What each product and each sum rounds off is carried along. */
function checkProducts(): void {
  test.each([[6], [33], [4099], [8192]])("sums of %i products come out as if rounded once", async (n) => {
    const [a, b] = [1, 2].map((seed) => Float32Array.from(randomNormal(n, seed), (v) => 100 + v)) as [Float32Array, Float32Array]; // prettier-ignore
    const want = a.reduce((sum, v, i) => sum + v * b[i]!, 0);
    const got = await sumTo(fromArray(a, [n]), [], fromArray(b, [n])).data();
    expectClose(got, [want], { rtol: 2e-7, atol: 0 }, "Σ a b");
  });
}

checkAll();
withGpuKernels(checkAll);
describe("sumTo with a factor", () => {
  withDevice();
  checkProducts();
  withGpuKernels(checkProducts);
});

const lines = [...small, ...long, ...empty];
checkOp(argmax, argmaxReference, { cases: lines });
checkOp(argmin, argminReference, { cases: lines });
const along = lines.filter((c) => c.args);
checkOp(maxAlong, amaxReference, { cases: along });
checkOp(minAlong, aminReference, { cases: along });
checkOp(cumsum, cumsumReference, {
  cases: [
    { shapes: [[]], args: [{ dim: 0 }] },
    { shapes: [[7]], args: [{ dim: 0 }] },
    { shapes: [[2, 3, 5]], args: [{ dim: 1 }] },
    { shapes: [[0, 3]], args: [{ dim: 1 }] },
    { shapes: [[3, 0]], args: [{ dim: 1 }] },
    { shapes: [[2, 1031]], args: [{ dim: -1 }], gradient: false, atol: 2e-5, note: "several segments" },
    { shapes: [[520, 2]], args: [{ dim: 0 }], atol: 2e-5, note: "several segments" },
    { shapes: [[66_000]], args: [{ dim: 0 }], gradient: false, atol: 1e-3, note: "segments of segments" },
  ],
});

describe("reductions by hand", () => {
  withDevice();

  test.each([true, false])("sums come out as if rounded once for each dispatch; on a CPU: %j", async (cpu) => {
    Object.assign(device().adapter, { cpu });
    const n = 1_000_000;
    expectClose([await sum(filled([n], 0.1)).item()], [Math.fround(0.1) * n], { rtol: 1e-7, atol: 0 }, "a row");
    const columns = Float32Array.from(randomNormal(2048 * 4, 5), (v) => v + 100);
    const want = sumReference({ shape: [2048, 4], data: Float64Array.from(columns) }, { dim: 0 }).data;
    expectClose(await sum(fromArray(columns, [2048, 4]), { dim: 0 }).data(), want, { rtol: 2e-7, atol: 0 }, "columns");
  });

  test("the first of equals is chosen, and takes the gradient", async () => {
    const x = tensor([
      [1, 5, 5, 2],
      [3, 3, 3, 3],
    ]);
    const { values, indices } = max(x, { dim: 1 });
    expect([await values.toArray(), await indices.toArray(), indices.dtype]).toEqual([[5, 3], [1, 0], "i32"]);
    expect(await min(x, { dim: 0, keepdim: true }).indices.toArray()).toEqual([[0, 1, 1, 0]]);
    expect(await argmin(x).item()).toBe(0);
    const { saved } = maxAlong.definition.forward(x, { dim: 1 });
    const backward = maxAlong.definition.backward as (...args: unknown[]) => { x: Tensor };
    expect(await backward(saved, tensor([10, 20]), { x: true }).x.toArray()).toEqual([
      [0, 10, 0, 0],
      [20, 0, 0, 0],
    ]);
  });

  test("equals share the gradient of the extreme over everything", async () => {
    const { saved } = amax.definition.forward(tensor([2, 7, 7, 1]));
    const backward = amax.definition.backward as (...args: unknown[]) => { x: Tensor };
    expect(await backward(saved, tensor(3), { x: true }).x.toArray()).toEqual([0, 1.5, 1.5, 0]);
  });

  test("NaN wins; infinities stay", async () => {
    const x = fromArray([1, NaN, 3, NaN, Infinity, -Infinity, 0, 2], [2, 4]);
    expect(await amax(x, { dim: 1 }).toArray()).toEqual([NaN, Infinity]);
    expect(await argmax(x, { dim: 1 }).toArray()).toEqual([1, 0]);
    expect(await argmin(x, { dim: 1 }).toArray()).toEqual([1, 1]);
    expect(await sum(fromArray([1, Infinity, 2, 3], [4])).item()).toBe(Infinity);
    expect(await logsumexp(fromArray([-Infinity, -Infinity, 5, Infinity], [2, 2]), { dim: 1 }).toArray()).toEqual([
      -Infinity,
      Infinity,
    ]);
  });

  test("whole numbers and truth values", async () => {
    const i = tensor(
      [
        [16777217, 2],
        [-5, 7],
      ],
      "i32",
    );
    expect(await sum(i).item()).toBe(16777221);
    expect(await prod(i, { dim: 0 }).toArray()).toEqual([-83886085, 14]);
    expect(await amin(i, { dim: 1 }).toArray()).toEqual([2, -5]);
    expect(await argmax(tensor([3_000_000_000, 4_000_000_000], "u32")).item()).toBe(1);
    expect(await cumsum(tensor([true, false, true]), { dim: 0 }).toArray()).toEqual([1, 1, 2]);
    const truths = sum(
      tensor([
        [true, true],
        [false, true],
      ]),
      { dim: 1 },
    );
    expect([truths.dtype, await truths.toArray()]).toEqual(["i32", [2, 1]]);
    expect(await mean(tensor([1, 2], "i32")).item()).toBe(1.5);
  });

  test("sums and products of whole numbers wrap around modulo 2³²", async () => {
    expect(await sum(tensor([2 ** 31 - 1, 2], "i32")).item()).toBe(-(2 ** 31) + 1);
    expect(await cumsum(tensor([2 ** 32 - 1, 3], "u32"), { dim: 0 }).toArray()).toEqual([2 ** 32 - 1, 2]);
    expect(await prod(tensor([2 ** 16 + 1, 2 ** 16], "i32")).item()).toBe(2 ** 16);
  });

  test("sumTo undoes a broadcast, with a factor too", async () => {
    const dy = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(await sumTo(dy, [3]).toArray()).toEqual([5, 7, 9]);
    expect(await sumTo(dy, [2, 1]).toArray()).toEqual([[6], [15]]);
    expect(await sumTo(dy, [], dy).item()).toBe(91);
    expect(() => sumTo(dy, [2])).toThrow("shapes don't broadcast");
  });

  test("refuse what makes no sense", () => {
    const x = filled([2, 0], 0);
    expect(() => amax(x, { dim: 1 })).toThrow("amax: there is no element to choose");
    expect(() => argmin(x)).toThrow("argmin: there is no element to choose");
    expect(() => sum(x, { dim: [0, -2] })).toThrow("sum: dim [0,-2] names a dimension of [2,0] twice");
    expect(() => mean(x, { dim: 2 })).toThrow("mean: dim 2 is out of range");
    expect(() => variance(x, { correction: NaN })).toThrow("variance: correction is NaN");
  });

  test("the largest and the smallest of all, of whole numbers and of nothing", async () => {
    const x = tensor([[3, -1], [2, 7]]); // prettier-ignore
    expect([await max(x).item(), await min(x).item()]).toEqual([7, -1]);
    expect([max(x).shape, min(x, {} as { dim: number })].length).toBe(2);
    const whole = tensor([[3, 1], [2, 7]], "i32"); // prettier-ignore
    const want = [[3, 1], [2, 7]].map(([a, b]) => Math.log(Math.exp(a!) + Math.exp(b!))); // prettier-ignore
    expectClose(await logsumexp(whole, { dim: 1 }).data(), want, { rtol: 1e-6, atol: 0 }, "logsumexp of whole numbers");
    expect(await variance(whole).item()).toBeCloseTo(6.916667, 5);
    expect(await prod(tensor([true, true, false])).item()).toBe(0);
    expect([prod(tensor([true])).dtype, prod(whole).dtype, sum(whole).dtype]).toEqual(["i32", "i32", "i32"]);
    const none = filled([2, 0], 0);
    expect(await logsumexp(none, { dim: 1 }).toArray()).toEqual([-Infinity, -Infinity]);
    expect(await variance(none, { dim: 1 }).toArray()).toEqual([NaN, NaN]);
    expect(await sum(none, { dim: 1 }).toArray()).toEqual([0, 0]);
    expect(await mean(none, { dim: 1 }).toArray()).toEqual([NaN, NaN]);
    expect(await prod(none, { dim: 1 }).toArray()).toEqual([1, 1]);
  });

  test("sumTo of what was not broadcast: dy itself, in the shape asked for, or times a factor", async () => {
    const dy = tensor([[1, 2, 3]]);
    expect(sumTo(dy, [1, 3])).toBe(dy);
    expect(sumTo(dy, [3]).storage).not.toBe(undefined);
    expect(await sumTo(dy, [3]).toArray()).toEqual([1, 2, 3]);
    expect(await sumTo(dy, [1, 3], dy).toArray()).toEqual([[1, 4, 9]]);
    expect(() => sumTo(dy, [2, 3])).toThrow("sumTo: [1,3] is not what [2,3] broadcasts to");
    expect(() => sumTo(dy, [3], tensor([1, 2, 3]))).toThrow(
      "sumTo: Tensor([3] f32, user) is not of the shape of Tensor([1,3]",
    );
  });
});
