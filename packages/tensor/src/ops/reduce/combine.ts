import type { DType } from "../../dtype.ts";
import { device } from "../../runtime/init.ts";
import { constantOf, kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { stretches, type Lines, type Reduction } from "./stretch.ts";
import code from "./reduce.wgsl";
import workgroupCode from "./reduce-workgroup.wgsl";

// The kernels of this room as functions of tensors. Nothing is recorded here.

const workgroupKernel = kernel("ops/reduce/reduce-workgroup.wgsl", workgroupCode);
const reduceKernel = kernel("ops/reduce/reduce.wgsl", code);

/** The ways to combine, by the names of their numbers in reduce.wgsl and reduce-workgroup.wgsl. */
export type Combination = "sum" | "prod" | "max" | "min";

/** Elements that one invocation combines, at most; as vectors of four where they can be read so. */
export const SEGMENT = 256;

/** Invocations of a workgroup on a GPU, and the vectors of a row that each combines, at most. */
const SIZE = 256;
const STEPS = 16;

/** Columns that a workgroup takes, as vectors where they can be read so, and the rows that an invocation combines, at most. */
const ACROSS = 16;
const COLUMN_STEPS = 8;

/**
 * x with the dimensions of `reduction` combined into one element each; x has at least one element to combine. For sums, `times`
 * multiplies x first, element by element.
 */
export function combine(fn: Combination, x: Tensor, reduction: Reduction, times?: Tensor): Tensor {
  let result = x;
  let factor = times;
  for (const lines of stretches(x.shape, reduction.dims)) {
    result = combineLines(fn, result, lines, factor);
    factor = undefined;
  }
  return result.alias(reduction.shape);
}

/** x, seen as [outer, n, inner], combined along n: [outer, inner]. */
function combineLines(fn: Combination, x: Tensor, lines: Lines, times?: Tensor): Tensor {
  const { n, inner } = lines;
  if (n === 1 && !times) return x;
  const { cpu } = device().adapter;
  const shared = n >= 32 && !cpu; // by a workgroup
  const lanes = inner === 1 && n % 4 === 0 ? 4 : 1;
  // Short segments of long columns touch few pages of memory at a time.
  const most = !shared
    ? lanes * (inner > 1 && n > SEGMENT ? SEGMENT / 4 : SEGMENT)
    : inner === 1
      ? lanes * SIZE * STEPS
      : (SIZE / ACROSS) * COLUMN_STEPS;
  const segments = ceilDiv(n, most);
  const length = ceilDiv(n / lanes, segments) * lanes; // as even as possible
  const y = (shared ? combineTogether : combineSegments)(fn, x, lines, length, times);
  return segments === 1 ? y : combineLines(fn, y, { ...lines, n: ceilDiv(n, length) });
}

/** The specialization for elements of a dtype, alone or in fours. */
function vectors(dtype: DType, lanes: number): Record<string, string> {
  const E = wordOf(dtype);
  return lanes === 4 ? { E, V: `vec4<${E}>`, U: "vec4<u32>" } : { E, V: E, U: "u32" };
}

const overridesOf = (fn: Combination, dtype: DType, times: Tensor | undefined, LANES: number) => ({
  FN: constantOf(reduceKernel, fn),
  FLOAT: Number(dtype === "f32"),
  TIMES: Number(times !== undefined),
  LANES,
});

/** x, seen as [outer, n, inner], each `length` neighbours along n combined: [outer, ⌈n / length⌉, inner]. */
export function combineSegments(
  fn: Combination,
  x: Tensor,
  { outer, n, inner }: Lines,
  length: number,
  times?: Tensor,
): Tensor {
  const ROW = inner === 1 && n % 4 === 0 && length % 4 === 0;
  const lanes = ROW || inner % 4 === 0 ? 4 : 1;
  const [along, across] = ROW ? [4, 1] : [1, lanes]; // which dimension the lanes divide
  const segments = ceilDiv(n, length);
  const y = empty([outer, segments, inner], x.dtype);
  const invocations = y.size / across;
  run(
    specialize(reduceKernel, vectors(x.dtype, lanes)),
    { x, w: times ?? x, y },
    { invocations, segments, length: length / along, n: n / along, inner: inner / across, zero: 0 },
    { threads: invocations, overrides: { ...overridesOf(fn, x.dtype, times, lanes), ROW: Number(ROW) } },
  );
  return y;
}

/** The same with a workgroup for each segment of a row, or of up to {@link ACROSS} columns. */
function combineTogether(
  fn: Combination,
  x: Tensor,
  { outer, n, inner }: Lines,
  length: number,
  times?: Tensor,
): Tensor {
  const row = inner === 1;
  const lanes = (row ? n % 4 === 0 && length % 4 === 0 : inner % 4 === 0) ? 4 : 1;
  const [along, across] = row ? [lanes, 1] : [1, lanes]; // which dimension the lanes divide
  const segments = ceilDiv(n, length);
  const y = empty([outer, segments, inner], x.dtype);
  const groups = outer * segments * (row ? 1 : ceilDiv(inner / across, ACROSS));
  run(
    specialize(workgroupKernel, vectors(x.dtype, lanes)),
    { x, w: times ?? x, y },
    { groups, segments, length: length / along, n: n / along, inner: inner / across, zero: 0 },
    {
      workgroups: groups,
      overrides: {
        ...overridesOf(fn, x.dtype, times, lanes),
        SIZE: row && length / lanes < 128 ? 64 : SIZE,
        ACROSS: row ? 1 : ACROSS,
      },
    },
  );
  return y;
}

/** The WGSL type of elements that are computed with as they are. */
export const wordOf = (dtype: DType): "f32" | "i32" | "u32" => (dtype === "f32" || dtype === "i32" ? dtype : "u32");
