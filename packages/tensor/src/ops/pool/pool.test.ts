import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import { hooks } from "../../recorder.ts";
import { forEachTensor, keep } from "../../scope.ts";
import type { Tensor } from "../../tensor.ts";
import { expectClose, randomNormal, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import * as pool from "./pool.ts";
import { dividing, poolReference, sliding } from "./pool.reference.ts";

const largest = (list: number[]): number => list.reduce((a, b) => Math.max(a, b));
const average = (list: number[]): number => list.reduce((a, b) => a + b) / list.length;
const x = ndArray([2, 3, 7, 6], randomNormal(252, 5));
const given = (): Tensor => fromArray(x.data, x.shape);

/** What an op gives and, by a recorder that keeps the call, dx for this dy. */
function both(op: (x: Tensor) => Tensor, dyOf: (y: Tensor) => Tensor): { y: Tensor; dx: Tensor } {
  let goBack!: (dy: Tensor) => Tensor;
  hooks.recorder = {
    record: ({ saved, backward }) => {
      forEachTensor(saved, (t) => void keep(t)); // as a tape does
      goBack = (dy) => (backward as (s: unknown, dy: Tensor) => { x: Tensor })(saved, dy).x;
    },
    isRecording: () => true,
    backward: () => undefined,
  };
  const y = op(given().requireGrad());
  hooks.recorder = null;
  return { y, dx: goBack(dyOf(y)) };
}

/** dx by central differences of the reference. */
function slopes(f: (x: NdArray) => NdArray, dy: ArrayLike<number>): Float64Array {
  const weighted = (): number => f(x).data.reduce((sum, y, i) => sum + y * dy[i]!, 0);
  return x.data.map((value, i) => {
    x.data[i] = value + 1e-6;
    const above = weighted();
    x.data[i] = value - 1e-6;
    const below = weighted();
    x.data[i] = value;
    return (above - below) / 2e-6;
  });
}

describe("pools", () => {
  withDevice();
  const sizes = { stride: [2, 1], padding: [1, 0] };
  const windows = sliding([3, 2], [2, 1], [1, 0]);
  const cases: [string, (x: Tensor) => Tensor, (x: NdArray) => NdArray][] = [
    ["max", (t) => pool.maxPool2d(t, [3, 2], sizes), (a) => poolReference(a, windows, largest)],
    [
      "max, dilated",
      (t) => pool.maxPool2d(t, 2, { stride: 1, dilation: [3, 2] }),
      (a) => poolReference(a, sliding([2, 2], [1, 1], [0, 0], [3, 2]), largest),
    ],
    [
      "mean without padding",
      (t) => pool.avgPool2d(t, [3, 2], { ...sizes, countIncludePad: false }),
      (a) => poolReference(a, windows, average),
    ],
    [
      "mean with padding",
      (t) => pool.avgPool2d(t, [3, 2], sizes),
      (a) => poolReference(a, windows, (list) => list.reduce((p, q) => p + q) / 6),
    ],
    ["adaptive max", (t) => pool.adaptiveMaxPool2d(t, [3, 4]), (a) => poolReference(a, dividing([3, 4]), largest)],
    ["adaptive mean", (t) => pool.adaptiveAvgPool2d(t, [3, 4]), (a) => poolReference(a, dividing([3, 4]), average)],
  ];

  test.each(cases)("%s", async (_name, op, reference) => {
    const want = reference(x);
    const weights = randomNormal(want.data.length, 9);
    const { y, dx } = both(op, ({ shape }) => fromArray(weights, shape));
    expect(y.shape).toEqual(want.shape);
    expectClose(await y.data(), want.data, { rtol: 1e-5, atol: 1e-6 }, "forward");
    expectClose(
      await dx.data(),
      slopes(reference, Array.from(weights, Math.fround)),
      { rtol: 1e-4, atol: 1e-5 },
      "gradient",
    );
  });

  test("places, ties, NaN and windows that stick out", async () => {
    const row = tensor([[3, 3, 1, NaN, 5, 2, 7]]);
    const { output, indices } = pool.maxPool1dWithIndices(row, 2, { ceilMode: true });
    expect(await output.toArray()).toEqual([[3, NaN, 5, 7]]);
    expect(await indices.toArray()).toEqual([[0, 3, 4, 6]]);
    expect(await pool.avgPool1d(tensor([[1, 2, 3]]), 2, { ceilMode: true }).toArray()).toEqual([[1.5, 3]]);
    expect(await pool.avgPool1d(tensor([[2, 4]]), 2, { divisorOverride: 3 }).toArray()).toEqual([[2]]);
    expect(pool.adaptiveAvgPool2d(zeros([1, 2, 5, 6]), [null, 2]).shape).toEqual([1, 2, 5, 2]);
    expect(() => pool.maxPool2d(zeros([1, 1, 4, 4]), 2, { padding: 2 })).toThrow(
      "padding [2,2] is more than half of the window",
    );
    expect(() => pool.maxPool2d(zeros([1, 1, 4, 4]), 5)).toThrow("the window [5,5] is larger than [4,4]");
  });
});
