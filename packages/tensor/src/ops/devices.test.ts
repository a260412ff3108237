import { describe, expect, test } from "vitest";
import { device } from "../runtime/init.ts";
import { checkOp, withDevice, withGpuKernels, type OpCase } from "../testing/check-op.ts";
import type { NdArray } from "../testing/nd-array.ts";
import { withLeastLimits, withSubgroupsOf } from "../testing/other-devices.ts";
import { attentionReference } from "./attention/attention.reference.ts";
import { attention } from "./attention/attention.ts";
import { linearGeluReference } from "./matmul/linear.reference.ts";
import { linearGelu } from "./matmul/linear.ts";
import { matmulReference } from "./matmul/matmul.reference.ts";
import { matmul } from "./matmul/matmul.ts";
import { addLayerNorm, layerNorm } from "./norm/layer-norm.ts";
import { addLayerNormReference, layerNormReference } from "./norm/norm.reference.ts";
import { softmaxReference } from "./softmax/softmax.reference.ts";
import { softmax } from "./softmax/softmax.ts";

// Ops that choose their kernels by what a device offers, on devices that aren't here: all others run the same kernels everywhere, and
// scripts/shaders.test.ts compiles them within the least limits.

const rows = (...lengths: number[]): OpCase[] => lengths.map((length) => ({ shapes: [[3, length]] }));
const affine = (...lengths: number[]): OpCase[] =>
  lengths.map((length) => ({ shapes: [[3, length], [length], [length]] }));

/** Rows within a subgroup, and longer than one. */
function checkRows(): void {
  checkOp(softmax, softmaxReference, { cases: [...rows(3, 36), { shapes: [[3, 1028]], gradient: false }] });
  const long: OpCase = { shapes: [[3, 1028], [1028], [1028]], gradient: false };
  checkOp(layerNorm, layerNormReference, { cases: [...affine(5, 36), long], together: [["weight", "bias"]] });
  checkOp(addLayerNorm, addLayerNormReference, {
    cases: [{ shapes: [[3, 40], [3, 40], [40], [40]] }],
    together: [["weight", "bias"], ["x", "residual"]], // prettier-ignore
  });
}

function checkProducts(): void {
  checkOp(matmul, matmulReference, {
    cases: [
      { shapes: [[3, 5], [5, 2]] }, // prettier-ignore
      { shapes: [[70, 37], [37, 66]], gradient: false, rtol: 1e-4, atol: 1e-5 }, // prettier-ignore
      { shapes: [[2, 132, 20], [20, 260]], gradient: false, rtol: 1e-4, atol: 1e-5 }, // prettier-ignore
    ],
  });
  checkOp(linearGelu, linearGeluReference, {
    cases: [{ shapes: [[17, 12], [20, 12], [20]], args: [{}] }], // prettier-ignore
    together: [["weight", "bias"]],
  });
  for (const headDim of [20, 64]) {
    const shape = [1, 2, 5, headDim];
    checkOp(
      attention,
      (q: NdArray, k: NdArray, v: NdArray, _mask: undefined, options: object) =>
        attentionReference(q, k, v, undefined, options),
      {
        cases: [{ shapes: [shape, shape, shape], args: [undefined, {}], gradient: headDim < 64 }],
        together: [["k", "v"]],
      },
    );
  }
}

for (const lanes of [1, 4, 8, 16, 32, 64, 128]) withSubgroupsOf(lanes, checkRows);

withLeastLimits(() => {
  describe("the device", () => {
    withDevice();
    test("has no more than WebGPU promises", () => {
      expect(device().adapter).toMatchObject({ workgroupBytes: 16384, workgroupInvocations: 256 });
    });
  });
  withGpuKernels(() => {
    checkRows();
    checkProducts();
  });
});
