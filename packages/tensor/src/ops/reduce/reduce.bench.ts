import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { logsumexp } from "./logsumexp.ts";
import { logsumexpReference, sumReference } from "./reduce.reference.ts";
import { sum } from "./sum.ts";

const rowsOf = (rows: number, cols: number): BenchCase =>
  benchOp(`sum${rows}x${cols}_rows`, {
    shapes: [[rows, cols]],
    op: (x) => sum(x, { dim: 1 }),
    reference: (x) => sumReference(x, { dim: 1 }),
    result: [rows],
  });

/** The gradient of a bias. */
const columnsOf = (rows: number, cols: number): BenchCase =>
  benchOp(`sum${rows}x${cols}_columns`, {
    shapes: [[rows, cols]],
    op: (x) => sum(x, { dim: 0 }),
    reference: (x) => added(x, cols),
    result: [cols],
    sliced: 0,
    tolerance: { atol: 2e-3 },
  });

const allOf = (rows: number, cols: number): BenchCase =>
  benchOp(`sum${rows}x${cols}_all`, {
    shapes: [[rows, cols]],
    op: (x) => sum(x),
    reference: (x) => added(x, 1),
    result: [],
    sliced: 0,
    tolerance: { atol: 0.1 }, // of three million numbers up to 3
  });

/** Adds up the elements whose index is the same modulo `cols`. */
function added(x: NdArray, cols: number): NdArray {
  const sums = new Float64Array(cols);
  x.data.forEach((v, i) => (sums[i % cols]! += v));
  return ndArray([cols], sums);
}

const logsumexpOf = (rows: number, cols: number): BenchCase =>
  benchOp(`logsumexp${rows}x${cols}`, {
    shapes: [[rows, cols]],
    op: (x) => logsumexp(x, { dim: 1 }),
    reference: (x) => logsumexpReference(x, { dim: 1 }),
    result: [rows],
  });

export const benches: BenchCase[] = [
  rowsOf(4096, 768),
  columnsOf(4096, 768),
  columnsOf(2048, 1536),
  columnsOf(2047, 383), // no multiple of anything
  allOf(4096, 768),
  logsumexpOf(4096, 768),
];
