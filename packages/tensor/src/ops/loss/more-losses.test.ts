import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { withDevice } from "../../testing/check-op.ts";
import { binaryCrossEntropy, gaussianNllLoss, huberLoss, nllLoss } from "./more-losses.ts";

describe("losses that are made of other ops", () => {
  withDevice();
  const near = async (y: { data(): Promise<ArrayLike<number>> }, want: number[]): Promise<void> => {
    const got = Array.from(await y.data());
    expect(got.length).toBe(want.length);
    want.forEach((w, i) => expect(got[i]).toBeCloseTo(w, 4));
  };

  test("huber is quadratic near and straight far", async () => {
    const [x, target] = [tensor([0.5, 3, -4]), tensor([0, 0, 0])];
    await near(huberLoss(x, target, { delta: 2, reduction: "none" }), [0.125, 4, 6]);
    await near(huberLoss(x, target, { delta: 2 }), [10.125 / 3]);
  });

  test("binary cross entropy of probabilities, 0 and 1 among them", async () => {
    const [x, target] = [tensor([0.25, 0, 1]), tensor([1, 0, 0])];
    await near(binaryCrossEntropy(x, target, { reduction: "none" }), [Math.log(4), 0, 100]);
    await near(binaryCrossEntropy(x, target, { weight: tensor([2]), reduction: "sum" }), [2 * Math.log(4) + 200]);
    expect(() => binaryCrossEntropy(x, tensor([1]))).toThrow("binaryCrossEntropy: x is [3], target [1]");
  });

  test("nll picks by class, weighs and ignores", async () => {
    const x = tensor([[-1, -2, -3], [-4, -5, -6]]); // prettier-ignore
    const target = tensor([2, 0], "i32");
    await near(nllLoss(x, target), [3.5]);
    const weight = tensor([1, 0, 3]);
    await near(nllLoss(x, target, { weight }), [(3 * 3 + 4) / 4]);
    await near(nllLoss(x, tensor([2, -100], "i32"), { reduction: "none" }), [3, 0]);
    await near(nllLoss(x, tensor([1, 0], "i32"), { ignoreIndex: 1 }), [4]);
    expect(() => nllLoss(x, tensor([0], "i32"))).toThrow("nllLoss: target [1] for x [2,3]");
  });

  test("gaussian nll raises small variances", async () => {
    const [x, target] = [tensor([1, 2]), tensor([0, 2])];
    await near(gaussianNllLoss(x, target, tensor([4, 0]), { eps: 0.25, reduction: "none" }), [
      (Math.log(4) + 0.25) / 2,
      Math.log(0.25) / 2,
    ]);
    await near(gaussianNllLoss(x, target, tensor([1, 1]), { full: true }), [0.25 + Math.log(2 * Math.PI) / 2]);
  });
});
