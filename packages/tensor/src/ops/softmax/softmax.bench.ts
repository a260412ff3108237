import { benchBackward, benchOp, rungsOf, type BenchCase } from "../../testing/bench-op.ts";
import type { Pass, SoftmaxSizes } from "./ladder.ts";
import { logSoftmaxReference, softmaxReference } from "./softmax.reference.ts";
import { linesAlong, logSoftmax, softmax } from "./softmax.ts";

const sizesOf = (pass: Pass, shape: readonly number[]): SoftmaxSizes => ({
  pass,
  ...linesAlong("softmax", shape, -1),
});

const forward = (...shape: number[]): BenchCase =>
  benchOp(`softmax${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => softmax(x),
    reference: (x) => softmaxReference(x),
    rungs: rungsOf("softmax", sizesOf("forward", shape)),
  });

const backward = (...shape: number[]): BenchCase =>
  benchBackward(`softmax${shape.join("x")}_bwd`, {
    shapes: [shape],
    op: softmax,
    reference: (x) => softmaxReference(x),
    bytes: 4 * 3 * shape.reduce((a, b) => a * b), // y and dy are read, dx is written
    rungs: rungsOf("softmax", sizesOf("backward", shape), "-backward").filter((rung) => !rung.name.includes("naive")), // it has none
  });

const logarithm = (...shape: number[]): BenchCase =>
  benchOp(`logsoftmax${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => logSoftmax(x),
    reference: (x) => logSoftmaxReference(x),
  });

// Attention scores of BERT-base (batch 16, 12 heads) at 128 and 256 tokens; odd rows; a vocabulary.
export const benches: BenchCase[] = [
  forward(4096, 256),
  backward(4096, 256),
  forward(48, 256, 256),
  logarithm(4096, 256),
  forward(24_576, 128),
  backward(24_576, 128),
  forward(49_152, 256),
  forward(1000, 1003),
  backward(1000, 1003),
  forward(512, 30_522),
  backward(512, 30_522),
];
