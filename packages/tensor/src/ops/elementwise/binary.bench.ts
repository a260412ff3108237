import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { add, mul } from "./binary.ts";
import { binaryReference } from "./elementwise.reference.ts";

/** Two tensors of the same shape, or the second one stretched to the first one's. */
const binaryOf = (name: "add" | "mul", shape: number[], second = shape): BenchCase =>
  benchOp(`${name}${shape.join("x")}${second === shape ? "" : `_${second.join("x")}`}`, {
    shapes: [shape, second],
    op: (a, b) => (name === "add" ? add : mul)(a, b),
    reference: (a, b) => binaryReference(name)(a, b),
    sliced: second[0] === shape[0] ? 2 : 1,
  });

export const benches: BenchCase[] = [
  binaryOf("add", [4096, 768]),
  binaryOf("add", [4096, 768], [768]), // a bias
  binaryOf("add", [2047, 1003], [1003]), // whose fours don't stay together
  binaryOf("mul", [4096, 768], [4096, 1]), // a number for each row
  binaryOf("mul", [1021, 1021]), // no multiple of four
];
