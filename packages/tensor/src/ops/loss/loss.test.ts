import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, withDevice, withGpuKernels, type OpCase } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { bceWithLogits } from "./bce-with-logits.ts";
import { cosineEmbeddingLoss, cosineSimilarity } from "./cosine.ts";
import { distillationLoss } from "./distillation.ts";
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
const probability = { map: (v: number, i: number) => (i === 1 ? 1 / (1 + Math.exp(-v)) : v), constant: [1] };

const difference = { together: [["x", "target"]] };
checkOp(mseLoss, reference.mseLossReference, { cases: pairs(), ...difference });
checkOp(l1Loss, reference.l1LossReference, { cases: pairs(), ...difference });
checkOp(smoothL1Loss, reference.smoothL1LossReference, { cases: pairs({ beta: 0.7 }), ...difference });
checkOp(klDiv, reference.klDivReference, {
  cases: [
    ...pairs({}, probability),
    {
      shapes: [
        [4, 5],
        [4, 5],
      ],
      args: [{ reduction: "batchmean", logTarget: true }],
      constant: [1],
    },
  ],
});
checkOp(bceWithLogits, reference.bceWithLogitsReference, {
  cases: pairs({}, probability),
});
/** A row for each of the other's. */
const repeated = (x: NdArray, like: NdArray): NdArray => {
  const times = like.data.length / x.data.length;
  return times <= 1 ? x : ndArray(like.shape, Array.from({ length: times }, () => [...x.data]).flat());
};
const cosineReference: typeof reference.cosineSimilarityReference = (a, b, options) =>
  reference.cosineSimilarityReference(repeated(a, b), repeated(b, a), options);
