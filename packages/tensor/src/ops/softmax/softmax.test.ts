import { describe, expect, test } from "vitest";
import { tensor } from "../../tensor.ts";
import { checkOp, withDevice, withGpuKernels } from "../../testing/check-op.ts";
import { logSoftmax, softmax } from "./softmax.ts";
import { logSoftmaxReference, softmaxReference } from "./softmax.reference.ts";

const cases = [
  { shapes: [[1, 1]] },
  { shapes: [[3, 7]] },
  { shapes: [[2, 3, 257]] },
  { shapes: [[2, 3, 44]] },
  { shapes: [[5, 8]], args: [{ dim: 0 }] },
  { shapes: [[2, 6, 5]], args: [{ dim: 1 }] },
  { shapes: [[0, 4]] },
  { shapes: [[2, 5001]], gradient: false, note: "long rows" },
  { shapes: [[70_000, 2]], gradient: false, note: "many rows" },
];

function checkAll(): void {
  checkOp(softmax, softmaxReference, { cases });
  checkOp(logSoftmax, logSoftmaxReference, { cases });
}

checkAll();
withGpuKernels(checkAll);

describe("softmax", () => {
  withDevice();

  test("refuses a dimension that isn't there", () => {
    expect(() => softmax(tensor([[1, 2]]), { dim: 2 })).toThrow("softmax: dim 2 is out of range");
  });
});
