import { readFileSync } from "node:fs";
import "@gpugrad/autograd";
import {
  abs,
  add,
  crossEntropy,
  destroy,
  fromArray,
  init,
  matmul,
  mean,
  mseLoss,
  sub,
  tensor,
  undisposed,
  zeros,
  type Tensor,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SGD } from "../optim/sgd.ts";
import { fit, type FitData, type FitEpoch, type FitOptions } from "./fit.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** y = x w + b, from 0. */
class Line {
  readonly w = zeros([1, 1]).requireGrad();
  readonly b = zeros([1]).requireGrad();
  training = false;
  readonly modes: boolean[] = [];
  forward(x: Tensor): Tensor {
    this.modes.push(this.training);
    return add(matmul(x, this.w), this.b);
  }
  train(mode = true): void {
    this.training = mode;
  }
}

const points = [-2, -1, 0, 1, 2, 3, 4];
const line = (): FitData => [fromArray(points, [7, 1]), fromArray(points.map((x) => 2 * x + 1), [7, 1])]; // prettier-ignore
const begin = (lr = 0.02) => {
  const model = new Line();
  return { model, optimizer: new SGD(Object.entries({ w: model.w, b: model.b }), { lr }) };
};
const distance = (output: Tensor, y: Tensor): Tensor => mean(abs(sub(output, y)));

/** Gradient descent in float64, in batches of three rows in their order. */
function descent(epochs: number, lr: number): { w: number; b: number; losses: number[] } {
  let [w, b] = [0, 0];
  const losses: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    let total = 0;
    for (let from = 0; from < 7; from += 3) {
      const batch = points.slice(from, from + 3);
      const errors = batch.map((x) => x * w + b - (2 * x + 1));
      total += errors.reduce((sum, e) => sum + e * e, 0);
      w -= (lr * 2 * errors.reduce((sum, e, i) => sum + e * batch[i]!, 0)) / batch.length;
      b -= (lr * 2 * errors.reduce((sum, e) => sum + e, 0)) / batch.length;
    }
    losses.push(total / 7);
  }
  return { w, b, losses };
}

test("trains in batches to the end of the rows, reports means over rows, and leaves nothing behind", async () => {
  const [data, { model, optimizer }] = [line(), begin()];
  const before = undisposed();
  const steps: number[] = [];
  const epochs = await fit(model, data, {
    ...{ loss: mseLoss, optimizer, epochs: 4, batchSize: 3, shuffle: false },
    ...{ validation: data, metrics: { distance } },
    onStep: ({ step, steps: all }) => void steps.push(step, all),
  });
  const want = descent(4, 0.02);
  expect(await model.w.item()).toBeCloseTo(want.w, 5);
  expect(await model.b.item()).toBeCloseTo(want.b, 5);
  for (const [i, loss] of want.losses.entries()) expect(epochs[i]!.loss).toBeCloseTo(loss, 4);
  const errors = points.map((x) => x * want.w + want.b - (2 * x + 1));
  expect(epochs[3]!.validation!.loss).toBeCloseTo(errors.reduce((sum, e) => sum + e * e, 0) / 7, 4);
  expect(epochs[3]!.validation!["distance"]).toBeCloseTo(errors.reduce((sum, e) => sum + Math.abs(e), 0) / 7, 4);
  expect(steps.slice(0, 6)).toEqual([1, 3, 2, 3, 3, 3]);
  expect(model.modes.slice(0, 6)).toEqual([true, true, true, false, false, false]);
  expect(model.training).toBe(false);
  expect(undisposed()).toBe(before);
});

test("shuffles by its seed, and stops when onEpoch says so", async () => {
  const run = async (options: Partial<FitOptions>): Promise<FitEpoch[]> => {
    const { model, optimizer } = begin();
    return fit(model, line(), { loss: mseLoss, optimizer, epochs: 3, batchSize: 2, ...options });
  };
  const first = await run({});
  expect(await run({ seed: 42 })).toEqual(first);
  expect(await run({ seed: 7 })).not.toEqual(first);
  expect(await run({ onEpoch: async ({ epoch }) => Promise.resolve(epoch < 2) })).toEqual(first.slice(0, 2));
});

test("clips gradients together", async () => {
  const { model, optimizer } = begin(1);
  await fit(model, line(), { loss: mseLoss, optimizer, batchSize: 7, maxGradNorm: 0.5 });
  expect(Math.hypot(await model.w.item(), await model.b.item())).toBeCloseTo(0.5, 4);
});

test("says what is wrong", async () => {
  const { model, optimizer } = begin();
  const call = (data: unknown, options: object = {}) =>
    fit(model, data as FitData, { loss: mseLoss, optimizer, ...options });
  const [x, y] = line();
  await expect(call([x, zeros([6, 1])])).rejects.toThrow("fit: data is x [7,1] and y [6,1]. Both have the rows first");
  await expect(call([x])).rejects.toThrow("fit: data has length 1; it is a pair of tensors, [x, y].");
  await expect(call([zeros([0, 1]), zeros([0, 1])])).rejects.toThrow("fit: data has no rows: x is [0,1].");
  await expect(call([x, y], { batchsize: 2 })).rejects.toThrow(
    "fit: there is no option batchsize. Did you mean batchSize?",
  );
  await expect(call([x, y], { epochs: 0 })).rejects.toThrow("fit: epochs is 0, not a positive integer.");
  const each = (output: Tensor, want: Tensor) => mseLoss(output, want, { reduction: "none" });
  await expect(call([x, y], { loss: each })).rejects.toThrow("fit: loss gives [7,1], not one number.");
  expect(model.training).toBe(false);
  const high = begin(1e20);
  const { model: far, optimizer: fast } = high;
  await expect(fit(far, [x, y], { loss: mseLoss, optimizer: fast, epochs: 9 })).rejects.toThrow(
    /^fit: the mean loss of epoch \d is (Infinity|NaN)\. Lower lr/,
  );
});

test("its example runs", async () => {
  const source = readFileSync(new URL("fit.ts", import.meta.url), "utf8");
  const code = /```ts\n([^]*?)```/.exec(source)![1]!.replace(/^ \* ?/gm, "");
  const { model, optimizer } = begin();
  const lines: unknown[][] = [];
  const names = { fit, model, optimizer, mseLoss, x: line()[0], y: line()[1], console: { log: (...args: unknown[]) => lines.push(args) } }; // prettier-ignore
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- our own example, with only what it names in reach
  const example = new Function(...Object.keys(names), `return (async () => {${code}})()`) as (...values: unknown[]) => Promise<void>; // prettier-ignore
  await example(...Object.values(names));
  expect(lines).toHaveLength(20);
  expect(lines[19]![2] as number).toBeLessThan(lines[0]![2] as number);
});

test("takes labels in whole numbers, and inputs of any rank", async () => {
  const w = zeros([4, 2]).requireGrad();
  const model = { training: false, train: () => undefined, forward: (x: Tensor) => matmul(x.reshape([-1, 4]), w) };
  const optimizer = new SGD([["w", w]], { lr: 0.5 });
  const x = tensor([1, 0, 0, 0, 0, 0, 0, 1]).reshape([2, 2, 2]);

  const [first, , last] = await fit(model, [x, tensor([0, 1], "i32")], { loss: crossEntropy, optimizer, epochs: 3, batchSize: 1 }); // prettier-ignore
  expect(first!.loss).toBeLessThan(Math.log(2) + 1e-6);
  expect(last!.loss).toBeLessThan(first!.loss);
});
