import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, withDevice, withGpuKernels, type OpCase } from "../../testing/check-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { bceWithLogits } from "./bce-with-logits.ts";
import { cosineEmbeddingLoss, cosineSimilarity } from "./cosine.ts";
import { crossEntropy, type CrossEntropyOptions } from "./cross-entropy.ts";
import { klDiv, l1Loss, mseLoss, smoothL1Loss } from "./elementwise-losses.ts";
import * as reference from "./loss.reference.ts";

const reductions = ["mean", "sum", "none"] as const;
const sizes: [number[], (typeof reductions)[number]][] = [
  [[1], "mean"],
  [[5, 7], "sum"],
  [[3, 2, 43], "none"],
  [[0, 3], "sum"],
];
const pairs = (options: object = {}, more: Partial<OpCase> = {}): OpCase[] =>
  sizes.map(([shape, reduction]) => ({ shapes: [shape, shape], args: [{ reduction, ...options }], ...more }));
const probability = { map: (v: number, i: number) => (i === 1 ? 1 / (1 + Math.exp(-v)) : v) };

checkOp(mseLoss, reference.mseLossReference, { cases: pairs() });
checkOp(l1Loss, reference.l1LossReference, { cases: pairs() });
checkOp(smoothL1Loss, reference.smoothL1LossReference, { cases: pairs({ beta: 0.7 }) });
checkOp(klDiv, reference.klDivReference, {
  cases: [
    ...pairs({}, probability),
    {
      shapes: [
        [4, 5],
        [4, 5],
      ],
      args: [{ reduction: "batchmean", logTarget: true }],
    },
  ],
});
checkOp(bceWithLogits, reference.bceWithLogitsReference, {
  cases: pairs({}, probability),
});
checkOp(cosineSimilarity, reference.cosineSimilarityReference, {
  cases: [
    {
      shapes: [
        [3, 33],
        [3, 33],
      ],
    },
    {
      shapes: [
        [2, 5, 3],
        [2, 5, 3],
      ],
    },
    { shapes: [[300], [300]], args: [{ dim: 0 }] },
    { shapes: [[200, 3], [200, 3]], note: "several workgroups" }, // prettier-ignore
    { shapes: [[4, 9], [4, 9]], args: [{ eps: 3 }], note: "norms below eps and above it" }, // prettier-ignore
  ],
});
checkOp(cosineEmbeddingLoss, reference.cosineEmbeddingLossReference, {
  cases: reductions.flatMap((reduction) =>
    [0.1, -0.5].map((margin) => ({
      shapes: [[6, 9], [6, 9], [6]],
      args: [{ reduction, margin }], // most pairs are beyond the second
      map: (v: number, i: number) => (i === 2 ? Math.sign(v) : v),
    })),
  ),
});

/** Cross-entropy with class indices and class weights, which checkOp's random floats can't be. */
function checkCrossEntropy(
  shape: number[],
  labels: number[],
  options: Omit<CrossEntropyOptions, "weight"> & { weight?: number[] } = {},
): void {
  const rows = shape.filter((_, i) => i !== Math.min(1, shape.length - 1));
  const withTarget = {
    opName: "crossEntropy",
    definition: {
      forward: (x: Tensor) => {
        const target = labels.length === 0 ? tensor(0, "i32") : tensor(labels, "i32").alias(rows);
        return crossEntropy.definition.forward(x, target, {
          ...options,
          weight: options.weight && tensor(options.weight),
        });
      },
      backward: crossEntropy.definition.backward,
    },
  };
  const target = { shape: rows, data: Float64Array.from(labels) };
  checkOp(withTarget, (x: NdArray) => reference.crossEntropyReference(x, target, options), {
    cases: [{ shapes: [shape], note: `labels ${JSON.stringify(labels)} ${JSON.stringify(options)}` }],
  });
}

