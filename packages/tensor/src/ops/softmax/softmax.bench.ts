import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { benchBackward, benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { softmaxKernels, type Lines, type Pass, type SoftmaxKernel } from "./ladder.ts";
import { logSoftmaxReference, softmaxReference } from "./softmax.reference.ts";
import { linesAlong, logSoftmax, softmax } from "./softmax.ts";

const ideas: Record<Pass, Partial<Record<keyof typeof softmaxKernels, string>>> = {
  forward: {
    naive: "one invocation per row, three passes, element by element",
    rows: "maximum and sum in one pass; reads of 16 bytes",
    workgroup: "a workgroup per row: neighbours read neighbours, a tree adds up",
    subgroup: "the row stays in registers: read once, joined by swapping registers",
  },
  backward: {
    rows: "one invocation per row, reads of 16 bytes",
    workgroup: "a workgroup per row: neighbours read neighbours, a tree adds up",
    subgroup: "the row stays in registers: read once, summed by swapping registers",
  },
};

const linesOf = (shape: readonly number[]): Lines => linesAlong("softmax", shape, -1);

const rungsOf = <A extends unknown[], R>(
  pass: Pass,
  shape: readonly number[],
  run: (kernel: SoftmaxKernel) => (...args: A) => R,
) =>
  Object.entries(ideas[pass]).map(([key, idea]) => {
    const kernel: SoftmaxKernel = softmaxKernels[key as keyof typeof softmaxKernels];
    return {
      name: `${kernel.name}${pass === "backward" ? "-backward" : ""}.wgsl`,
      idea,
      suits: () => kernel.suits(pass, linesOf(shape), device()),
      run: run(kernel),
    };
  });

const forward = (...shape: number[]): BenchCase =>
  benchOp(`softmax${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => softmax(x),
    reference: (x) => softmaxReference(x),
    rungs: rungsOf(
      "forward",
      shape,
      (kernel) => (x: Tensor) =>
        scope(() => {
          const y = empty(x.shape);
          kernel.compute("forward", { x, y }, linesOf(x.shape), false);
          return y;
        }),
    ),
  });

const backward = (...shape: number[]): BenchCase =>
  benchBackward(`softmax${shape.join("x")}_bwd`, {
    shapes: [shape],
    op: softmax,
    reference: (x) => softmaxReference(x),
    bytes: 4 * 3 * shape.reduce((a, b) => a * b), // y and dy are read, dx is written
    rungs: rungsOf("backward", shape, (kernel) => ({ y, lines }: { y: Tensor; lines: Lines }, dy: Tensor) => {
      const dx = empty(y.shape);
      kernel.compute("backward", { y, dy, dx }, lines, false);
      return [dx];
    }),
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
