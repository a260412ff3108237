import { destroy, init, undisposed } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TAPE_EXAMPLES } from "./examples.ts";
import { recordTape } from "./record.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

test("rows in the order of recording, with values, gradients and backward's order", async () => {
  const rows = await recordTape(`
    const [a, b] = [tensor([[1, 2]]).requireGrad(), tensor([[3], [4]]).requireGrad()];
    return a.matmul(b).square().sum();`);
  expect(
    rows.map(({ name, leaf, inputs, order }) => ({ name, leaf, from: inputs.map(({ row }) => row), order })),
  ).toEqual([
    { name: "leaf 1", leaf: true, from: [], order: 3 },
    { name: "leaf 2", leaf: true, from: [], order: 4 },
    { name: "matmul", leaf: false, from: [0, 1], order: 2 },
    { name: "square", leaf: false, from: [2], order: 1 },
    { name: "sum", leaf: false, from: [3], order: 0 },
  ]);
  expect(rows.map(({ value }) => Array.from(value.data))).toEqual([[1, 2], [3, 4], [11], [121], [121]]);
  expect(rows.map(({ gradient }) => Array.from(gradient!.data))).toEqual([[66, 88], [22, 44], [22], [1], [1]]);
});

test("a leaf used twice gets the sum of its gradients", async () => {
  const rows = await recordTape("const x = tensor([3]).requireGrad(); return x.mul(x).sum();");
  expect(Array.from(rows[0]!.gradient!.data)).toEqual([6]);
});

test.each(Object.keys(TAPE_EXAMPLES))("the example runs: %s", async (name) => {
  const rows = await recordTape(TAPE_EXAMPLES[name]!);
  expect(rows.every(({ gradient }) => gradient)).toBe(true);
});

test("what is not a loss is refused; nothing that the page held is left", async () => {
  await expect(recordTape("return 1")).rejects.toThrow("returns no tensor");
  await expect(recordTape("return tensor([1, 2]).requireGrad().exp()")).rejects.toThrow("not one element");
  const before = undisposed();
  await expect(recordTape("nonsense()")).rejects.toThrow("nonsense is not defined");
  expect(undisposed()).toBe(before);
});
