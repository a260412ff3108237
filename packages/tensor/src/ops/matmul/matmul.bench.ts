import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { linear } from "./linear.ts";
import { linearReference } from "./linear.reference.ts";
import { matmul } from "./matmul.ts";
import { matmulReference } from "./matmul.reference.ts";

const square = (n: number): BenchCase =>
  benchOp(`matmul${n}`, {
    shapes: [
      [n, n],
      [n, n],
    ],
    op: (a, b) => matmul(a, b),
    reference: (a, b) => matmulReference(a, b),
    flops: 2 * n ** 3,
  });

const linearOf = (rows: number, inFeatures: number, outFeatures: number): BenchCase =>
  benchOp(`linear${rows}x${inFeatures}x${outFeatures}`, {
    shapes: [[rows, inFeatures], [outFeatures, inFeatures], [outFeatures]],
    op: (x, weight, bias) => linear(x, weight, bias),
    reference: (x, weight, bias) => linearReference(x, weight, bias),
    flops: 2 * rows * inFeatures * outFeatures,
    result: [rows, outFeatures],
  });

export const benches: BenchCase[] = [square(512), square(1024), linearOf(2048, 384, 1536)];
