import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, randomNormal, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { ones, zeros } from "../create/create.ts";
import { batchNorm, groupNorm, instanceNorm, standardize } from "./batch-norm.ts";

/** Each element by the mean and variance of those that `groupOf` puts together with it. */
function grouped(x: NdArray, groupOf: (i: number) => number, eps: number): NdArray {
  const groups = new Map<number, number[]>();
  x.data.forEach((v, i) => (groups.get(groupOf(i)) ?? groups.set(groupOf(i), []).get(groupOf(i))!).push(v));
  const stats = new Map([...groups].map(([key, list]) => {
    const mean = list.reduce((a, b) => a + b) / list.length;
    return [key, { mean, variance: list.reduce((sum, v) => sum + (v - mean) ** 2, 0) / list.length }];
  })); // prettier-ignore
  return ndArray(x.shape, x.data.map((v, i) => {
    const { mean, variance } = stats.get(groupOf(i))!;
    return (v - mean) / Math.sqrt(variance + eps);
  })); // prettier-ignore
}

const channelOf = ({ shape }: NdArray) => {
  const inner = shape.slice(2).reduce((a, b) => a * b, 1);
  return (i: number): number => Math.floor(i / inner) % shape[1]!;
};

checkOp(standardize, (x: NdArray, _dims: number[], eps: number) => grouped(x, channelOf(x), eps), {
  cases: [
    { shapes: [[6, 3]], args: [[0], 1e-5] },
    { shapes: [[3, 4, 5]], args: [[0, 2], 1e-3] },
    { shapes: [[2, 3, 4, 5]], args: [[0, 2, 3], 1e-5], map: (v) => v + 3 },
  ],
});

describe("norms by channel", () => {
  withDevice();
  const x = ndArray([3, 4, 5], randomNormal(60, 2));
  const given = (): Tensor => fromArray(x.data, x.shape);
  const [weight, bias] = [[1, 2, 0.5, -1], [0, 1, -1, 3]]; // prettier-ignore
  const affine = (y: NdArray): Float64Array =>
    y.data.map((v, i) => v * weight[channelOf(x)(i)]! + bias[channelOf(x)(i)]!);
  const close = async (y: Tensor, want: ArrayLike<number>) =>
    expectClose(await y.data(), want, { rtol: 1e-5, atol: 1e-5 }, "norm");

  test("batchNorm follows with the variance of n − 1, and normalizes by what it has followed", async () => {
    const [mean, value] = [zeros([4]), ones([4])];
    await close(
      batchNorm(given(), mean, value, tensor(weight), tensor(bias), { training: true }),
      affine(grouped(x, channelOf(x), 1e-5)),
    );
    const channel = x.data.filter((_, i) => channelOf(x)(i) === 2);
    const average = channel.reduce((a, b) => a + b) / 15;
    const spread = channel.reduce((sum, v) => sum + (v - average) ** 2, 0) / 14;
    expect((await mean.data())[2]).toBeCloseTo(0.1 * average, 6);
    expect((await value.data())[2]).toBeCloseTo(0.9 + 0.1 * spread, 6);
    const still = batchNorm(tensor([[1, 2]]), tensor([0, 1]), tensor([4, 1]), undefined, undefined, { eps: 0 });
    expect(await still.toArray()).toEqual([[0.5, 1]]);
  });

  test("groupNorm and instanceNorm", async () => {
    const group = (i: number) => Math.floor(i / 10);
    await close(groupNorm(given(), 2, tensor(weight), tensor(bias)), affine(grouped(x, group, 1e-5)));
    const [mean, value] = [zeros([4]), ones([4])];
    await close(instanceNorm(given(), mean, value), grouped(x, (i) => Math.floor(i / 5), 1e-5).data);
    const all = x.data.filter((_, i) => channelOf(x)(i) === 1);
    expect((await mean.data())[1]).toBeCloseTo((0.1 * all.reduce((a, b) => a + b)) / 15, 6);
    const spreads = [0, 5, 10].map((at) => {
      const row = Array.from(all.slice(at, at + 5));
      const average = row.reduce((a, b) => a + b) / 5;
      return row.reduce((sum, v) => sum + (v - average) ** 2, 0) / 4;
    });
    expect((await value.data())[1]).toBeCloseTo(0.9 + (0.1 * spreads.reduce((a, b) => a + b)) / 3, 6);
  });

  test("refuse what doesn't fit", () => {
    expect(() => batchNorm(given())).toThrow("batchNorm: without running values it has to normalize by those of x");
    expect(() => batchNorm(given(), zeros([3]))).toThrow(
      "batchNorm: runningMean is [3] for the 4 channels of x [3,4,5]",
    );
    expect(() => groupNorm(given(), 3)).toThrow("groupNorm: 4 channels of x [3,4,5] don't make 3 groups");
    expect(() => batchNorm(zeros([1, 4]), undefined, undefined, undefined, undefined, { training: true })).toThrow(
      "batchNorm: training on one value per channel",
    );
  });
});
