import { argumentCheck } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { notDifferentiable } from "../../op.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary } from "../elementwise/apply.ts";
import argCode from "./arg.wgsl";
import { combine, SEGMENT, wordOf } from "./combine.ts";
import pickBackwardCode from "./pick-backward.wgsl";
import {
  reduceTakes,
  oneDimTakes,
  linesOf,
  reductionOf,
  type Lines,
  type OneDimOptions,
  type ReduceOptions,
} from "./stretch.ts";

const argKernel = kernel("ops/reduce/arg.wgsl", argCode);
const pickBackwardKernel = kernel("ops/reduce/pick-backward.wgsl", pickBackwardCode);

function checkNotEmpty(op: string, x: Tensor, count: number): void {
  check(
    count > 0,
    () => `${op}: there is no element to choose along the dimension: the shape is ${showShape(x.shape)}.`,
  );
}

/* @__NO_SIDE_EFFECTS__ */
function defineExtreme(op: "amax" | "amin") {
  return defineOp(op, {
    takes: reduceTakes,
    forward(x: Tensor, options: ReduceOptions = {}) {
      const reduction = reductionOf(op, x.shape, options);
      checkNotEmpty(op, x, reduction.count);
      const y = combine(op === "amax" ? "max" : "min", x, reduction);
      return { output: y, inputs: { x }, saved: { x, y, reduction } };
    },
    // Equals share the gradient evenly.
    backward({ x, y, reduction }, dy) {
      const { kept } = reduction;
      const chosen = cast(applyBinary("eq", x, y.alias(kept), x.shape, "f32"), "f32");
      const count = combine("sum", chosen, reduction).alias(kept);
      return { x: applyBinary("mul", chosen, applyBinary("div", dy.alias(kept), count, kept, "f32"), x.shape, "f32") };
    },
  });
}

/** The largest element over `dim`; NaN wins. Equal elements share the gradient evenly. */
export const amax = defineExtreme("amax");

/** The smallest element over `dim`; NaN wins. Equal elements share the gradient evenly. */
export const amin = defineExtreme("amin");

/** For each line of x, where its largest (smallest) element is: [outer, inner]. */
function indexOfExtreme(SMALLEST: boolean, x: Tensor, { outer, n, inner }: Lines): Tensor {
  let candidates: Tensor | undefined;
  for (let count = n; ;) {
    const length = ceilDiv(count, ceilDiv(count, SEGMENT));
    const segments = ceilDiv(count, length);
    const index = empty([outer, segments, inner], "i32");
    run(
      specialize(argKernel, { T: wordOf(x.dtype) }),
      { x, candidates: candidates ?? x, index },
      { segments_in_all: index.size, segments, length, n, count, inner },
      {
        threads: index.size,
        overrides: {
          FLOAT: Number(x.dtype === "f32"),
          SMALLEST: Number(SMALLEST),
          FIRST: Number(candidates === undefined),
        },
      },
    );
    if (segments === 1) return index;
    candidates = index;
    count = segments;
  }
}

/* @__NO_SIDE_EFFECTS__ */
function defineArg(op: "argmax" | "argmin") {
  return defineOp(op, {
    takes: oneDimTakes,
    forward(x: Tensor, options: OneDimOptions = {}) {
      const { lines, shape } = linesOf(op, x.shape, options);
      checkNotEmpty(op, x, lines.n);
      return { output: indexOfExtreme(op === "argmin", x, lines).alias(shape), inputs: {}, saved: {} };
    },
    backward: notDifferentiable("its result is an index"),
  });
}

/**
 * The index of the largest element along `dim`, or in the flattened tensor: i32. The first of equals; NaN wins.
 * @throws when there is no element.
 */
export const argmax = defineArg("argmax");

/** The index of the smallest element along `dim`, or in the flattened tensor: i32. The first of equals; NaN wins. */
export const argmin = defineArg("argmin");

/** Values and indices along one dimension; exported for tests, users call {@link max} and {@link min}. */
/* @__NO_SIDE_EFFECTS__ */
function defineAlong(op: "max" | "min") {
  return defineOp(op, {
    forward(x: Tensor, options: OneDimOptions) {
      const { lines, shape } = linesOf(op, x.shape, options);
      checkNotEmpty(op, x, lines.n);
      const index = indexOfExtreme(op === "min", x, lines);
      const values = combine(op, x, reductionOf(op, x.shape, options));
      return {
        output: [values, index.alias(shape)] as const,
        inputs: { x },
        saved: { index, lines, shape: x.shape },
      };
    },
    // The chosen element takes the whole gradient.
    backward({ index, lines: { n, inner }, shape }, dy) {
      const dx = empty(shape);
      run(pickBackwardKernel, { index, dy, dx }, { elements: dx.size, n, inner }, { threads: dx.size });
      return { x: dx };
    },
  });
}

export const maxAlong = defineAlong("max");
export const minAlong = defineAlong("min");

const checkMax = argumentCheck("max", oneDimTakes);
const checkMin = argumentCheck("min", oneDimTakes);

/** What {@link max} and {@link min} give along a dimension. */
export interface ValuesAndIndices {
  values: Tensor;
  /** i32 */
  indices: Tensor;
}

/** The largest element; equals share its gradient evenly. */
export function max(x: Tensor): Tensor;
/** The largest element along `dim` and its index: the first of equals, which takes the whole gradient. NaN wins. */
export function max(x: Tensor, options: OneDimOptions & { dim: number }): ValuesAndIndices;
export function max(...args: [x: Tensor, options?: OneDimOptions]): Tensor | ValuesAndIndices {
  checkMax(args);
  const [x, options] = args;
  if (options?.dim === undefined) return amax(x);
  const [values, indices] = maxAlong(x, options);
  return { values, indices };
}

/** The smallest element; equals share its gradient evenly. */
export function min(x: Tensor): Tensor;
/** The smallest element along `dim` and its index: the first of equals, which takes the whole gradient. NaN wins. */
export function min(x: Tensor, options: OneDimOptions & { dim: number }): ValuesAndIndices;
export function min(...args: [x: Tensor, options?: OneDimOptions]): Tensor | ValuesAndIndices {
  checkMin(args);
  const [x, options] = args;
  if (options?.dim === undefined) return amin(x);
  const [values, indices] = minAlong(x, options);
  return { values, indices };
}
