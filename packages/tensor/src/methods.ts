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
    /**
     * x + b, broadcast. f32, i32 or u32, of two bools bool; a float meets an integer as f32.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).add(3); // [4, 5]
     */
    add(b: Operand): Tensor;
    /**
     * x − b, broadcast. Dtypes as {@link add}.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).sub(tensor([[1], [2]])); // [[0, 1], [-1, 0]]
     */
    sub(b: Operand): Tensor;
    /**
     * x · b, element by element, broadcast. Dtypes as {@link add}; products of matrices are {@link matmul}.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).mul(3); // [3, 6]
     */
    mul(b: Operand): Tensor;
    /**
     * x / b, broadcast: f32, of whole numbers too.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2], "i32").div(2); // [0.5, 1]
     */
    div(b: Operand): Tensor;
    /**
     * xᵇ, broadcast: f32. The gradient goes to both.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2, 3]).pow(2); // [1, 4, 9]
     */
    pow(b: Operand): Tensor;
    /**
     * The larger of x and b, element by element, broadcast; NaN where either is. Dtypes as {@link add}. The largest element is {@link amax}.
     * @throws where shapes do not broadcast
     * @example tensor([1, 5]).maximum(3); // [3, 5]
     */
    maximum(b: Operand): Tensor;
    /**
     * The smaller of x and b, element by element, broadcast; NaN where either is. Dtypes as {@link add}.
     * @throws where shapes do not broadcast
     * @example tensor([1, 5]).minimum(3); // [1, 3]
     */
    minimum(b: Operand): Tensor;
    /**
     * x = b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).eq(2); // [false, true]
     */
    eq(b: Operand): Tensor;
    /**
     * x ≠ b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).ne(2); // [true, false]
     */
    ne(b: Operand): Tensor;
    /**
     * x < b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).lt(2); // [true, false]
     */
    lt(b: Operand): Tensor;
    /**
     * x ≤ b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).le(1); // [true, false]
     */
    le(b: Operand): Tensor;
    /**
     * x > b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).gt(1); // [false, true]
     */
    gt(b: Operand): Tensor;
    /**
     * x ≥ b, broadcast: bool, without a gradient.
     * @throws where shapes do not broadcast
     * @example tensor([1, 2]).ge(2); // [false, true]
     */
    ge(b: Operand): Tensor;
    /**
     * |x|: i32 and u32 stay, others become f32. dx is 0 at 0.
     * @example tensor([-1, 2]).abs(); // [1, 2]
     */
    abs(): Tensor;
    /**
     * eˣ: f32.
     * @example tensor([0]).exp(); // [1]
     */
    exp(): Tensor;
    /**
     * ln x: f32; −∞ at 0, NaN below.
     * @example tensor([1]).log(); // [0]
     */
    log(): Tensor;
    /**
     * −x: i32 and u32 stay, others become f32.
     * @example tensor([1, -2]).neg(); // [-1, 2]
     */
    neg(): Tensor;
    /**
     * max(x, 0): i32 and u32 stay, others become f32. dx = dy where x > 0.
     * @example tensor([-1, 2]).relu(); // [0, 2]
     */
    relu(): Tensor;
    /**
     * 1 / √x: f32.
     * @example tensor([4]).rsqrt(); // [0.5]
     */
    rsqrt(): Tensor;
    /**
     * 1 / (1 + e⁻ˣ): f32.
     * @example tensor([0]).sigmoid(); // [0.5]
     */
    sigmoid(): Tensor;
    /**
     * √x: f32; NaN below 0.
     * @example tensor([4, 9]).sqrt(); // [2, 3]
     */
    sqrt(): Tensor;
    /**
     * x²: i32 and u32 stay, others become f32.
     * @example tensor([-3, 2]).square(); // [9, 4]
     */
    square(): Tensor;
    /**
     * tanh x: f32.
     * @example tensor([0]).tanh(); // [0]
     */
    tanh(): Tensor;
    /**
     * min(max(x, min), max): x's dtype, of 16 bits f32, of bool i32. dx = dy between the bounds.
     * @throws where neither bound is given
     * @example tensor([-1, 0.5, 2]).clamp({ min: 0, max: 1 }); // [0, 0.5, 1]
     */
    clamp(bounds: ClampOptions): Tensor;
    /**
     * x Φ(x), with Φ the share of the standard normal distribution below x; `approximate: "tanh"` takes the formula with tanh. f32.
     * @example tensor([0]).gelu(); // [0]
     */
    gelu(options?: GeluOptions): Tensor;
    /**
     * x with `value` where `mask` is true: x's dtype, of 16 bits f32. The mask (bool) is broadcast to x.
     * @throws where the mask is not bool, or does not broadcast to x
     * @example tensor([1, 2]).maskedFill(tensor([true, false]), 0); // [0, 2]
     */
    maskedFill(mask: Tensor, value: number): Tensor;
    /**
     * Σ x over `dim`, a dimension or several, or over all; `keepdim` leaves them with size 1. x's dtype, of 16 bits f32, of bool i32.
     * @throws where x has no such dimension
     * @example tensor([[1, 2], [3, 4]]).sum({ dim: 1 }); // [3, 7]
     */
    sum(options?: ReduceOptions): Tensor;
    /**
     * The mean over `dim`, or of all elements: f32.
     * @throws where x has no such dimension
     * @example tensor([[1, 2], [3, 5]]).mean({ dim: 0 }); // [2, 3.5]
     */
    mean(options?: ReduceOptions): Tensor;
    /**
     * The product over `dim`, or of all elements: x's dtype, of 16 bits f32, of bool i32.
     * @throws where x has no such dimension
     * @example tensor([2, 3, 4]).prod(); // 24
     */
    prod(options?: ReduceOptions): Tensor;
    /**
     * The largest element over `dim`, or of all: x's dtype, of 16 bits f32. The gradient is shared evenly among equal ones.
     * @throws where x has no such dimension, or no element
     * @example tensor([[1, 5], [7, 2]]).amax({ dim: 1 }); // [5, 7]
     */
    amax(options?: ReduceOptions): Tensor;
    /**
     * The smallest element over `dim`, or of all: x's dtype, of 16 bits f32.
     * @throws where x has no such dimension, or no element
     * @example tensor([[1, 5], [7, 2]]).amin({ dim: 1 }); // [1, 2]
     */
    amin(options?: ReduceOptions): Tensor;
    /**
     * ln Σ eˣ over `dim`, or over all, without overflow: f32.
     * @throws where x has no such dimension
     * @example tensor([1000, 1000]).logsumexp({ dim: 0 }).sub(1000).exp().add(0.5).to("i32"); // 2
     */
    logsumexp(options?: ReduceOptions): Tensor;
    /**
     * Σ (x − mean)² / (n − `correction`) over `dim`, or of all elements: f32; `correction` is 1 unless given.
     * @throws where x has no such dimension
     * @example tensor([1, 3]).var(); // 2
     */
    var(options?: VarianceOptions): Tensor;
    /**
     * The place of the largest element along `dim`, the first of equal ones; without `dim` among all, flattened. i32, without a gradient.
     * @throws where x has no such dimension, or no element
     * @example tensor([[1, 5], [7, 2]]).argmax({ dim: 1 }); // [1, 0]
     */
    argmax(options?: OneDimOptions): Tensor;
    /**
     * The place of the smallest element along `dim`, as {@link argmax}.
     * @throws where x has no such dimension, or no element
     * @example tensor([[1, 5], [7, 2]]).argmin({ dim: 1 }); // [0, 1]
     */
    argmin(options?: OneDimOptions): Tensor;
    /**
     * y[i] = x[0] + … + x[i] along `dim`: x's shape and x's dtype, of 16 bits f32, of bool i32.
     * @throws where x has no such dimension
     * @example tensor([1, 2, 3]).cumsum({ dim: 0 }); // [1, 3, 6]
     */
    cumsum(options: { dim: number }): Tensor;
    /**
     * x repeated along dimensions of size 1, and along new ones in front, to `shape`. A copy in x's dtype, of 16 bits f32.
     * @throws where x does not broadcast to the shape
     * @example tensor([[1], [2]]).expand([2, 2]); // [[1, 1], [2, 2]]
     */
    expand(shape: Shape): Tensor;
    /**
     * Dimensions `startDim` (0) to `endDim` (the last) as one. Shares the memory, in x's dtype.
     * @throws where x has no such dimensions
     * @example tensor([[1, 2], [3, 4]]).flatten(); // [1, 2, 3, 4]
     */
    flatten(options?: { startDim?: number; endDim?: number }): Tensor;
    /**
     * Dimensions in another order: y's dimension i is x's dims[i]. A copy in x's dtype, of 16 bits f32.
     * @throws unless `dims` names each dimension once
     * @example tensor([[1, 2], [3, 4]]).permute([1, 0]); // [[1, 3], [2, 4]]
     */
    permute(dims: readonly number[]): Tensor;
    /**
     * The same elements in another shape, in which one size may be −1. Shares the memory, in x's dtype.
     * @throws where the elements do not fill the shape
     * @example tensor([1, 2, 3, 4]).reshape([2, -1]); // [[1, 2], [3, 4]]
     */
    reshape(shape: Shape): Tensor;
    /**
     * x at `index` of dimension `dim`, which goes away; −1 is the last. A copy in x's dtype, of 16 bits f32.
     * @throws where the index is out of range
     * @example tensor([[1, 2], [3, 4]]).select(0, -1); // [3, 4]
     */
    select(dim: number, index: number): Tensor;
    /**
     * x[start:stop:step] in each dimension, by Python's rules; `[]` is all. A copy in x's dtype, of 16 bits f32.
     * @throws where there are more slices than dimensions, or a step is below 1
     * @example tensor([[1, 2, 3]]).slice([[], [1, 3]]); // [[2, 3]]
     */
    slice(slices: readonly Slice[]): Tensor;
    /**
     * Pieces along `dim` (0): of one size, the last one shorter, or of the sizes in a list. Copies in x's dtype, of 16 bits f32.
     * @throws where a list of sizes does not add up
     * @example tensor([1, 2, 3]).split(2)[1]; // [3]
     */
    split(sizes: number | readonly number[], options?: { dim?: number }): Tensor[];
    /**
     * Without dimensions of size 1: all of them, or `dim` if its size is 1. Shares the memory, in x's dtype.
     * @throws where x has no such dimension
     * @example tensor([[1, 2]]).squeeze(); // [1, 2]
     */
    squeeze(dim?: number): Tensor;
    /**
     * Dimensions a and b exchanged. A copy in x's dtype, of 16 bits f32.
     * @throws where x has no such dimensions
     * @example tensor([[1, 2], [3, 4]]).transpose(0, 1); // [[1, 3], [2, 4]]
     */
    transpose(a: number, b: number): Tensor;
    /**
     * With a dimension of size 1 at `dim`. Shares the memory, in x's dtype.
     * @throws where `dim` is out of range
     * @example tensor([1, 2]).unsqueeze(1); // [[1], [2]]
     */
    unsqueeze(dim: number): Tensor;
    /**
     * A copy in x's dtype with memory of its own, through which gradients flow.
     * @example tensor([1, 2]).clone(); // [1, 2]
     */
    clone(): Tensor;
    /**
     * eˣ / Σ eˣ over `dim`, the last unless given: f32, of floats, in x's shape.
     * @throws where x has no such dimension, or holds whole numbers
     * @example tensor([1, 1]).softmax(); // [0.5, 0.5]
     */
    softmax(options?: SoftmaxOptions): Tensor;
    /**
     * x − ln Σ eˣ over `dim`, the last unless given: f32, of floats, in x's shape.
     * @throws where x has no such dimension, or holds whole numbers
     * @example tensor([0]).logSoftmax(); // [0]
     */
    logSoftmax(options?: SoftmaxOptions): Tensor;
    /**
     * Products of matrices: x [..., M, K] times b [..., K, N] is [..., M, N], leading dimensions broadcast; a vector is a row on the left
     * and a column on the right. `transposeA`, `transposeB` read a factor transposed. f32 from floats.
     * @throws where the inner dimensions differ, or a factor holds whole numbers
     * @example tensor([[1, 2], [3, 4]]).matmul(tensor([[1], [1]])); // [[3], [7]]
     */
    matmul(b: Tensor, options?: MatmulOptions): Tensor;
    /**
     * The tensor in another dtype; to whole numbers the fraction is cut off, to bool it is whether x is not 0.
     * @throws for a dtype that there is not
     * @example tensor([1.5, -2]).to("i32"); // [1, -2]
     */
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