function checkCrossEntropies(): void {
  const weight = [0.5, 2, 1, 0.1, 3];
  for (const reduction of reductions) checkCrossEntropy([4, 5], [0, 4, -100, 2], { reduction });
  checkCrossEntropy([1, 2], [1]);
  checkCrossEntropy([4, 5], [0, 4, 3, 3], { weight });
  checkCrossEntropy([4, 5], [0, 4, 3, 2], { weight, labelSmoothing: 0.2, ignoreIndex: 3 });
  checkCrossEntropy([2, 5, 3], [0, 1, 2, 3, 4, 0], { reduction: "none" });
  checkCrossEntropy([2, 131], [0, 130], { labelSmoothing: 0.1 });
  checkCrossEntropy([3, 36], [0, 35, -100], { weight: Array.from({ length: 36 }, (_, c) => 1 + c / 9) });
  checkCrossEntropy([3, 36], [0, 7, 35], {
    weight: Array.from({ length: 36 }, (_, c) => 1 + c / 9),
    labelSmoothing: 0.2,
  });
  checkCrossEntropy([2, 300], [-100, 299]);
  for (const [rows, cols] of [[200, 3], [30, 36]] as const) // several workgroups, of rows and of vectors
    checkCrossEntropy([rows, cols], Array.from({ length: rows }, (_, i) => (i * i) % cols)); // prettier-ignore
  for (const cols of [33, 34, 35]) checkCrossEntropy([5, cols], [0, cols - 1, -100, 3, 9], { labelSmoothing: 0.1 });
  checkOp(crossEntropy, reference.crossEntropyReference, {
    cases: [
      {
        shapes: [
          [3, 37],
          [3, 37],
        ],
        ...probability,
        args: [{ labelSmoothing: 0.1 }],
      },
      {
        shapes: [
          [2, 300],
          [2, 300],
        ],
        ...probability,
        gradient: false,
      },
      { shapes: [[7], [7]], ...probability },
    ],
  });
}

checkCrossEntropies();
withGpuKernels(checkCrossEntropies);

describe("losses", () => {
  withDevice();

  test("of predictions that are sure and right keep their digits", async () => {
    const x = tensor([20, -20, 80]);
    const t = tensor([1, 0, 1]);
    const want = [20, 20, 80].map((v) => Math.log1p(Math.exp(-v)));
    const tolerance = { rtol: 1e-6, atol: 0 };
    expectClose(await bceWithLogits(x, t, { reduction: "none" }).data(), want, tolerance, "bceWithLogits");
  });

  test("reach every element of more than 65,535 workgroups", async () => {
    const n = 65_536 * 64 + 1;
    const ones = fromArray(new Float32Array(n).fill(1), [n]);
    const zeros = fromArray(new Float32Array(n), [n]);
    expect(await mseLoss(ones, zeros).item()).toBe(1);
  });

  test("cross-entropy is NaN where a target is no class, and where the mean is over nothing", async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    const bad = await crossEntropy(x, tensor([1, 2], "i32"), { reduction: "none" }).data();
    expectClose(bad, [Math.log1p(Math.exp(-1)), NaN], { rtol: 1e-6, atol: 0 }, "no such class");
    const nothing = tensor([-100, -100], "i32");
    expect(await crossEntropy(x, nothing).item()).toBeNaN();
    expect(await crossEntropy(x, nothing, { reduction: "sum" }).item()).toBe(0);
  });

  test("refuse shapes and options that don't fit", () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(() => crossEntropy(x, tensor([0], "i32"))).toThrow("logits [2,2] with target [1] of i32");
    expect(() => crossEntropy(x, tensor([0, 1], "i32"), { weight: tensor([1]) })).toThrow("class weights are [1]");
    expect(() => mseLoss(x, tensor([1]))).toThrow("mseLoss: x is [2,2], target [1]");
    expect(() => l1Loss(x, x, { reduction: "average" as "mean" })).toThrow('reduction "average" is not known');
    expect(() => bceWithLogits(x, tensor([0, 1], "i32"))).toThrow("it has to be f32");
  });
});
