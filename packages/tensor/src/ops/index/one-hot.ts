import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { notDifferentiable } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { empty, type Tensor } from "../../tensor.ts";
import code from "./one-hot.wgsl";
import { checkIndex } from "./rows.ts";

const oneHotKernel = kernel("ops/index/one-hot.wgsl", code);

/**
 * y[…, c] = 1 where x[…] = c, else 0: i32 [...x, numClasses]. A number out of range gives a row of zeros.
 * @throws without `numClasses`: the largest number is known on the device only, but the shape is needed now
 */
export const oneHot = defineOp("oneHot", {
  takes: { x: "tensor", options: { numClasses: "number" } },
  forward(x: Tensor, { numClasses }: { numClasses: number }) {
    checkIndex("oneHot", x);
    check(
      Number.isInteger(numClasses) && numClasses > 0,
      () => `oneHot: numClasses is ${numClasses}. Give the number of classes, one more than the largest number.`,
    );
    const y = empty([...x.shape, numClasses], "i32");
    run(oneHotKernel, { x, y }, { size: y.size, classes: numClasses }, { threads: y.size });
    return { output: y, inputs: {}, saved: {} };
  },
  backward: notDifferentiable("x are whole numbers"),
});
