/**
 * Ops as methods of Tensor: `x.add(y)` is `add(x, y)`. They are put on here and not in `tensor.ts`, because ops make tensors:
 * importing them there would be a circle.
 */
import { argumentCheck, checked } from "./arguments.ts";
import type { DType } from "./dtype.ts";
import { cast } from "./ops/cast/cast.ts";
import { clone } from "./ops/clone/clone.ts";
import type { Operand } from "./ops/elementwise/apply.ts";
import { add, div, eq, ge, gt, le, lt, maximum, minimum, mul, ne, pow, sub } from "./ops/elementwise/binary.ts";
import {
  abs,
  clamp,
  exp,
  gelu,
  log,
  neg,
  relu,
  rsqrt,
  sigmoid,
  sqrt,
  square,
  tanh,
  type ClampOptions,
  type GeluOptions,
} from "./ops/elementwise/unary.ts";
import { maskedFill } from "./ops/elementwise/where.ts";
import { matmul, type MatmulOptions } from "./ops/matmul/matmul.ts";
import { cumsum } from "./ops/reduce/cumsum.ts";
import { amax, amin, argmax, argmin } from "./ops/reduce/extremes.ts";
import { logsumexp } from "./ops/reduce/logsumexp.ts";
import { prod } from "./ops/reduce/prod.ts";
import type { OneDimOptions, ReduceOptions } from "./ops/reduce/stretch.ts";
import { mean, sum } from "./ops/reduce/sum.ts";
import { variance, type VarianceOptions } from "./ops/reduce/variance.ts";
import { expand } from "./ops/shape/expand.ts";
import { permute, transpose } from "./ops/shape/permute.ts";
import { flatten, reshape, squeeze, unsqueeze } from "./ops/shape/reshape.ts";
import { select, slice, split, type Slice } from "./ops/shape/slice.ts";
import { logSoftmax, softmax, type SoftmaxOptions } from "./ops/softmax/softmax.ts";
import type { Shape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/** Ops whose first argument becomes `this`. */
const ops = {
  ...{ add, div, eq, ge, gt, le, lt, maximum, minimum, mul, ne, pow, sub },
  ...{ abs, clamp, exp, gelu, log, maskedFill, neg, relu, rsqrt, sigmoid, sqrt, square, tanh },
  ...{ amax, amin, argmax, argmin, cumsum, logsumexp, mean, prod, sum },
  var: checked("var", variance.definition.takes!, variance), // its errors say what was written
  ...{ expand, flatten, permute, reshape, select, slice, split, squeeze, transpose, unsqueeze },
  ...{ clone, logSoftmax, matmul, softmax },
};

// Written out and not derived from the ops: their types are inferred with the help of Tensor's, which would be a circle.
declare module "./tensor.ts" {
  interface Tensor {
    // Of tensor.ts, and here once more: else TypeScript, building incrementally, does not find it in the merged type.
    [Symbol.dispose](): void;
    add(b: Operand): Tensor;
    sub(b: Operand): Tensor;
    mul(b: Operand): Tensor;
    div(b: Operand): Tensor;
    pow(b: Operand): Tensor;
    maximum(b: Operand): Tensor;
    minimum(b: Operand): Tensor;
    eq(b: Operand): Tensor;
    ne(b: Operand): Tensor;
    lt(b: Operand): Tensor;
    le(b: Operand): Tensor;
    gt(b: Operand): Tensor;
    ge(b: Operand): Tensor;
    abs(): Tensor;
    exp(): Tensor;
    log(): Tensor;
    neg(): Tensor;
    relu(): Tensor;
    rsqrt(): Tensor;
    sigmoid(): Tensor;
    sqrt(): Tensor;
    square(): Tensor;
    tanh(): Tensor;
    clamp(bounds: ClampOptions): Tensor;
    gelu(options?: GeluOptions): Tensor;
    maskedFill(mask: Tensor, value: number): Tensor;
    sum(options?: ReduceOptions): Tensor;
    mean(options?: ReduceOptions): Tensor;
    prod(options?: ReduceOptions): Tensor;
    amax(options?: ReduceOptions): Tensor;
    amin(options?: ReduceOptions): Tensor;
    logsumexp(options?: ReduceOptions): Tensor;
    var(options?: VarianceOptions): Tensor;
    argmax(options?: OneDimOptions): Tensor;
    argmin(options?: OneDimOptions): Tensor;
    cumsum(options: { dim: number }): Tensor;
    expand(shape: Shape): Tensor;
    flatten(options?: { startDim?: number; endDim?: number }): Tensor;
    permute(dims: readonly number[]): Tensor;
    reshape(shape: Shape): Tensor;
    select(dim: number, index: number): Tensor;
    slice(slices: readonly Slice[]): Tensor;
    split(sizes: number | readonly number[], options?: { dim?: number }): Tensor[];
    squeeze(dim?: number): Tensor;
    transpose(a: number, b: number): Tensor;
    unsqueeze(dim: number): Tensor;
    clone(): Tensor;
    softmax(options?: SoftmaxOptions): Tensor;
    logSoftmax(options?: SoftmaxOptions): Tensor;
    matmul(b: Tensor, options?: MatmulOptions): Tensor;
    /** The tensor in another dtype: see `cast`. */
    to(dtype: DType): Tensor;
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

const checkTo = argumentCheck("to", { dtype: "dtype" });

Tensor.prototype.to = function (...args) {
  checkTo(args);
  return cast(this, args[0]);
};
