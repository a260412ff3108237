import { describe, expect, test } from "vitest";
import { checkOp, expectClose, withDevice, withGpuKernels, type OpCase } from "../../testing/check-op.ts";
import { fromArray, tensor } from "../../tensor.ts";
import { addLayerNorm, layerNorm } from "./layer-norm.ts";
import { addLayerNormReference, layerNormReference, rmsNormReference } from "./norm.reference.ts";
import { rmsNorm } from "./rms-norm.ts";

const withAffine = (shape: number[], more: Partial<OpCase> = {}): OpCase => ({
  shapes: [shape, shape.slice(-1), shape.slice(-1)],
  ...more,
});

const layerNormCases: OpCase[] = [
  withAffine([1, 1]),
  withAffine([3, 7]),
  withAffine([33]),
  withAffine([2, 3, 36]),
  withAffine([9, 257], { note: "odd, several blocks of rows" }),
  withAffine([0, 4]),
  withAffine([2, 1028], { gradient: false }),
  withAffine([70_000, 4], { gradient: false, note: "many rows" }),
  { shapes: [[5, 33]], args: [undefined, undefined, { eps: 1e-12 }], note: "no weight" },
  { shapes: [[5, 33], [33]], note: "no bias" },
  { shapes: [[4, 3, 12]], args: [undefined, undefined, { normalizedShape: [3, 12] }] },
  withAffine([3, 40], { map: (v, i) => (i === 0 ? 1e4 + Math.round(v * 64) / 64 : v), gradient: false, atol: 2e-5 }),
];
const rmsNormCases: OpCase[] = [
  { shapes: [[1, 1], [1]] },
  { shapes: [[3, 7], [7]] },
  { shapes: [[5, 2, 36], [36]], args: [{ eps: 1e-6 }] },
  { shapes: [[4, 257]] },
];
const addLayerNormCases: OpCase[] = [
  [3, 7],
  [5, 36],
  [2, 2, 257],
].map((shape) => ({
  shapes: [shape, shape, shape.slice(-1), shape.slice(-1)],
  args: [{ eps: 1e-12 }],
}));

function check(which: (c: OpCase) => boolean): void {
  checkOp(layerNorm, layerNormReference, { cases: layerNormCases.filter(which) });
  checkOp(addLayerNorm, addLayerNormReference, { cases: addLayerNormCases.filter(which) });
  checkOp(rmsNorm, rmsNormReference, { cases: rmsNormCases.filter(which) });
}

check(() => true);
withGpuKernels(() => check(({ shapes: [x] }) => x!.at(-1)! >= 32)); // shorter rows take the same kernels there

describe("layer norm", () => {
  withDevice();

  test("of a constant row is the bias, whatever the constant, with BERT's eps", async () => {
    const x = Float32Array.from({ length: 2 * 768 }, (_, i) => (i < 768 ? 0.1 : 1234.567));
    const bias = tensor(Array.from({ length: 768 }, (_, i) => i / 768));
    const y = await layerNorm(fromArray(x, [2, 768]), undefined, bias, { eps: 1e-12 }).data();
    const want = Float32Array.from({ length: 2 * 768 }, (_, i) => (i % 768) / 768);
    expectClose(y, want, { rtol: 0, atol: 2e-6 }, "constant rows");
  });

  test("of a row whose variance overflows is the bias, as in PyTorch", async () => {
    const x = tensor([[1e20, -1e20, 3e20, 2]]);
    expect(await layerNorm(x, undefined, tensor([1, 2, 3, 4])).toArray()).toEqual([[1, 2, 3, 4]]);
  });

  test("refuses a weight, a shape or a residual that doesn't fit", () => {
    const x = tensor([[1, 2, 3]]);
    expect(() => layerNorm(x, tensor([1, 2]))).toThrow("normalizedShape [2] is not the end of x's shape [1,3]");
    expect(() => layerNorm(x, tensor([1, 2, 3]), tensor([1]))).toThrow("bias is [1], but rows of [3] are normalized");
    expect(() => addLayerNorm(x, tensor([1]), x, x)).toThrow("x is [1,3] and residual [1]");
  });
});
