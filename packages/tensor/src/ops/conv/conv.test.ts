import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { zeros } from "../create/create.ts";
import { columnsAtOnce, conv1d, conv2d, convTranspose1d, convTranspose2d } from "./conv.ts";
import { convReference, convTransposeReference } from "./conv.reference.ts";

checkOp(conv2d, convReference, {
  cases: [
    { shapes: [[1, 1, 1, 1], [1, 1, 1, 1], [1]] },
    { shapes: [[2, 3, 6, 5], [4, 3, 3, 2], [4]] },
    { shapes: [[2, 2, 7, 6], [3, 2, 3, 3], [3]], args: [{ stride: [2, 3], padding: [1, 2], dilation: [2, 1] }] },
    { shapes: [[2, 4, 5, 5], [6, 2, 2, 3], [6]], args: [{ groups: 2, padding: [0, 1] }], note: "groups" },
    { shapes: [[1, 3, 4, 4], [3, 1, 3, 3], [3]], args: [{ groups: 3 }], note: "each channel alone" },
    { shapes: [[3, 5, 9, 9], [7, 5, 3, 3], [7]], gradient: false },
  ],
}); // prettier-ignore

checkOp(convTranspose2d, convTransposeReference, {
  cases: [
    { shapes: [[2, 3, 4, 3], [3, 2, 3, 2], [2]] },
    { shapes: [[2, 2, 3, 4], [2, 3, 3, 3], [3]], args: [{ stride: [2, 3], padding: [1, 1], outputPadding: [1, 2], dilation: [2, 1] }] },
    { shapes: [[1, 4, 3, 3], [4, 2, 2, 2], [4]], args: [{ groups: 2, stride: [2, 2] }] },
  ],
}); // prettier-ignore

// [3, 2, 7, 6] has columns of 216 bytes for each of three rows of outputs: two images at once, then one row of one image.
describe.each([1400, 300])("columns in pieces of %i bytes", (bytes) => {
  const { most } = columnsAtOnce;
  beforeAll(() => void (columnsAtOnce.most = bytes));
  afterAll(() => void (columnsAtOnce.most = most));
  const options = { stride: [2, 2], padding: [1, 1], dilation: [2, 1] };
  checkOp(conv2d, convReference, {
    cases: [{ shapes: [[3, 2, 7, 6], [3, 2, 3, 3], [3]], args: [options] }],
  }); // prettier-ignore
  checkOp(convTranspose2d, convTransposeReference, {
    cases: [{ shapes: [[3, 4, 3, 3], [4, 1, 3, 3], [2]], args: [{ ...options, groups: 2 }] }],
  }); // prettier-ignore
});

describe("convolutions", () => {
  withDevice();
  const x = () => tensor([[1, 2, 3, 4, 5]]); // one channel, no batch
  const weight = () => tensor([[[1, 0, -1]]]);

  test("of one dimension, and what padding is called", async () => {
    expect(await conv1d(x(), weight()).toArray()).toEqual([[-2, -2, -2]]);
    expect(await conv1d(x(), weight(), undefined, { padding: "same" }).toArray()).toEqual([[-2, -2, -2, -2, 4]]);
    // Of an even window, the odd zero is at the end.
    expect(await conv1d(x(), tensor([[[1, 10]]]), undefined, { padding: "same" }).toArray()).toEqual([
      [21, 32, 43, 54, 5],
    ]);
    expect(await conv1d(x(), weight(), tensor([7]), { stride: 2 }).toArray()).toEqual([[5, 5]]);
    expect(await convTranspose1d(tensor([[1, 2]]), weight(), undefined, { stride: 2 }).toArray()).toEqual([
      [1, 0, 1, 0, -2],
    ]);
  });

  test("refuse what doesn't fit", () => {
    const image = zeros([2, 3, 4, 4]);
    const [w, bias] = [zeros([5, 3, 3, 3]), zeros([4])];
    expect(() => conv2d(image, zeros([5, 2, 3, 3]))).toThrow(
      "conv2d: weight [5,2,3,3] doesn't fit x [2,3,4,4] in 1 group(s)",
    );
    expect(() => conv2d(image, w, bias)).toThrow("conv2d: bias [4] for 5 channels");
    expect(() => conv2d(image, zeros([5, 3, 5, 5]))).toThrow("conv2d: weight [5,3,5,5] is larger than x [2,3,4,4]");
    expect(() => conv2d(image, w, undefined, { stride: 0 })).toThrow("conv2d: stride is 0");
    expect(() => conv2d(image, w, undefined, { stride: 2, padding: "same" })).toThrow(
      'padding "same" with stride [2,2]',
    );
    expect(() => conv2d(zeros([4, 4]), w)).toThrow("conv2d: x is [4,4]; it takes [N, C, H, W] or [C, H, W]");
    expect(() => conv2d(image, w, undefined, { strides: 2 } as object)).toThrow(
      "there is no option strides. Did you mean stride?",
    );
    expect(() => convTranspose2d(image, zeros([3, 2, 2, 2]), undefined, { outputPadding: 1 })).toThrow(
      "outputPadding [1,1]",
    );
  });
});
