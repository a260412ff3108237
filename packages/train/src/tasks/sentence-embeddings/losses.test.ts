import "@gpugrad/autograd";
import { destroy, fromArray, init, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import fixture from "../../../test/fixtures/tasks.json" with { type: "json" };
import {
  contrastiveLoss,
  cosentLoss,
  cosineSimilarityLoss,
  multipleNegativesRankingLoss,
  tripletLoss,
} from "./losses.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const { columns, losses } = fixture.losses;
const compute: Record<keyof typeof losses, (columns: Tensor[], labels: Tensor) => Tensor> = {
  ranking: (x) => multipleNegativesRankingLoss(x),
  "ranking-dot": (x) => multipleNegativesRankingLoss(x, { similarity: "dot", scale: 2 }),
  "ranking-symmetric": (x) => multipleNegativesRankingLoss(x, { symmetric: true }),
  cosine: cosineSimilarityLoss,
  triplet: (x) => tripletLoss(x),
  "triplet-cosine": (x) => tripletLoss(x, { distance: "cosine", margin: 0.5 }),
  "triplet-manhattan": (x) => tripletLoss(x, { distance: "manhattan", margin: 2 }),
  contrastive: (x, labels) => contrastiveLoss(x, labels),
  cosent: (x, labels) => cosentLoss(x, labels),
};

test.each(Object.keys(losses) as (keyof typeof losses)[])(
  "%s: loss and gradients are sentence-transformers'",
  async (name) => {
    const want = losses[name];
    await scope(async () => {
      const inputs = want.columns.map((column) =>
        fromArray(columns[column as keyof typeof columns].flat(), [3, 4]).requireGrad(),
      );
      const loss = compute[name](inputs, fromArray(want.labels ?? [0, 0, 0], [3]));
      loss.backward();
      expect(await loss.item()).toBeCloseTo(want.loss, 4);
      for (const [i, input] of inputs.entries()) {
        const grad = await input.grad!.toArray();
        expect(grad).toEqual(want.grads[i]!.map((row) => row.map((value) => expect.closeTo(value, 4) as unknown)));
      }
    });
  },
);

test("columns of other shapes, or too few, are refused", () => {
  scope(() => {
    const [a, b] = [fromArray([1, 2], [1, 2]), fromArray([1, 2, 3], [1, 3])];
    expect(() => multipleNegativesRankingLoss([a, b])).toThrow("the columns are [1,2] · [1,3]");
    expect(() => tripletLoss([a, a])).toThrow("It takes 3");
  });
});
