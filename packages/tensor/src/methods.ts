/**
 * Ops as methods of Tensor: `x.add(y)` is `add(x, y)`. They are put on here and not in `tensor.ts`, because ops make tensors:
 * importing them there would be a circle.
 */
import type { DType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { cast } from "./ops/cast/cast.ts";
import { clone } from "./ops/clone/clone.ts";
import { add, div, eq, ge, gt, le, lt, maximum, minimum, mul, ne, pow, sub } from "./ops/elementwise/binary.ts";
import { abs, clamp, exp, gelu, log, neg, relu, rsqrt, sigmoid, sqrt, square, tanh } from "./ops/elementwise/unary.ts";
import { maskedFill } from "./ops/elementwise/where.ts";
import { matmul } from "./ops/matmul/matmul.ts";
import { cumsum } from "./ops/reduce/cumsum.ts";
import { amax, amin, argmax, argmin } from "./ops/reduce/extremes.ts";
import { logsumexp } from "./ops/reduce/logsumexp.ts";
import { prod } from "./ops/reduce/prod.ts";
import { mean, sum } from "./ops/reduce/sum.ts";
import { variance } from "./ops/reduce/variance.ts";
import { expand } from "./ops/shape/expand.ts";
import { permute, transpose } from "./ops/shape/permute.ts";
import { flatten, reshape, squeeze, unsqueeze } from "./ops/shape/reshape.ts";
import { select, slice, split } from "./ops/shape/slice.ts";
import { logSoftmax, softmax } from "./ops/softmax/softmax.ts";
import { hooks } from "./recorder.ts";
import { Tensor } from "./tensor.ts";

/** Ops whose first argument becomes `this`. */
const ops = {
  ...{ add, div, eq, ge, gt, le, lt, maximum, minimum, mul, ne, pow, sub },
  ...{ abs, clamp, exp, gelu, log, maskedFill, neg, relu, rsqrt, sigmoid, sqrt, square, tanh },
  ...{ amax, amin, argmax, argmin, cumsum, logsumexp, mean, prod, sum, var: variance },
  ...{ expand, flatten, permute, reshape, select, slice, split, squeeze, transpose, unsqueeze },
  ...{ clone, logSoftmax, matmul, softmax },
};

type OpMethods = {
  [K in keyof typeof ops]: (typeof ops)[K] extends (x: Tensor, ...rest: infer A) => infer R ? (...rest: A) => R : never;
};

declare module "./tensor.ts" {
  interface Tensor extends OpMethods {
    /** The tensor in another dtype: see `cast`. */
    to(dtype: DType): Tensor;
    /** The same memory without the tape: no gradient goes back through it. */
    detach(): Tensor;
    /**
     * Adds d this / d leaf to the `.grad` of every leaf behind it: see `backward` of @gpugrad/autograd.
     * @throws when @gpugrad/autograd was not imported
     */
    backward(options?: { gradient?: Tensor; retainGraph?: boolean }): void;
  }
}

for (const [name, op] of Object.entries(ops)) {
  const call = op as (x: Tensor, ...rest: unknown[]) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      return call(this, ...rest);
    },
  });
}

Tensor.prototype.to = function (dtype) {
  return cast(this, dtype);
};

Tensor.prototype.detach = function () {
  return this.alias();
};

Tensor.prototype.backward = function (options = {}) {
  if (!hooks.recorder) {
    throw new GpugradError('backward: nothing was recorded. Import "@gpugrad/autograd" before computing.');
  }
  hooks.recorder.backward(this, options);
};
