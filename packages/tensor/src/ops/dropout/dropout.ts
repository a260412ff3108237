import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { defaultGenerator, type Generator } from "../../random.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { drawDrop, type Drop } from "./draw.ts";
import dropoutCode from "./dropout.wgsl";
import maskCode from "./dropout-mask.wgsl";

const dropoutKernel = kernel("ops/dropout/dropout.wgsl", dropoutCode);
const maskKernel = kernel("ops/dropout/dropout-mask.wgsl", maskCode);

export interface DropoutOptions {
  /** The probability of an element to be dropped. PyTorch's default is 0.5. */
  p?: number;
  /** Without training, dropout is the identity. */
  training?: boolean;
  generator?: Generator;
  /** Which elements to keep (nonzero), of x's shape, instead of a random choice. */
  mask?: Tensor;
}

/**
 * Each element is 0 with probability p, else x / (1 − p), so that the mean stays: f32 of x's shape. No mask is stored: backward
 * draws the same numbers again from the generator's state at the time. p = 0 gives x; p = 1 gives zeros, not 0/0. A NaN or an infinity that is
 * dropped gives NaN, as in PyTorch: 0 times either.
 * @see Srivastava et al., 2014. https://jmlr.org/papers/v15/srivastava14a.html
 */
export const dropout = defineOp("dropout", {
  takes: {
    x: "tensor",
    options: { p: "number?", training: "boolean?", generator: "generator?", mask: "tensor?" },
  },
  forward(x: Tensor, { p = 0.5, training = true, generator = defaultGenerator, mask }: DropoutOptions = {}) {
    check(x.dtype === "f32", () => `dropout: x is ${x.dtype}. Cast it to f32.`);
    check(
      !mask || sameShape(mask.shape, x.shape),
      () => `dropout: the mask is ${showShape(mask!.shape)}, x ${showShape(x.shape)}.`,
    );
    const rate = training ? p : 0;
    const given = mask && rate > 0 && rate < 1 ? { mask, scale: 1 / (1 - rate) } : undefined;
    const choice = given ?? drawDrop("dropout", x.size, rate, generator);
    return { output: apply(x, choice), inputs: { x }, saved: { choice } };
  },
  backward: ({ choice }, dy) => ({ x: apply(dy, choice) }),
});

/** Drops elements of x (forward) or dy (backward) by a mask, or by drawn numbers. */
function apply(x: Tensor, choice: { mask: Tensor; scale: number } | Drop | undefined): Tensor {
  if (!choice) return x.alias();
  if (!("mask" in choice)) return applyDrop(x, choice);
  const y = empty(x.shape);
  run(maskKernel, { x, mask: choice.mask, y }, { size: x.size, scale: choice.scale }, { threads: x.size });
  return y;
}

/** x without what is dropped, and the rest rescaled; not recorded. */
export function applyDrop(x: Tensor, { rescale, ...drop }: Drop): Tensor {
  const y = empty(x.shape);
  const vectors = ceilDiv(x.size, 4);
  run(dropoutKernel, { x, y }, { ...drop, vectors, scale: rescale }, { threads: vectors });
  return y;
}
