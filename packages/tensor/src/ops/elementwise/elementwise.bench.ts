import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { geluReference } from "./elementwise.reference.ts";
import { gelu } from "./unary.ts";

const geluOf = (...shape: number[]): BenchCase =>
  benchOp(`gelu${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => gelu(x),
    reference: (x) => geluReference(x),
  });

export const benches: BenchCase[] = [geluOf(4096, 3072)];
