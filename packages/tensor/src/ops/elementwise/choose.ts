import type { DType } from "../../dtype.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { broadcastStrides, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { bitsOf, collapse, padStrides, type Operand } from "./apply.ts";
import code from "./where.wgsl";

const whereKernel = kernel("ops/elementwise/where.wgsl", code);

/** a where the condition holds, else b, in `shape` and `dtype`. Nothing is recorded. */
export function choose(condition: Tensor, a: Operand, b: Operand, shape: Shape, dtype: DType): Tensor {
  const y = empty(shape, dtype);
  if (y.size === 0) return y;
  const strides = [condition, a, b].map((x) =>
    typeof x === "number" ? shape.map(() => 0) : broadcastStrides(x.shape, shape),
  );
  const layout = collapse("where", shape, strides);
  const [condition_strides, a_strides, b_strides] = layout.strides.map(padStrides) as [number[], number[], number[]];
  const numbers = [a, b].map((x) => (typeof x === "number" ? bitsOf(x, dtype) : 0)) as [number, number];
  const tensors = [a, b].map((x) => (typeof x === "number" ? condition : x)) as [Tensor, Tensor];
  run(
    whereKernel,
    { condition, a: tensors[0], b: tensors[1], y },
    {
      elements: y.size,
      rank: layout.sizes.length,
      a_bits: numbers[0],
      b_bits: numbers[1],
      sizes: padStrides(layout.sizes),
      condition_strides,
      a_strides,
      b_strides,
    },
    {
      threads: y.size,
      overrides: { A_IS_NUMBER: Number(typeof a === "number"), B_IS_NUMBER: Number(typeof b === "number") },
    },
  );
  return y;
}
