import { benchOp, type BenchCase } from "../../testing/bench-op.ts";
import { layerNorm } from "./layer-norm.ts";
import { layerNormReference } from "./norm.reference.ts";

const layerNormOf = (rows: number, cols: number): BenchCase =>
  benchOp(`layernorm${rows}x${cols}`, {
    shapes: [[rows, cols], [cols], [cols]],
    op: (x, weight, bias) => layerNorm(x, weight, bias),
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
  });

export const benches: BenchCase[] = [layerNormOf(4096, 768)];
