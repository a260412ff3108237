import { checked, type Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { imageShape, likeInput, pairOf, perDimTakes, type Pair, type PerDim } from "../conv/window.ts";
import backwardCode from "./pool-backward.wgsl";
import forwardCode from "./pool.wgsl";

const forwardKernel = kernel("ops/pool/pool.wgsl", forwardCode);
const backwardKernel = kernel("ops/pool/pool-backward.wgsl", backwardCode);

/** How windows lie on x, by the names of the kernels' parameters. */
interface Windows {
  size: Pair;
  out: Pair;
  window: Pair;
  stride: Pair;
  dilation: Pair;
  padding: Pair;
  include: number;
  divisor: number;
  adaptive: boolean;
}

/** Options of {@link maxPool2d}: a number for both dimensions, or a list [height, width]. */
export interface MaxPoolOptions {
  /** The window's size unless given. */
  stride?: PerDim | undefined;
  /** At most half of the window; it never wins. */
  padding?: PerDim | undefined;
  dilation?: PerDim | undefined;
  /** Whether a last window may stick out at the end. */
  ceilMode?: boolean | undefined;
}

/** Options of {@link avgPool2d}. */
export interface AvgPoolOptions {
  stride?: PerDim | undefined;
  padding?: PerDim | undefined;
  ceilMode?: boolean | undefined;
  /** Whether the mean counts padding (true). */
  countIncludePad?: boolean | undefined;
  /** What is divided by, instead of the window's size. */
  divisorOverride?: number | undefined;
}

function pool(x: Tensor, max: boolean, w: Windows, image: readonly number[]) {
  const shape = [image[0]!, image[1]!, ...w.out];
  const y = empty(shape);
  const index = empty(max ? shape : [1], "i32");
  const { adaptive, ...params } = w;
  const overrides = { MAX: Number(max), ADAPTIVE: Number(adaptive) };
  run(forwardKernel, { x, y, index }, { ...params, count: y.size }, { threads: y.size, overrides });
  return { y, index };
}

function poolBackward(dy: Tensor, index: Tensor | undefined, w: Windows, shape: readonly number[]): Tensor {
  const dx = empty(shape);
  const { adaptive, ...params } = w;
  const overrides = { MAX: Number(index !== undefined), ADAPTIVE: Number(adaptive) };
  run(backwardKernel, { dy, index: index ?? dy, dx }, { ...params, count: dx.size }, { threads: dx.size, overrides });
  return dx;
}

/** How many windows there are along a dimension; with `ceil` none that would begin in the padding at the end. */
function places(n: number, window: number, stride: number, padding: number, ceil: boolean): number {
  const room = n + 2 * padding - window;
  if (!ceil) return Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  return (count - 1) * stride >= n + padding ? count - 1 : count;
}

function windowsOf(
  owner: string,
  dims: 1 | 2,
  size: Pair,
  kernelSize: PerDim,
  { stride = kernelSize, padding = 0, dilation = 1, ceilMode = false }: MaxPoolOptions,
): Windows {
  const window = pairOf(owner, "kernelSize", kernelSize, dims, 1, 1);
  const steps = pairOf(owner, "stride", stride, dims, 1, 1);
  const around = pairOf(owner, "padding", padding, dims, 0, 0);
  const apart = pairOf(owner, "dilation", dilation, dims, 1, 1);
  check(
    around.every((p, d) => 2 * p <= window[d]!),
    () => `${owner}: padding ${showShape(around)} is more than half of the window ${showShape(window)}.`,
  );
  const reach = (d: 0 | 1): number => apart[d] * (window[d] - 1) + 1;
  const of = (d: 0 | 1): number => places(size[d], reach(d), steps[d], around[d], ceilMode);
  const out: Pair = [of(0), of(1)];
  check(
    out.every((n) => n > 0),
    () => `${owner}: the window ${showShape(window)} is larger than ${showShape(size)} with its padding.`,
  );
  return {
    size,
    out,
    window,
    stride: steps,
    dilation: apart,
    padding: around,
    include: 0,
    divisor: 0,
    adaptive: false,
  };
}

/** Largest elements and their places. */
const defineMax = (owner: string, dims: 1 | 2) =>
  defineOp(owner, {
    forward(x: Tensor, w: (size: Pair) => Windows) {
      const { image, batched } = imageShape(owner, x.shape, dims);
      const windows = w([image[2], image[3]]);
      const { y, index } = pool(x, true, windows, image);
      const shape = likeInput([image[0], image[1], ...windows.out], dims, batched);
      const output = [y.alias(shape), index.alias(shape)] as const;
      return { output, inputs: { x }, saved: { index, windows, shape: x.shape } };
    },
    backward: ({ index, windows, shape }, dy) => ({ x: poolBackward(dy, index, windows, shape) }),
  });

const defineMean = (owner: string, dims: 1 | 2) =>
  defineOp(owner, {
    forward(x: Tensor, w: (size: Pair) => Windows) {
      const { image, batched } = imageShape(owner, x.shape, dims);
      const windows = w([image[2], image[3]]);
      const { y } = pool(x, false, windows, image);
      const shape = likeInput([image[0], image[1], ...windows.out], dims, batched);
      return { output: y.alias(shape), inputs: { x }, saved: { windows, shape: x.shape } };
    },
    backward: ({ windows, shape }, dy) => ({ x: poolBackward(dy, undefined, windows, shape) }),
  });

/** What pooling gives that keeps the places. */
export interface PooledAndIndices {
  output: Tensor;
  /** i32: the place of each largest element in its plane (or line) of x. */
  indices: Tensor;
}

const maxTakes: Takes = { stride: perDimTakes, padding: perDimTakes, dilation: perDimTakes, ceilMode: "boolean?" };

/** Pooling under the name `owner`; `result` says what it gives of the largest elements and their places. */
/* @__NO_SIDE_EFFECTS__ */
function maxPool<R>(owner: string, dims: 1 | 2, result: (output: Tensor, indices: Tensor) => R) {
  const op = defineMax(owner, dims);
  return checked(
    owner,
    { x: "tensor", kernelSize: "number|numbers", options: maxTakes },
    (x: Tensor, kernelSize: PerDim, options: MaxPoolOptions = {}): R =>
      result(...op(x, (size) => windowsOf(owner, dims, size, kernelSize, options))),
  );
}

const onlyLargest = (output: Tensor): Tensor => output;
const withIndices = (output: Tensor, indices: Tensor): PooledAndIndices => ({ output, indices });

/* @__NO_SIDE_EFFECTS__ */
function adaptiveMaxPool<R>(owner: string, result: (output: Tensor, indices: Tensor) => R) {
  const op = defineMax(owner, 2);
  return checked(owner, adaptiveTakes, (x: Tensor, outputSize: number | readonly (number | null)[]): R =>
    result(...op(x, adaptive(owner, outputSize))),
  );
}

/* @__NO_SIDE_EFFECTS__ */
function avgPool(owner: string, dims: 1 | 2) {
  const op = defineMean(owner, dims);
  return checked(
    owner,
    {
      ...{ x: "tensor", kernelSize: "number|numbers" },
      options: {
        ...{ stride: perDimTakes, padding: perDimTakes, ceilMode: "boolean?" },
        ...{ countIncludePad: "boolean?", divisorOverride: "number?" },
      },
    },
    (x: Tensor, kernelSize: PerDim, options: AvgPoolOptions = {}): Tensor => {
      const { countIncludePad = true, divisorOverride, ...rest } = options;
      check(divisorOverride !== 0, () => `${owner}: divisorOverride is 0.`);
      const extra = { include: Number(countIncludePad), divisor: divisorOverride ?? 0 };
      return op(x, (size) => ({ ...windowsOf(owner, dims, size, kernelSize, rest), ...extra }));
    },
  );
}

/** Windows that divide x evenly; null keeps the size of a dimension. */
const adaptive =
  (owner: string, outputSize: number | readonly (number | null)[]) =>
  (size: Pair): Windows => {
    const list = typeof outputSize === "number" ? [outputSize, outputSize] : outputSize;
    const asked = list.map((n, d) => n ?? size[d]!);
    const out = pairOf(owner, "outputSize", asked, 2, 1, 1);
    const one: Pair = [1, 1];
    return {
      size,
      out,
      window: one,
      stride: one,
      dilation: one,
      padding: [0, 0],
      include: 0,
      divisor: 0,
      adaptive: true,
    };
  };

const adaptiveTakes: Takes = { x: "tensor", outputSize: "any" };
const adaptiveMean = defineMean("adaptiveAvgPool2d", 2);

/**
 * The largest element of each window and its place: x [N, C, H, W] or [C, H, W]. The first of equal ones, in row-major order, takes the
 * whole gradient; NaN wins.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html
 */
export const maxPool2dWithIndices = maxPool("maxPool2dWithIndices", 2, withIndices);

/** {@link maxPool2dWithIndices} of one dimension: x [N, C, L] or [C, L]. */
export const maxPool1dWithIndices = maxPool("maxPool1dWithIndices", 1, withIndices);

/** The largest element of each window: x [N, C, H, W] or [C, H, W]. */
export const maxPool2d = maxPool("maxPool2d", 2, onlyLargest);

/** The largest element of each window: x [N, C, L] or [C, L]. */
export const maxPool1d = maxPool("maxPool1d", 1, onlyLargest);

/**
 * The mean of each window: x [N, C, H, W] or [C, H, W]. It counts padding (unless `countIncludePad` is false), but not what sticks out further.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html
 */
export const avgPool2d = avgPool("avgPool2d", 2);

/** {@link avgPool2d} of one dimension: x [N, C, L] or [C, L]. */
export const avgPool1d = avgPool("avgPool1d", 1);

/** The means of windows that divide x evenly into `outputSize`, a number or [height, width]; null keeps a dimension's size. */
export const adaptiveAvgPool2d = checked(
  "adaptiveAvgPool2d",
  adaptiveTakes,
  (x: Tensor, outputSize: number | readonly (number | null)[]): Tensor =>
    adaptiveMean(x, adaptive("adaptiveAvgPool2d", outputSize)),
);

/** The largest elements of windows that divide x evenly, as {@link adaptiveAvgPool2d}, and their places. */
export const adaptiveMaxPool2dWithIndices = adaptiveMaxPool("adaptiveMaxPool2dWithIndices", withIndices);

/** The largest elements of windows that divide x evenly, as {@link adaptiveAvgPool2d}. */
export const adaptiveMaxPool2d = adaptiveMaxPool("adaptiveMaxPool2d", onlyLargest);
