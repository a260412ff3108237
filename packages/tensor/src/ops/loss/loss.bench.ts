import { benchBackward, benchOp, uniformInts, type BenchCase } from "../../testing/bench-op.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { crossEntropyReference } from "./loss.reference.ts";

const forward = (rows: number, classes: number): BenchCase =>
  benchOp(`crossentropy${rows}x${classes}`, {
    shapes: [[rows, classes], [rows]],
    values: { 1: (count) => uniformInts(count, 7, classes) },
    op: (x, target) => crossEntropy(x, target, { reduction: "none" }),
    reference: (x, target) => crossEntropyReference(x, target, { reduction: "none" }),
    result: [rows],
    sliced: 2,
  });

const backward = (rows: number, classes: number): BenchCase =>
  benchBackward(`crossentropy${rows}x${classes}_bwd`, {
    op: crossEntropy,
    args: [{ reduction: "none" }],
    shapes: [[rows, classes], [rows]],
    values: { 1: (count) => uniformInts(count, 7, classes) },
    reference: (x, target) => crossEntropyReference(x, target, { reduction: "none" }),
    result: [rows],
    sliced: 2,
  });

// A classifier's two classes; the vocabulary of BERT for as many masked tokens; and classes that fit into a register file.
export const benches: BenchCase[] = [
  forward(16, 2),
  backward(16, 2),
  forward(256, 30522),
  backward(256, 30522),
  forward(16384, 128),
  backward(16384, 128),
];
