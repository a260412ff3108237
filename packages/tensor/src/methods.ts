/**
 * Ops as methods of Tensor: each is one line that calls the op. They are put on here and not in `tensor.ts`, because ops make
 * tensors: importing them there would be a circle.
 */
import type { DType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { cast } from "./ops/cast/cast.ts";
import { clone } from "./ops/clone/clone.ts";
import { hooks } from "./recorder.ts";
import { Tensor } from "./tensor.ts";

const methods = {
  /** The tensor in another dtype: see `cast`. */
  to(this: Tensor, dtype: DType): Tensor {
    return cast(this, dtype);
  },
  /** A copy with memory of its own. */
  clone(this: Tensor): Tensor {
    return clone(this);
  },
  /** The same memory without the tape: no gradient goes back through it. */
  detach(this: Tensor): Tensor {
    return this.alias();
  },
  /**
   * Adds d this / d leaf to the `.grad` of every leaf behind it: see `backward` of @gpugrad/autograd.
   * @throws when @gpugrad/autograd was not imported
   */
  backward(this: Tensor, options: { gradient?: Tensor; retainGraph?: boolean } = {}): void {
    if (!hooks.recorder)
      throw new GpugradError('backward: nothing was recorded. Import "@gpugrad/autograd" before computing.');
    hooks.recorder.backward(this, options);
  },
};

type Methods = { [K in keyof typeof methods]: OmitThisParameter<(typeof methods)[K]> };

declare module "./tensor.ts" {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- merges the methods above into the class
  interface Tensor extends Methods {}
}

Object.assign(Tensor.prototype, methods);
