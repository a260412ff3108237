import type { DType } from "../../dtype.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { stretches, type Lines, type Reduction } from "./stretch.ts";
import code from "./reduce.wgsl";

// The kernels of this room as functions of tensors. Nothing is recorded here.

const reduceKernel = kernel("ops/reduce/reduce.wgsl", code);

/** The ways to combine, in the order of their numbers in reduce.wgsl. */
const combinations = ["sum", "prod", "max", "min"] as const;
export type Combination = (typeof combinations)[number];

/** Elements that one invocation combines, at most; as vectors of four where they can be read so. */
export const SEGMENT = 256;

/** x with the dimensions of `reduction` combined into one element each; x has at least one element to combine. */
export function combine(fn: Combination, x: Tensor, reduction: Reduction): Tensor {
  let result = x;
  for (const lines of stretches(x.shape, reduction.dims)) result = combineLines(fn, result, lines);
  return result.alias(reduction.shape);
}

/** x, seen as [outer, n, inner], combined along n: [outer, inner]. */
function combineLines(fn: Combination, x: Tensor, lines: Lines): Tensor {
  if (lines.n === 1) return x;
  const quads = lines.inner === 1 && lines.n % 4 === 0;
  const steps = quads ? lines.n / 4 : lines.n;
  const length = ceilDiv(steps, ceilDiv(steps, SEGMENT)); // as even as possible
  const y = combineSegments(fn, x, lines, quads ? 4 * length : length);
  return combineLines(fn, y, { ...lines, n: ceilDiv(steps, length) });
}

/** x, seen as [outer, n, inner], each `length` neighbours along n combined: [outer, ⌈n / length⌉, inner]. */
export function combineSegments(fn: Combination, x: Tensor, { outer, n, inner }: Lines, length: number): Tensor {
  const E = wordOf(x.dtype);
  const ROW = inner === 1 && n % 4 === 0 && length % 4 === 0;
  const LANES = ROW || inner % 4 === 0 ? 4 : 1;
  const segments = ceilDiv(n, length);
  const y = empty([outer, segments, inner], x.dtype);
  const invocations = ROW ? y.size : y.size / LANES;
  const quarters = ROW ? 4 : 1;
  run(
    specialize(reduceKernel, LANES === 4 ? { E, V: `vec4<${E}>`, U: "vec4<u32>" } : { E, V: E, U: "u32" }),
    { x, y },
    { invocations, segments, length: length / quarters, n: n / quarters, inner: ROW ? 1 : inner / LANES, zero: 0 },
    {
      threads: invocations,
      overrides: { FN: combinations.indexOf(fn), FLOAT: Number(E === "f32"), LANES, ROW: Number(ROW) },
    },
  );
  return y;
}

/** The WGSL type of elements that are computed with as they are. */
export const wordOf = (dtype: DType): "f32" | "i32" | "u32" => (dtype === "f32" || dtype === "i32" ? dtype : "u32");
