import { GpugradError, check } from "../../errors.ts";
import { wholeNumber, type DType } from "../../dtype.ts";
import { constantOf, kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastStrides, ceilDiv, showShape, sizeOf, stridesOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "../shape/copy.ts";
import binaryCode from "./binary.wgsl";
import unaryCode from "./unary.wgsl";
import unaryBackwardCode from "./unary-backward.wgsl";

// The kernels of this room as functions of tensors: what its ops, and those of other rooms, are made of. Nothing is recorded here.

const unaryKernel = kernel("ops/elementwise/unary.wgsl", unaryCode);
const unaryBackwardKernel = kernel("ops/elementwise/unary-backward.wgsl", unaryBackwardCode);
const binaryKernel = kernel("ops/elementwise/binary.wgsl", binaryCode);

/** The functions of unary.wgsl, by the names of their numbers there; most are in unary-backward.wgsl, too. */
export type UnaryFunction =
  | "neg"
  | "abs"
  | "square"
  | "reciprocal"
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "log"
  | "sin"
  | "cos"
  | "tanh"
  | "sigmoid"
  | "relu"
  | "gelu"
  | "gelu_tanh"
  | "erf"
  | "silu"
  | "floor"
  | "ceil"
  | "round"
  | "sign"
  | "clamp";

/** The functions of binary.wgsl. */
export type BinaryFunction =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "pow"
  | "maximum"
  | "minimum"
  | "eq"
  | "ne"
  | "lt"
  | "le"
  | "gt"
  | "ge"
  | "logical_and"
  | "logical_or"
  | "share_of_max"
  | "remainder"
  | "fmod";

const isTrueOrFalse = (fn: BinaryFunction): boolean => /^(eq|ne|lt|le|gt|ge|logical_.*)$/.test(fn);

/** Bounds of `clamp`; −∞ and ∞ where there is none. */
export interface Bounds {
  low: number;
  high: number;
}
const unbounded: Bounds = { low: -Infinity, high: Infinity };

/** Kernels take four elements at a time; buffers are padded to that. */
const vectorsOf = (x: Tensor): number => ceilDiv(x.size, 4);

/** fn(x) of an f32 tensor, written to `y`. */
export function applyUnary(fn: UnaryFunction, x: Tensor, bounds = unbounded, y = empty(x.shape)): Tensor {
  const vectors = vectorsOf(x);
  run(
    unaryKernel,
    { x, y },
    { vectors, ...bounds },
    { threads: vectors, overrides: { FN: constantOf(unaryKernel, fn) } },
  );
  return y;
}

/** dx = dy fn'(x), from `s`: x or y, as unary-backward.wgsl says. */
export function applyUnaryBackward(fn: UnaryFunction, s: Tensor, dy: Tensor, bounds: Bounds = unbounded): Tensor {
  const dx = empty(s.shape);
  const vectors = vectorsOf(s);
  run(
    unaryBackwardKernel,
    { s, dy, dx },
    { vectors, ...bounds },
    { threads: vectors, overrides: { FN: constantOf(unaryBackwardKernel, fn) } },
  );
  return dx;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The 32 bits of `value` in a tensor of this dtype. */
export function bitsOf(value: number, dtype: DType, owner: string): number {
  if (dtype === "i32" || dtype === "u32" || dtype === "bool") scratch.setUint32(0, wholeNumber(dtype, value, owner));
  else scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

/** One side of a binary function. */
export type Operand = Tensor | number;

/**
 * fn(a, b) in `shape`, to which both are broadcast. `dtype` is that of both operands.
 */
export function applyBinary(fn: BinaryFunction, a: Operand, b: Operand, shape: Shape, dtype: DType): Tensor {
  const y = empty(shape, isTrueOrFalse(fn) ? "bool" : dtype);
  if (y.size === 0) return y;
  const T = dtype === "f32" || dtype === "i32" ? dtype : "u32";
  const any = typeof a === "number" ? b : a;
  check(typeof any !== "number", `${fn}: both operands are numbers; one has to be a tensor.`);
  const [left, right] = [layoutOf(fn, a, shape), layoutOf(fn, b, shape)];
  const vectors = vectorsOf(y);
  const read = ({ lanes }: Layout): string => (lanes === 4 ? `vec4<${T}>` : T);
  run(
    specialize(binaryKernel, { T, AT: read(left), BT: read(right) }),
    { a: typeof a === "number" ? any : a, b: typeof b === "number" ? any : b, y },
    {
      vectors,
      a_bits: typeof a === "number" ? bitsOf(a, dtype, fn) : 0,
      b_bits: typeof b === "number" ? bitsOf(b, dtype, fn) : 0,
      a_sizes: padStrides(left.sizes),
      a_strides: padStrides(left.strides),
      b_sizes: padStrides(right.sizes),
      b_strides: padStrides(right.strides),
    },
    {
      threads: vectors,
      overrides: {
        ...{ FN: constantOf(binaryKernel, fn), FLOAT: Number(T === "f32"), A: left.mode, B: right.mode },
        ...{ A_RANK: left.sizes.length, B_RANK: right.sizes.length },
      },
    },
  );
  return y;
}

/** How kernels find an operand's elements, in the order of the numbers in binary.wgsl. */
const Mode = { like: 0, one: 1, number: 2, fours: 3, each: 4 } as const;

/** How an operand is read when it is broadcast to a shape. */
export interface Layout {
  readonly mode: number;
  /** Elements that are read at once. */
  readonly lanes: 1 | 4;
  /** The dimensions to walk through, and the operand's strides in them; in fours for `Mode.fours`. */
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/** How `x` lies in `shape`. */
export function layoutOf(op: string, x: Operand, shape: Shape): Layout {
  const whole = { sizes: [1], strides: [0], lanes: 4 } as const;
  if (typeof x === "number") return { ...whole, mode: Mode.number };
  if (x.size === sizeOf(shape)) return { ...whole, mode: Mode.like };
  if (x.size === 1) return { ...whole, mode: Mode.one };
  const { sizes, strides: all } = collapse(op, shape, [broadcastStrides(x.shape, shape)]);
  const strides = all[0]!;
  const last = sizes.length - 1;
  const [size, stride] = [sizes[last]!, strides[last]!];
  const inFours = [...sizes.slice(0, last), size / 4];
  if (size % 4 === 0 && stride === 0) return { mode: Mode.fours, lanes: 1, sizes: inFours, strides };
  if (size % 4 === 0 && strides.slice(0, last).every((s) => s % 4 === 0)) {
    return { mode: Mode.fours, lanes: 4, sizes: inFours, strides: strides.map((s, d) => (d === last ? 1 : s / 4)) };
  }
  return { mode: Mode.each, lanes: 1, sizes, strides };
}

/** Most dimensions that kernels walk through by strides. */
const MAX_RANK = 8;

/** A list of at most eight numbers as kernels take it: two vec4u. */
export const padStrides = (list: readonly number[]): number[] => [
  ...list,
  ...new Array<number>(MAX_RANK - list.length).fill(0),
];

/** Joins dimensions that every operand walks through in one stride, and drops those of size 1. */
export function collapse(
  op: string,
  shape: Shape,
  strides: readonly (readonly number[])[],
): { sizes: number[]; strides: number[][] } {
  const sizes: number[] = [];
  const joined: number[][] = strides.map(() => []);
  shape.forEach((size, i) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    if (last >= 0 && strides.every((s, k) => joined[k]![last] === s[i]! * size)) {
      sizes[last]! *= size;
      strides.forEach((s, k) => (joined[k]![last] = s[i]!));
    } else {
      sizes.push(size);
      strides.forEach((s, k) => joined[k]!.push(s[i]!));
    }
  });
  if (sizes.length === 0) return { sizes: [1], strides: strides.map(() => [0]) };
  if (sizes.length > MAX_RANK) {
    throw new GpugradError(
      `${op}: broadcasting to ${showShape(shape)} leaves ${sizes.length} dimensions; kernels walk ${MAX_RANK}. Reshape first.`,
    );
  }
  return { sizes, strides: joined };
}

/** x broadcast to `shape`, written out, times `scale`: how the gradient of a sum or mean goes back. */
export function broadcastTo(x: Tensor, shape: Shape, scale = 1): Tensor {
  if (scale !== 1) return applyBinary("mul", x, scale, shape, x.dtype);
  return copied(x, shape, broadcastStrides(x.shape, shape));
}

/** x with its dimensions in another order, written out. */
export function permuted(x: Tensor, order: readonly number[]): Tensor {
  const strides = stridesOf(x.shape);
  const pick = (list: readonly number[]): number[] => order.map((d) => list[d]!);
  return copied(x, pick(x.shape), pick(strides));
}

function copied(x: Tensor, shape: Shape, strides: readonly number[]): Tensor {
  const y = empty(shape, x.dtype);
  copyView(shape, x, { offset: 0, strides }, y, viewOf(shape));
  return y;
}
