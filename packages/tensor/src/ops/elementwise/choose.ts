import type { DType } from "../../dtype.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { bitsOf, layoutOf, padStrides, type Layout, type Operand } from "./apply.ts";
import code from "./where.wgsl";

const whereKernel = kernel("ops/elementwise/where.wgsl", code);

/** a where the condition holds, else b, in `shape` and `dtype`. Nothing is recorded. */
export function choose(condition: Tensor, a: Operand, b: Operand, shape: Shape, dtype: DType): Tensor {
  const y = empty(shape, dtype);
  if (y.size === 0) return y;
  const [forCondition, forA, forB] = [condition, a, b].map((x) => layoutOf("where", x, shape)) as [
    Layout,
    Layout,
    Layout,
  ];
  const [aBits, bBits] = [a, b].map((x) => (typeof x === "number" ? bitsOf(x, dtype, "where") : 0)) as [number, number];
  const vectors = ceilDiv(y.size, 4);
  const read = ({ lanes }: Layout): string => (lanes === 4 ? "vec4u" : "u32");
  run(
    specialize(whereKernel, { CT: read(forCondition), AT: read(forA), BT: read(forB) }),
    { condition, a: typeof a === "number" ? condition : a, b: typeof b === "number" ? condition : b, y },
    {
      ...{ vectors, a_bits: aBits, b_bits: bBits },
      ...{ condition_sizes: padStrides(forCondition.sizes), condition_strides: padStrides(forCondition.strides) },
      ...{ a_sizes: padStrides(forA.sizes), a_strides: padStrides(forA.strides) },
      ...{ b_sizes: padStrides(forB.sizes), b_strides: padStrides(forB.strides) },
    },
    {
      threads: vectors,
      overrides: {
        ...{ CONDITION: forCondition.mode, A: forA.mode, B: forB.mode },
        ...{ CONDITION_RANK: forCondition.sizes.length, A_RANK: forA.sizes.length, B_RANK: forB.sizes.length },
      },
    },
  );
  return y;
}
