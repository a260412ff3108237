import { copyInto, destroy, init, keep, manualSeed, randn, record, scope, tensor, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  ConvTranspose1d,
  ConvTranspose2d,
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
} from "./convolution.ts";
import { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d } from "./pooling.ts";
import { loadModule } from "../safetensors/save-module.ts";
import { serializeSafetensors } from "../safetensors/write.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

test("layers have PyTorch's keys and shapes, and begin within its bounds", async () => {
  manualSeed(1);
  const layers = {
    conv: new Conv2d(4, 6, [3, 5], { groups: 2 }),
    line: new Conv1d(3, 5, 2, { bias: false }),
    transposed: new ConvTranspose2d(4, 6, 3, { groups: 2 }),
    widened: new ConvTranspose1d(4, 6, 3, { stride: 2 }),
    instance: new InstanceNorm2d(6, { affine: true }),
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
    widened: { weight: [4, 6, 3], bias: [6] },
    instance: { weight: [6], bias: [6] },
    group: { weight: [6], bias: [6] },
    batch: { weight: [6], bias: [6], running_mean: [6], running_var: [6], num_batches_tracked: [] },
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
    expect(await norm.num_batches_tracked!.item()).toBe(2);
  });
  norm.dispose();
});

test("the count of batches is in the state, and read from PyTorch's files, where it is I64", async () => {
  const norm = new BatchNorm1d(2, { momentum: null });
  const numbers = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
  const ofTwo = (name: string, ...values: number[]) => ({ name, dtype: "F32" as const, shape: [2], bytes: numbers(...values) }); // prettier-ignore
  const pieces = serializeSafetensors([
    ...[ofTwo("weight", 1, 1), ofTwo("bias", 0, 0), ofTwo("running_mean", 3, 2), ofTwo("running_var", 2, 4)],
    {
      name: "num_batches_tracked",
      dtype: "I64" as const,
      shape: [],
      bytes: new Uint8Array(BigInt64Array.of(2n).buffer),
    },
  ]);
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  await loadModule(norm, Buffer.concat(parts));
  await scope(async () => {
    norm.train().forward(tensor([[6, 2], [12, 2]])); // prettier-ignore
    expect(await norm.num_batches_tracked!.item()).toBe(3);
    const close = (found: unknown, wanted: number[]) =>
      (found as number[]).forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
    close(await norm.running_mean!.toArray(), [5, 2]); // a third of the way from 3 to 9
    close(await norm.running_var!.toArray(), [2 + (18 - 2) / 3, 4 - 4 / 3]);
  });
  norm.dispose();
});

test("a recorded step counts its batches each time it is replayed", async () => {
  const norm = new BatchNorm1d(1, { momentum: null }).train();
  const x = keep(tensor([[0], [2]])); // prettier-ignore
  const { recording: step } = record(() => void scope(() => void norm.forward(x)));
  x.write([3, 5]);
  step.replay();
  x.write([8, 10]);
  step.replay();
  expect(await norm.num_batches_tracked!.item()).toBe(3);
  expect(await norm.running_mean!.item()).toBeCloseTo((1 + 4 + 9) / 3, 5);
  step.dispose();
  for (const owner of [norm, x]) owner.dispose();
});

test("what a layer is made with is checked, and so is what it reads", () => {
  const untyped = { BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, GroupNorm, MaxPool2d } as Record<string, unknown>;
  const make = (name: string, ...args: unknown[]) => () => new (untyped[name] as new (...args: unknown[]) => Conv2d)(...args);
  expect(make("Conv2d", 1, 2)).toThrow("Conv2d: kernelSize is missing; it has to be a positive integer or a list of them.");
  expect(make("Conv2d", 1, 2, [3])).toThrow("Conv2d: kernelSize has 1 sizes; windows have 2.");
  expect(make("Conv2d", 1, 2, 3, 1)).toThrow("options is 1, not an object with stride, padding, dilation, groups, bias. Write { stride: 1 }.");
  expect(make("Conv1d", 1, 2, 3, { strides: 1 })).toThrow("Conv1d: there is no option strides. Did you mean stride?");
  expect(make("MaxPool2d", 2, 2)).toThrow("Write { stride: 2 }.");
  expect(make("GroupNorm", 3, 4)).toThrow("GroupNorm: 4 channels don't make 3 groups.");
  expect(make("BatchNorm2d", 2, { momentum: "0.1" })).toThrow('BatchNorm2d: momentum is "0.1", not a number or null. Write 0.1.');
  expect(() => make("BatchNorm2d", 2)().forward(tensor([[1, 2]]))).toThrow("BatchNorm2d: x is [1,2]; it takes 4 dimensions");
}); // prettier-ignore

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

test("pools, instance norms and transposes of one dimension give PyTorch's numbers", async () => {
  await scope(async () => {
    const row = tensor([[[1, 4, 2, 3, 0]]]);
    const image = tensor([[[[1, 2, 3], [4, 5, 7]]]]); // prettier-ignore
    const read = async (layer: { forward(x: Tensor): Tensor }, x: Tensor): Promise<number[]> =>
      Array.from(await layer.forward(x).data());
    expect(await read(new MaxPool1d(2), row)).toEqual([4, 3]);
    expect(await read(new AvgPool1d(2, { stride: 1 }), row)).toEqual([2.5, 3, 2.5, 1.5]);
    expect(await read(new AdaptiveAvgPool2d(1), image)).toEqual([22 / 6].map(Math.fround));
    expect(await read(new AdaptiveMaxPool2d([null, 2]), image)).toEqual([2, 3, 5, 7]);
    const normed = await read(new InstanceNorm1d(1), row); // mean 2, variance 2
    for (const [i, v] of [-1, 2, 0, 1, -2].entries()) expect(normed[i]).toBeCloseTo(v / Math.sqrt(2 + 1e-5), 5);
    const widened = new ConvTranspose1d(1, 1, 2, { stride: 2, bias: false });
    copyInto(widened.weight, tensor([[[1, 10]]]));
    expect(await read(widened, row)).toEqual([1, 10, 4, 40, 2, 20, 3, 30, 0, 0]);
    widened.dispose();
  });
  expect(() => new MaxPool1d(0)).toThrow("MaxPool1d: kernelSize is 0, not a positive integer or a list of them.");
});
