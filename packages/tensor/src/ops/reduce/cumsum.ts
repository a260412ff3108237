import { defineOp } from "../../define-op.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, resolveDim } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { combineSegments, SEGMENT, wordOf } from "./combine.ts";
import code from "./cumsum.wgsl";
import { linesOf, type Lines } from "./stretch.ts";

const cumsumKernel = kernel("ops/reduce/cumsum.wgsl", code);

/** How running sums or products are taken: from the end of a line, each without the element itself. */
interface ScanOptions {
  fn?: "sum" | "prod";
  reverse?: boolean;
  exclusive?: boolean;
}

/** Running sums or products along the lines of x. */
export function scan(x: Tensor, lines: Lines, options: ScanOptions = {}): Tensor {
  const { fn = "sum", reverse = false, exclusive = false } = options;
  const { outer, n, inner } = lines;
  const y = empty(x.shape, x.dtype);
  if (x.size === 0) return y;
  const length = ceilDiv(n, ceilDiv(n, SEGMENT));
  const segments = ceilDiv(n, length);
  const starts =
    segments > 1
      ? scan(combineSegments(fn, x, lines, length), { ...lines, n: segments }, { ...options, exclusive: true })
      : undefined;
  const segments_in_all = outer * segments * inner;
  run(
    specialize(cumsumKernel, { T: wordOf(x.dtype) }),
    { x, starts: starts ?? x, y },
    { segments_in_all, segments, length, n, inner },
    {
      threads: segments_in_all,
      overrides: {
        ...{ REVERSE: Number(reverse), EXCLUSIVE: Number(exclusive), STARTS: Number(starts !== undefined) },
        PROD: Number(fn === "prod"),
      },
    },
  );
  return y;
}

/** y_k = x_0 + … + x_k along `dim`: f32; of i32 and u32 in the same dtype, wrapping around modulo 2³² as {@link sum}; of bool i32. */
export const cumsum = defineOp("cumsum", {
  takes: { x: "tensor", options: { dim: "dim" } },
  forward(x: Tensor, { dim }: { dim: number }) {
    resolveDim("cumsum", dim, x.rank);
    const { lines } = linesOf("cumsum", x.shape, { dim });
    const y = scan(x.dtype === "bool" ? cast(x, "i32") : x, lines);
    return { output: y, inputs: { x }, saved: { lines } };
  },
  // x_k counts in all sums from k on.
  backward: ({ lines }, dy) => ({ x: scan(dy, lines, { reverse: true }) }),
});
