import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { defaultGenerator, type Draw, type Generator } from "../../random.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { zerosLike } from "../create/create.ts";
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
 * draws the same numbers again from where the generator stood. p = 0 gives x; p = 1 gives zeros, not 0/0.
 * @see Srivastava et al., 2014. https://jmlr.org/papers/v15/srivastava14a.html
 */
export const dropout = defineOp("dropout", {
  forward(x: Tensor, { p = 0.5, training = true, generator = defaultGenerator, mask }: DropoutOptions = {}) {
    check(p >= 0 && p <= 1, () => `dropout: p is ${p}, but a probability lies between 0 and 1.`);
    check(x.dtype === "f32", () => `dropout: x is ${x.dtype}. Cast it to f32.`);
    check(
      !mask || sameShape(mask.shape, x.shape),
      () => `dropout: the mask is ${showShape(mask!.shape)}, x ${showShape(x.shape)}.`,
    );
    const rate = training ? p : 0;
    const choice = rate > 0 && rate < 1 ? (mask ?? generator.draw(x.size)) : undefined;
    const saved = { rate, choice };
    return { output: apply(x, saved), inputs: { x }, saved };
  },
  backward: (saved, dy) => ({ x: apply(dy, saved) }),
});

/** Drops elements of x (forward) or dy (backward) by the mask or the drawn numbers of `choice`. */
function apply(x: Tensor, { rate, choice }: { rate: number; choice: Tensor | Draw | undefined }): Tensor {
  if (!choice) return rate === 0 ? x.alias() : zerosLike(x);
  const scale = 1 / (1 - rate);
  const y = empty(x.shape);
  if ("key" in choice) {
    const vectors = ceilDiv(x.size, 4);
    const threshold = Math.round(rate * 2 ** 24);
    run(dropoutKernel, { x, y }, { ...choice, vectors, threshold, scale }, { threads: vectors });
  } else {
    run(maskKernel, { x, mask: choice, y }, { size: x.size, scale }, { threads: x.size });
  }
  return y;
}
