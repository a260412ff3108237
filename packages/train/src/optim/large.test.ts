import { destroy, fill, fromArray, init, scope, slice, zeros, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Adafactor } from "./adafactor.ts";
import { AdamW } from "./adamw.ts";
import { clipGradNorm, clipGradValue } from "./clip.ts";
import { SGD } from "./sgd.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Elements beyond 65,535 workgroups of 64 × 4, and not a multiple of that: as many as BERT's word embeddings have. */
const SIZE = 65_536 * 64 * 4 + 1003;
const gradientAt = (i: number): number => ((i % 4) - 1.5) / 4; // −3/8, −1/8, 1/8, 3/8

/** Its first elements, those around the middle, where the second row of workgroups begins, and the last. */
async function expectAt(name: string, x: Tensor, want: (i: number) => number): Promise<void> {
  for (const from of [0, Math.floor(x.size / 2) - 500, x.size - 1000]) {
    const part = await scope(() => slice(x, [[from, from + 1000]])).data();
    const wrong = part.findIndex((value, i) => !(Math.abs(value - want(from + i)) <= 1e-6));
    if (wrong >= 0) expect.fail(`${name}: element ${from + wrong} is ${part[wrong]}, not ${want(from + wrong)}`);
  }
}

describe("launches of more workgroups than fit one dimension reach every element:", () => {
  test("SGD, AdamW, clipping by norm and by value", () =>
    scope(async () => {
      const p = zeros([SIZE]).requireGrad();
      p.grad = fromArray(
        new Float32Array(SIZE).map((_, i) => gradientAt(i)),
        [SIZE],
      );
      new SGD([["p", p]], { lr: 0.5 }).step();
      await expectAt("SGD", p, (i) => -0.5 * gradientAt(i));

      fill(p, 1);
      const adam = new AdamW([["p", p]], { lr: 0.25, weightDecay: 0.5 });
      adam.step(); // the first step is as long as the rate, whatever the gradient
      await expectAt("AdamW", p, (i) => 1 - 0.25 * 0.5 - 0.25 * Math.sign(gradientAt(i)));
      adam.dispose();

      clipGradValue([p], 0.25);
      const clipped = (i: number): number => Math.min(0.25, Math.max(-0.25, gradientAt(i)));
      await expectAt("clipGradValue", p.grad, clipped);
      const norm = await clipGradNorm([p], 0.25, { normType: Infinity }).data();
      expect(norm[0]).toBe(0.25);
      clipGradNorm([p], 0.125, { normType: Infinity });
      await expectAt("clipGradNorm", p.grad, (i) => clipped(i) / 2);
    }));

  // Where a gradient is its row's number alone, the first update is its sign, clipped to the threshold, times the rate.
  test("Adafactor of many rows", () =>
    scope(async () => {
      const [rows, cols] = [600_001, 2] as const;
      const numberOf = (i: number): number =>
        (Math.floor(i / cols) % 2 === 0 ? 1 : -1) * (1 + (Math.floor(i / cols) % 3));
      const p = zeros([rows, cols]).requireGrad();
      const values = Float32Array.from({ length: rows * cols }, (_, i) => numberOf(i));
      p.grad = fromArray(values, [rows, cols]);
      new Adafactor([["p", p]], { lr: 0.5, relativeStep: false, scaleParameter: false, clipThreshold: 0.5 }).step();
      const got = await p.data();
      const wrong = got.findIndex((value, i) => !(Math.abs(value + 0.25 * Math.sign(numberOf(i))) <= 1e-4));
      if (wrong >= 0) expect.fail(`element ${wrong} is ${got[wrong]}`);
    }));
});
