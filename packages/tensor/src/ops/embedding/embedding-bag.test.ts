import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import type { Backward } from "../../recorder.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { ones, zeros } from "../create/create.ts";
import { embeddingBag, type EmbeddingBagOptions } from "./embedding-bag.ts";
import { embeddingBagReference } from "./embedding.reference.ts";

const ids = [3, 0, 3, 6, 2, 5, 1, 0, 4, 4, 6, 0];
const dtypes = ["f32", "i32"] as const;

checkOp(embeddingBag, (w: NdArray, i: NdArray, o: EmbeddingBagOptions = {}) => embeddingBagReference(w, i, undefined, o), {
  cases: [
    { shapes: [[7, 5], [3, 4]], values: [undefined, ids], dtypes: [...dtypes] },
    { shapes: [[7, 4], [4, 3]], values: [undefined, ids], dtypes: [...dtypes], args: [{ mode: "sum" }] },
    { shapes: [[7, 3], [3, 4]], values: [undefined, ids], dtypes: [...dtypes], args: [{ mode: "max" }] },
    { shapes: [[7, 3], [3, 4]], values: [undefined, ids], dtypes: [...dtypes], args: [{ mode: "max", paddingIdx: 0 }] },
    { shapes: [[7, 3], [3, 4]], values: [undefined, ids], dtypes: [...dtypes], args: [{ paddingIdx: 0 }] },
  ],
}); // prettier-ignore

/** Bags of 3, 0, 5 and 4 places, and an empty one at the end. */
const starts = [0, 3, 3, 8, 12, 12];

/** The op with its offsets and scales as tensors. */
const withOffsets = (weight: Tensor, i: Tensor, scales: Tensor, options: EmbeddingBagOptions) => {
  const offsets = tensor(options.includeLastOffset ? starts : starts.slice(0, -1), "i32");
  const given = { ...options, offsets, ...(options.mode === "sum" && { perSampleWeights: scales }) };
  return embeddingBag.definition.forward(weight, i, given);
};
const reference = (w: NdArray, i: NdArray, s: NdArray, o: EmbeddingBagOptions): NdArray =>
  embeddingBagReference(w, i, o.mode === "sum" ? s : undefined, o, starts);
const shapes = [[7, 5], [12], [12]]; // prettier-ignore
const values = [undefined, ids];
checkOp(
  { opName: "embeddingBag with offsets", definition: { ...embeddingBag.definition, forward: withOffsets } },
  reference,
  {
    cases: [
      { shapes, values, dtypes: ["f32", "i32", "f32"], args: [{ mode: "sum" }] },
      { shapes, values, dtypes: ["f32", "u32", "f32"], args: [{ mode: "sum", paddingIdx: 4 }] },
      { shapes, values, dtypes: ["f32", "i32", "i32"], args: [{ mode: "mean", includeLastOffset: true }] },
      { shapes, values, dtypes: ["f32", "i32", "i32"], args: [{ mode: "max" }] },
    ],
  },
);

describe("embeddingBag", () => {
  withDevice();

  test("an id out of range gives NaN, and the first of equals the gradient", async () => {
    const weight = tensor([[1], [1]]);
    const y = embeddingBag(weight, tensor([[0, 2], [1, 0]], "i32"), { mode: "max" }); // prettier-ignore
    expect(await y.toArray()).toEqual([[NaN], [1]]);
    const { saved } = embeddingBag.definition.forward(weight, tensor([[1, 0]], "i32"), { mode: "max" });
    const { weight: dw } = (embeddingBag.definition.backward as unknown as Backward)(saved as never, ones([1, 1]), {
      weight: true,
    });
    expect(await dw!.toArray()).toEqual([[0], [1]]);
  });

  test("errors", () => {
    const [weight, flat] = [zeros([3, 2]), zeros([4], { dtype: "i32" })];
    expect(() => embeddingBag(weight, flat)).toThrow("ids [4] with no offsets");
    expect(() => embeddingBag(weight, zeros([2, 2]))).toThrow("the index is f32");
    const offsets = zeros([1], { dtype: "i32" });
    expect(() => embeddingBag(weight, flat, { offsets, perSampleWeights: zeros([4]) })).toThrow('not "mean"');
    expect(() => embeddingBag(weight, flat, { offsets, mode: "sum", perSampleWeights: zeros([3]) })).toThrow("[3] f32");
  });
});
