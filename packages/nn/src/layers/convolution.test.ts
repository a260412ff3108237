import { destroy, init, manualSeed, randn, scope, tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  GroupNorm,
  MaxPool2d,
} from "./convolution.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

test("layers have PyTorch's keys and shapes, and begin within its bounds", async () => {
  manualSeed(1);
  const layers = {
    conv: new Conv2d(4, 6, [3, 5], { groups: 2 }),
    line: new Conv1d(3, 5, 2, { bias: false }),
    transposed: new ConvTranspose2d(4, 6, 3, { groups: 2 }),
    group: new GroupNorm(2, 6),
    batch: new BatchNorm2d(6),
    plain: new BatchNorm1d(6, { affine: false, trackRunningStats: false }),
  };
  const shapes = Object.entries(layers).map(([name, layer]) => [
    name,
    Object.fromEntries(Array.from(layer.namedParameters(), ([key, p]) => [key, p.shape])),
  ]);
  expect(Object.fromEntries(shapes)).toEqual({
    conv: { weight: [6, 2, 3, 5], bias: [6] },
    line: { weight: [5, 3, 2] },
    transposed: { weight: [4, 3, 3, 3], bias: [6] },
    group: { weight: [6], bias: [6] },
    batch: { weight: [6], bias: [6], running_mean: [6], running_var: [6] },
    plain: {},
  });
  expect(layers.batch.running_mean!.requiresGrad).toBe(false);
  const bound = 1 / Math.sqrt(2 * 3 * 5);
  const weights = Array.from(await layers.conv.weight.data(), Math.abs);
  expect(Math.max(...weights)).toBeLessThanOrEqual(bound);
  expect(Math.max(...weights)).toBeGreaterThan(0.9 * bound);
  for (const layer of Object.values(layers)) layer.dispose();
  expect(() => new Conv2d(3, 4, 3, { groups: 2 })).toThrow("Conv2d: 3 and 4 channels don't make 2 groups");
});

test("a batch norm follows in training and holds still in evaluation", async () => {
  const norm = new BatchNorm1d(2, { momentum: null });
  await scope(async () => {
    norm.train();
    norm.forward(tensor([[0, 1], [2, 5]])); // prettier-ignore
    norm.forward(tensor([[4, 1], [6, 1]])); // prettier-ignore
    expect(await norm.running_mean!.toArray()).toEqual([3, 2]); // the plain mean of the batches'
    expect(await norm.running_var!.toArray()).toEqual([2, 4]);
    norm.eval();
    const y = (await norm.forward(tensor([[3, 4]])).data())[1]!;
    expect(y).toBeCloseTo(2 / Math.sqrt(4 + 1e-5), 5);
    expect(await norm.running_mean!.toArray()).toEqual([3, 2]);
  });
  norm.dispose();
});

test("forward is that of the ops", async () => {
  await scope(async () => {
    const x = randn([2, 4, 6, 6]);
    expect(new Conv2d(4, 3, 3, { padding: 1, stride: 2 }).forward(x).shape).toEqual([2, 3, 3, 3]);
    expect(new ConvTranspose2d(4, 3, 2, { stride: 2 }).forward(x).shape).toEqual([2, 3, 12, 12]);
    expect(new MaxPool2d(2).forward(x).shape).toEqual([2, 4, 3, 3]);
    expect(new GroupNorm(2, 4).forward(x).shape).toEqual([2, 4, 6, 6]);
    expect(await new AvgPool2d([1, 2]).forward(tensor([[[1, 3]]])).toArray()).toEqual([[[2]]]);
  });
});
