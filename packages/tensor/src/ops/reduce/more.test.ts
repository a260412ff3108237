import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import type { Tensor } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import { all, any } from "./any-all.ts";
import { cdist, largestDifference } from "./cdist.ts";
import { cumprod, logcumsumexp } from "./cumprod.ts";
import { matrixNorm, norm, normalize, powerNorm, std } from "./norm.ts";
import * as reference from "./reduce.reference.ts";

checkOp(std, reference.stdReference, {
  cases: [
    { shapes: [[7]] },
    { shapes: [[3, 5]], args: [{ dim: 1, correction: 0 }] },
    { shapes: [[3, 4, 5]], args: [{ dim: [0, 2], keepdim: true }] },
  ],
});

checkOp(powerNorm, reference.normReference, {
  cases: [
    { shapes: [[7]], args: [2, {}] },
    { shapes: [[3, 5]], args: [2, { dim: 0, keepdim: true }] },
    { shapes: [[3, 5]], args: [3, { dim: 1 }] },
    { shapes: [[3, 4, 5]], args: [0.5, { dim: [0, 2] }], rtol: 3e-5 },
    { shapes: [[2, 0]], args: [2, { dim: 1 }] },
  ],
});

checkOp(largestDifference, reference.largestDifferenceReference, {
  cases: [{ shapes: [[7]] }, { shapes: [[2, 3, 5]] }],
});

const alongLines = [
  { shapes: [[9]], args: [{ dim: 0 }] },
  { shapes: [[3, 7]], args: [{ dim: 1 }] },
  { shapes: [[5, 2, 3]], args: [{ dim: -3 }] },
  { shapes: [[2, 600]], args: [{ dim: 1 }], map: (v: number) => 1 + v / 50, gradient: false, rtol: 1e-4 },
  { shapes: [[0, 3]], args: [{ dim: 0 }] },
];
checkOp(cumprod, reference.cumprodReference, {
  cases: [...alongLines, { shapes: [[7]], args: [{ dim: 0 }], values: [[2, -3, 0, 0.5, 4, 0, 7]], note: "zeros" }],
});
checkOp(logcumsumexp, reference.logcumsumexpReference, {
  cases: [...alongLines, { shapes: [[6]], args: [{ dim: 0 }], values: [[-90, 80, 79, -80, 81, 0]], note: "far apart" }],
});

describe("norms, and questions of all elements", () => {
  withDevice();
  const row = (values: number[]): NdArray => ndArray([values.length], values);
  const gradientAt = async (op: typeof std | typeof largestDifference, x: Tensor): Promise<number[]> => {
    const { saved } = op.definition.forward(x);
    const backward = op.definition.backward as (s: object, dy: Tensor) => { x: Tensor };
    return Array.from(await backward(saved, tensor(1)).x.data());
  };

  test("orders", async () => {
    const x = [3, -4, 0, 12];
    const at = (ord: number) => norm(tensor(x), { ord }).item();
    expect(await Promise.all([1, 2, Infinity, -Infinity, 0].map(at))).toEqual([19, 13, 12, 0, 3]);
    expect(await at(3)).toBeCloseTo(reference.normReference(row(x), 3).data[0]!, 4);
    const m = tensor([[1, -7, 2], [3, 0, -1]]); // prettier-ignore
    const of = (ord: "fro" | number) => matrixNorm(m, { ord }).item();
    expect(await Promise.all([1, -1, Infinity, -Infinity].map(of))).toEqual([7, 3, 10, 4]);
    expect(await of("fro")).toBeCloseTo(8, 5);
    expect(() => matrixNorm(m, { ord: 2 })).toThrow("matrixNorm: ord is 2; there are");
  });

  test("the gradient of a length 0 is 0, and of a deviation 0", async () => {
    expect(await gradientAt(std, tensor([2, 2, 2]))).toEqual([0, 0, 0]);
    const { saved } = powerNorm.definition.forward(zeros([3]), 2, {});
    const backward = powerNorm.definition.backward as (s: object, dy: Tensor) => { x: Tensor };
    expect(await backward(saved, tensor(1)).x.toArray()).toEqual([0, 0, 0]);
  });

  test("cdist: distances of rows to rows; of equal largest differences each takes all of the gradient", async () => {
    const [a, b] = [tensor([[0, 0], [1, -1]]), tensor([[3, 4], [1, -1], [0, 2]])]; // prettier-ignore
    expect(await cdist(a, b).toArray()).toEqual([[5, Math.fround(Math.SQRT2), 2], [Math.fround(Math.hypot(2, 5)), 0, Math.fround(Math.hypot(1, 3))]]); // prettier-ignore
    expect(await cdist(a, b, { p: 1 }).toArray()).toEqual([[7, 2, 2], [7, 0, 4]]); // prettier-ignore
    expect(await cdist(a, b, { p: Infinity }).toArray()).toEqual([[4, 1, 2], [5, 0, 3]]); // prettier-ignore
    expect(await gradientAt(largestDifference, tensor([3, -3, 1]))).toEqual([1, -1, 0]);
    expect(() => cdist(a, tensor([[1, 2, 3]]))).toThrow(
      "cdist: a is [2,2], b [1,3]. They are lists of vectors of one length",
    );
    expect(() => cdist(a, b, { p: -1 })).toThrow("cdist: p is -1");
  });

  test("normalize", async () => {
    expect(await normalize(tensor([[3, 4], [0, 0]])).toArray()).toEqual([[Math.fround(0.6), Math.fround(0.8)], [0, 0]]); // prettier-ignore
  });

  test("any and all", async () => {
    const x = tensor([[0, NaN, 0], [1, 2, 3], [0, -0, 0]]); // prettier-ignore
    expect(await any(x, { dim: 1 }).toArray()).toEqual([true, true, false]);
    expect(await all(x, { dim: 1, keepdim: true }).toArray()).toEqual([[false], [true], [false]]);
    expect([await any(zeros([0])).toArray(), await all(zeros([0])).toArray()]).toEqual([false, true]);
    expect(await any(tensor([0, 5], "i32")).toArray()).toBe(true);
  });

  test("running logarithms of sums with infinities", async () => {
    const inf = Infinity;
    const y = logcumsumexp(tensor([[-inf, -inf, 1, 2], [0, inf, 1, -inf], [1, NaN, 2, inf]]), { dim: 1 }); // prettier-ignore
    const [a, b, c] = (await y.toArray()) as number[][];
    expect(a!.slice(0, 3)).toEqual([-inf, -inf, 1]);
    expect(b).toEqual([0, inf, inf, inf]);
    expect(c).toEqual([1, NaN, NaN, NaN]);
    expect(await cumprod(tensor([3, 2, -1], "i32"), { dim: 0 }).toArray()).toEqual([3, 6, -6]);
  });
});
