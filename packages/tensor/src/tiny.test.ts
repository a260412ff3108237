/** The library in tests of three lines, each with numbers that you can check by hand: the file to read first. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { arange, crossEntropy, destroy, dryRun, embedding, eye, init, keep, layerNorm, linear, manualSeed, memory, ones, rand, scaledDotProductAttention, scope, tensor, undisposed, where, zeros, type Tensor } from "./index.ts"; // prettier-ignore

beforeAll(async () => void (await init())); // a GPU, or else the CPU
afterAll(destroy);

/** What a tensor holds, read from the device (until then, work is only recorded), to six digits. */
const read = async (x: Tensor): Promise<number[]> => Array.from(await x.data(), (v) => Number(v.toPrecision(6)));

test("make a tensor, and read it back", async () => {
  const x = tensor([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
  expect(x.shape).toEqual([3, 2]);
  expect(await x.toArray()).toEqual([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
});

test("add", async () => {
  const sum = tensor([1, 2, 3]).add(tensor([10, 20, 30]));
  expect(await sum.toArray()).toEqual([11, 22, 33]);
});

test("broadcast: a column and a row make a table", async () => {
  const table = tensor([[1], [2]]).mul(tensor([3, 4, 5]));
  expect(await table.toArray()).toEqual([[3, 4, 5], [6, 8, 10]]); // prettier-ignore
});

test("multiply matrices", async () => {
  const y = tensor([[1, 2], [3, 4]]).matmul(tensor([[5, 6], [7, 8]])); // prettier-ignore
  expect(await y.toArray()).toEqual([[19, 22], [43, 50]]); // prettier-ignore
  expect(await eye(2).matmul(y).toArray()).toEqual([[19, 22], [43, 50]]); // prettier-ignore
});

test("a linear layer: x Wᵀ + b", async () => {
  const [weight, bias] = [tensor([[1, 2], [3, 4], [5, 6]]), tensor([0.5, 0, -0.5])]; // prettier-ignore
  expect(await linear(tensor([[1, 1]]), weight, bias).toArray()).toEqual([[3.5, 7, 10.5]]);
});

test("sum, mean and maximum, of all or along a dimension", async () => {
  const x = tensor([[1, 2, 3], [4, 5, 9]]); // prettier-ignore
  expect([await x.sum().item(), await x.mean().item(), await x.argmax().item()]).toEqual([24, 4, 5]);
  expect(await x.sum({ dim: 0 }).toArray()).toEqual([5, 7, 12]);
});

test("reshape, transpose and slice", async () => {
  const x = arange(6).reshape([2, 3]);
  expect(await x.transpose(0, 1).toArray()).toEqual([[0, 3], [1, 4], [2, 5]]); // prettier-ignore
  expect(await x.slice([[], [1]]).toArray()).toEqual([[1, 2], [4, 5]]); // prettier-ignore
});

test("look rows up by their index", async () => {
  const table = tensor([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
  expect(await embedding(table, tensor([2, 0, 2], "i32")).toArray()).toEqual([[5, 6], [1, 2], [5, 6]]); // prettier-ignore
});

test("compare, and choose", async () => {
  const x = tensor([-1, 2, -3]);
  expect(await x.gt(0).toArray()).toEqual([false, true, false]);
  expect(await where(x.gt(0), x, 0).toArray()).toEqual([0, 2, 0]);
});

test("softmax: positive, and the sum is 1, however large the numbers", async () => {
  expect(await read(tensor([1, 2, 3]).softmax())).toEqual([0.0900306, 0.244728, 0.665241]);
  expect(await tensor([1000, 1000]).softmax().toArray()).toEqual([0.5, 0.5]);
});

test("layer norm: mean 0, variance 1", async () => {
  const y = layerNorm(tensor([1, 2, 3, 4]), ones([4]), zeros([4]));
  expect(await read(y)).toEqual([-1.34164, -0.447212, 0.447212, 1.34164]);
});

test("GELU, the exact one", async () => {
  expect(await read(tensor([-1, 0, 1]).gelu())).toEqual([-0.158655, 0, 0.841345]);
});

test("attention: each query's mean of the values, weighted by how well it fits their keys", async () => {
  const q = eye(2).reshape([1, 1, 2, 2]);
  const v = tensor([1, 2, 3, 4]).reshape([1, 1, 2, 2]);
  expect(await read(scaledDotProductAttention(q, q, v))).toEqual([1.66048, 2.66048, 2.33952, 3.33952]);
});

test("cross entropy: how surprising the right classes are", async () => {
  const logits = tensor([[1, 2, 3], [3, 2, 1]]); // prettier-ignore
  expect(await read(crossEntropy(logits, tensor([2, 1], "i32")))).toEqual([0.907606]); // the mean of 0.407606 and 1.407606
});

test("a seed gives the same random numbers on every device, those of Philox 4×32", async () => {
  manualSeed(42);
  expect(await read(rand([4]))).toEqual([0.61296, 0.468587, 0.0732317, 0.340861]);
});

test("a dtype says how an element is stored: half as wide, a third of the digits", async () => {
  const half = tensor([1 / 3, 2048.5]).to("f16");
  expect([half.dtype, (await half.bytes()).length]).toEqual(["f16", 4]);
  expect(await half.toArray()).toEqual([0.333251953125, 2048]);
});

test("what a scope makes goes back to the pool when it ends, but for what it returns or keeps", async () => {
  const before = undisposed();
  const [y, kept] = scope(() => [ones([2]).add(1).mul(3), keep(ones([2]))]);
  expect([await y.toArray(), undisposed() - before]).toEqual([[6, 6], 2]);
  for (const t of [y, kept]) t.dispose();
  expect(undisposed()).toBe(before);
});

test("using a tensor after it was disposed is an error, not a wrong number", () => {
  const x = tensor([1]);
  x.dispose();
  expect(() => x.add(1)).toThrow("used after it was disposed");
});

test("an error names the op, the shapes and a way out", () => {
  const [a, b] = [ones([2, 3]), ones([4, 3])];
  expect(() => a.matmul(b)).toThrow(
    "matmul: inner dimensions differ: a [2,3] · b [4,3] (3 and 4). Did you mean transposeB?",
  );
});

test("how much memory is in use, and how much work would take, without doing it", () => {
  const before = memory().bytes;
  expect(scope(() => (ones([256]), memory().bytes - before))).toBe(1024);
  expect(dryRun(() => scope(() => void ones([1024]).add(1))).peakBytes).toBe(8192);
});
