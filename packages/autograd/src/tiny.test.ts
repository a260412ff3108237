/** Gradients in tests of three lines, each with numbers that you can check by hand. */
import { addInPlace, crossEntropy, destroy, init, ones, scope, tensor, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { noGrad, tape } from "./index.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** What a tensor holds, to six digits. */
const read = async (x: Tensor | null): Promise<number[]> =>
  Array.from(await x!.data(), (v) => Number(v.toPrecision(6)));

test("the slope of x² is 2x", async () => {
  const x = tensor([1, 2, -3]).requireGrad();
  x.mul(x).sum().backward();
  expect(await read(x.grad)).toEqual([2, 4, -6]);
});

test("a product of matrices: dA = dY Bᵀ, dB = Aᵀ dY", async () => {
  const [a, b] = [tensor([[1, 2]]).requireGrad(), tensor([[3], [4]]).requireGrad()]; // prettier-ignore
  a.matmul(b).backward();
  expect([await read(a.grad), await read(b.grad)]).toEqual([[3, 4], [1, 2]]); // prettier-ignore
});

test("broadcasting forward is a sum backward", async () => {
  const bias = tensor([1, 2]).requireGrad();
  ones([3, 2]).add(bias).sum().backward();
  expect(await read(bias.grad)).toEqual([3, 3]);
});

test("cross entropy: softmax less 1 at the right class", async () => {
  const logits = tensor([[1, 2, 3]]).requireGrad();
  crossEntropy(logits, tensor([2], "i32")).backward();
  expect(await read(logits.grad)).toEqual([0.0900306, 0.244728, -0.334759]);
});

test("gradients add up until they are cleared", async () => {
  const x = tensor([3]).requireGrad();
  for (let i = 0; i < 2; i++) x.mul(x).backward();
  expect(await read(x.grad)).toEqual([12]);
});

test("noGrad: nothing is recorded, so backward says what is missing", () => {
  const x = tensor([3]).requireGrad();
  const y = noGrad(() => x.mul(x));
  expect(() => y.backward()).toThrow("has no tape: it was made from no tensor with requiresGrad, under noGrad()");
});

test("the tape prints itself", () => {
  const x = tensor([1, 2]).requireGrad();
  expect(tape(x.exp().sum()).toString()).toMatch(/^#\d+ exp \[2\] ← x: leaf \[2\]\n#\d+ sum \[\] ← x: #\d+$/);
});

test("a training step: w ← w − 0.1 · dw, and no memory is left behind", async () => {
  const [x, w] = [tensor([[1, 2]]), tensor([[3], [4]]).requireGrad()]; // prettier-ignore
  const before = undisposed();
  scope(() => {
    x.matmul(w).square().sum().backward(); // (3 + 8)² = 121, dw = 2 · 11 · xᵀ = [22, 44]
    addInPlace(w, w.grad!.mul(-0.1));
  });
  expect([await read(w), await read(w.grad), undisposed() - before]).toEqual([[0.8, -0.4], [22, 44], 1]); // prettier-ignore
});