checkOp(cosineSimilarity, cosineReference, {
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
    { shapes: [[2, 5], [1, 5]], note: "b broadcast" }, // prettier-ignore
    { shapes: [[5], [3, 5]], note: "a broadcast" }, // prettier-ignore
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
      constant: [2],
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
    expect(() => crossEntropy(tensor(1), tensor(0, "i32"))).toThrow("crossEntropy: x is a scalar");
    const none = fromArray([], [2, 0]);
    expect(() => crossEntropy(none, tensor([0, 0], "i32"))).toThrow("logits [2,0] have no classes (dimension 1)");
    for (const labelSmoothing of [-0.1, 1.1, NaN])
      expect(() => crossEntropy(x, tensor([0, 1], "i32"), { labelSmoothing })).toThrow(
        `labelSmoothing is ${labelSmoothing}`,
      );
    expect(() => mseLoss(x, tensor([1]))).toThrow("mseLoss: x is [2,2], target [1]");
    expect(() => l1Loss(x, x, { reduction: "average" as "mean" })).toThrow('reduction "average" is not known');
    expect(() => bceWithLogits(x, tensor([0, 1], "i32"))).toThrow("it has to be f32");
    expect(() => bceWithLogits(x, tensor([[0, 1], [1, 0]], "i32"))).toThrow("target [2,2] of i32"); // prettier-ignore
    expect(() => bceWithLogits(x, x, { posWeight: tensor([1, 2, 3]) })).toThrow(
      "bceWithLogits: posWeight: shapes don't",
    );
    const wide = fromArray(new Float32Array(12), [3, 2, 2]);
    expect(() => bceWithLogits(x, x, { weight: wide })).toThrow("weight [3,2,2] doesn't broadcast to x's shape [2,2]");
    const pair = "it takes [N,D], [N,D] and [N], or one pair";
    const [row, one] = [tensor([1, 2]), tensor(1)];
    for (const [a, b, target] of [
      [x, x, one],
      [x, row, row],
      [one, one, one],
      [wide, wide, row],
    ] as const)
      // prettier-ignore
      expect(() => cosineEmbeddingLoss(a, b, target)).toThrow(pair);
    expect(() => smoothL1Loss(x, x, { beta: -0.5 })).toThrow("smoothL1Loss: beta is -0.5; it can't be negative");
    expect(() => distillationLoss(x, row)).toThrow(
      "distillationLoss: x is [2,2], teacher [2]; they have to be the same",
    );
    for (const temperature of [0, -1])
      expect(() => distillationLoss(x, x, { temperature })).toThrow(
        `temperature is ${temperature}; it has to be positive`,
      );
  });

  test("of one pair, with a smooth loss that is nowhere a square, are numbers", async () => {
    const [a, b] = [tensor([3, 4]), tensor([4, 3])];
    expect(await cosineEmbeddingLoss(a, b, tensor(1)).item()).toBeCloseTo(1 - 24 / 25, 6);
    expect(await smoothL1Loss(a, b, { beta: 0 }).item()).toBe(1);
  });

  test("with weights, spread over the batch or given for each element, multiply what they should, forward and backward", async () => {
    const [x, t] = [[0.5, -1, 2, 0], [1, 0, 0.25, 1]]; // prettier-ignore
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    for (const [weight, posWeight] of [
      [
        [2, 3],
        [0.5, 4],
      ],
      [
        [1, 2, 3, 4],
        [4, 3, 2, 1],
      ],
      [undefined, [5]],
      [[5], undefined],
    ]) {
      // prettier-ignore
      const at = (w: number[] | undefined, i: number) => (w ? w[i % w.length]! : 1);
      const spread = (w: number[] | undefined) => w && fromArray(w, w.length === 4 ? [2, 2] : [w.length]);
      const options = { weight: spread(weight), posWeight: spread(posWeight), reduction: "none" } as const;
      const { output, saved } = bceWithLogits.definition.forward(fromArray(x, [2, 2]), fromArray(t, [2, 2]), options);
      const want = x.map(
        (v, i) =>
          at(weight, i) * (-at(posWeight, i) * t[i]! * Math.log(sigmoid(v)) - (1 - t[i]!) * Math.log(1 - sigmoid(v))),
      );
      expectClose(await output.data(), want, { rtol: 1e-5, atol: 1e-6 }, "the loss");
      const { backward } = bceWithLogits.definition;
      if (typeof backward !== "function") throw new Error("it has a gradient");
      const dx = backward(saved, fromArray([1, 1, 1, 1], [2, 2]), { x: true }).x!;
      const slopes = x.map(
        (v, i) => at(weight, i) * (-at(posWeight, i) * t[i]! * (1 - sigmoid(v)) + (1 - t[i]!) * sigmoid(v)),
      );
      expectClose(await dx.data(), slopes, { rtol: 1e-5, atol: 1e-6 }, "its gradient");
    }
  });

  test("logits [B,T,V] with labels [B,T] as PyTorch's of [B·T,V] with [B·T]; with T = V classes are in dimension 1", async () => {
    const values = (count: number): number[] => Array.from({ length: count }, (_, i) => ((i * 7) % 5) / 3);
    const [x, y] = [fromArray(values(24), [2, 3, 4]), tensor([[0, 3, 1], [2, 2, -100]], "i32")]; // prettier-ignore
    const { output, saved } = crossEntropy.definition.forward(x, y, { labelSmoothing: 0.1 });
    expectClose(await output.data(), [1.4279427528381348], { rtol: 1e-6, atol: 0 }, "the loss");
    const { backward } = crossEntropy.definition;
    if (typeof backward !== "function") throw new Error("it has a gradient");
    const dx = await backward(saved, tensor(1), { x: true }).x!.data();
    const want = [-0.1604209542, 0.0428734273, 0.0882447064, 0.029302815, 0.0524708778, 0.0161423571, 0.0361796804, -0.1047929153, 0.0345266424, -0.1080126092, 0.0233220756, 0.0501638763, 0.0801785886, 0.0263354536, -0.1239668652, 0.0174528304, 0.0345266387, 0.0719873905, -0.1566779166, 0.0501638763, 0, 0, 0, 0]; // prettier-ignore
    expectClose(dx, want, { rtol: 1e-5, atol: 1e-8 }, "its gradient");
    const each = await crossEntropy(x, y, { reduction: "none" }).toArray();
    expectClose((each as number[][]).flat(), [2.0964233875, 0.9137055874, 0.9546756744, 1.1869006157, 1.9546756744, 0], { rtol: 1e-6, atol: 0 }, "each loss"); // prettier-ignore
    const both = crossEntropy(fromArray(values(18), [2, 3, 3]), tensor([[0, 2, 1], [1, 1, 0]], "i32")); // prettier-ignore
    expectClose(await both.data(), [1.2300934791564941], { rtol: 1e-6, atol: 0 }, "a square");
    expect(() => crossEntropy(x, tensor([[0, 1]], "i32"))).toThrow("of shape [2,4] or [2,3]");
  });

  test("of a student and its teacher: the divergence of softened distributions, times the temperature squared", async () => {
    const [x, teacher] = [[1, 2, 0, -1], [0.5, 1, 3, 0]]; // prettier-ignore
    const soften = (row: number[], T: number) => {
      const e = row.map((v) => Math.exp(v / T));
      return e.map((v) => v / e.reduce((a, b) => a + b));
    };
    for (const temperature of [undefined, 2]) {
      const T = temperature ?? 1;
      const divergence = [0, 2].map((at) => {
        const [p, q] = [soften(teacher.slice(at, at + 2), T), soften(x.slice(at, at + 2), T)];
        return p.reduce((sum, v, i) => sum + v * Math.log(v / q[i]!), 0);
      });
      const loss = distillationLoss(
        fromArray(x, [2, 2]),
        fromArray(teacher, [2, 2]),
        ...(temperature ? [{ temperature }] : []),
      );
      expect(await loss.item()).toBeCloseTo((T * T * (divergence[0]! + divergence[1]!)) / 2, 5);
    }
  });
});
