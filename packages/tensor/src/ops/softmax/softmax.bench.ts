import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { softmaxReference } from "./softmax.reference.ts";
import { softmax } from "./softmax.ts";

const softmaxOf = (...shape: number[]): BenchCase =>
  benchOp(`softmax${shape.join("x")}`, {
    shapes: [shape],
    op: (x) => softmax(x),
    reference: (x) => softmaxReference(x),
  });

export const benches: BenchCase[] = [softmaxOf(4096, 256), softmaxOf(48, 256, 256)];
