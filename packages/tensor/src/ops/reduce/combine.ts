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

/** Elements that one invocation combines, at most. */
const SEGMENT = 256;

/** x with the dimensions of `reduction` combined into one element each; x has at least one element to combine. */
export function combine(fn: Combination, x: Tensor, reduction: Reduction): Tensor {
  let result = x;
  for (const lines of stretches(x.shape, reduction.dims)) result = combineLines(fn, result, lines);
  return result === x ? x.alias(reduction.shape) : result.alias(reduction.shape);
}

/** x, seen as [outer, n, inner], combined along n: of shape [outer, inner]. */
function combineLines(fn: Combination, x: Tensor, { outer, n, inner }: Lines): Tensor {
  if (n === 1) return x;
  const T = x.dtype === "f32" || x.dtype === "i32" ? x.dtype : "u32";
  const FLOAT = Number(x.dtype === "f32");
  const FN = combinations.indexOf(fn);
  // A row is seen as four interleaved lines as long as that is possible: one load of four elements instead of four.
  if (inner === 1 && n % 4 === 0 && n > 4) {
    const quarter = combineLines(fn, x, { outer, n: n / 4, inner: 4 });
    return combineLines(fn, quarter, { outer, n: 4, inner: 1 });
  }
  const lanes = inner % 4 === 0 ? 4 : 1;
  const length = ceilDiv(n, ceilDiv(n, SEGMENT));
  const segments = ceilDiv(n, length);
  const outputs = (outer * segments * inner) / lanes;
  const y = empty([outer, segments, inner], x.dtype);
  const V = lanes === 4 ? { V: `vec4<${T}>`, U: "vec4<u32>" } : { V: T, U: "u32" };
  run(
    specialize(reduceKernel, V),
    { x, y },
    { outputs, segments, length, n, inner: inner / lanes },
    { threads: outputs, overrides: { FN, FLOAT } },
  );
  return combineLines(fn, y, { outer, n: segments, inner });
}
