import { benchBackward, benchOp, rungsOf, type BenchCase } from "../../testing/bench-op.ts";
import { linear, linearGelu } from "../matmul/linear.ts";
import { linearGeluReference } from "../matmul/linear.reference.ts";
import { geluReference } from "./elementwise.reference.ts";
import { gelu, type GeluOptions } from "./unary.ts";

type Which = NonNullable<GeluOptions["approximate"]>;

const geluOf = (shape: number[], approximate: Which = "none"): BenchCase =>
  benchOp(`gelu${shape.join("x")}${approximate === "tanh" ? "_tanh" : ""}`, {
    shapes: [shape],
    op: (x) => gelu(x, { approximate }),
    reference: (x) => geluReference(x, { approximate }),
    rungs: approximate === "none" ? rungsOf("gelu", {}) : [],
  });

const backwardOf = (shape: number[], approximate: Which = "none"): BenchCase =>
  benchBackward(`gelu${shape.join("x")}${approximate === "tanh" ? "_tanh" : ""}_bwd`, {
    op: gelu,
    args: [{ approximate }],
    shapes: [shape],
    reference: (x) => geluReference(x, { approximate }),
  });

/** The first half of a feed-forward block: what it saves to write gelu(h) along with h. */
const afterLinear = (rows: number, inside: number, outside: number): BenchCase =>
  benchOp(`gelu_linear${rows}x${inside}x${outside}`, {
    shapes: [[rows, inside], [outside, inside], [outside]],
    op: (x, weight, bias) => linearGelu(x, weight, bias),
    reference: (x, weight, bias) => linearGeluReference(x, weight, bias),
    result: [rows, outside],
    flops: 2 * rows * inside * outside,
    tolerance: { atol: 2e-3 },
    rungs: [
      {
        name: "unary.wgsl",
        idea: "after the product, as a pass of its own",
        run: (x, w, b) => gelu(linear(x, w, b)),
      },
      {
        name: "epilogue-gelu.wgsl",
        idea: "in the product's epilogue: h is not read back",
        run: (x, w, b) => linearGelu(x, w, b),
      },
    ],
  });

export const benches: BenchCase[] = [
  geluOf([4096, 3072]),
  geluOf([4096, 3072], "tanh"),
  backwardOf([4096, 3072]),
  backwardOf([4096, 3072], "tanh"),
  afterLinear(2048, 384, 1536),
];
