import { Generator } from "../../random.ts";
import { benchBackward, benchOp, rungsOf, type BenchCase } from "../../testing/bench-op.ts";
import type { NormSizes, Pass } from "./ladder.ts";
import { addLayerNorm, layerNorm } from "./layer-norm.ts";
import { addLayerNormReference, layerNormReference } from "./norm.reference.ts";

/** What a choice depends on in the cases below that show the ladder. */
const sizesOf = (pass: Pass, rows: number, cols: number): NormSizes => ({
  ...{ pass, rows, cols, eps: 1e-5, center: true, residual: false, weight: true, bias: true, drop: undefined },
});

const shapesOf = (rows: number, cols: number) => [[rows, cols], [cols], [cols]];

const forward = (rows: number, cols: number): BenchCase =>
  benchOp(`layernorm${rows}x${cols}`, {
    shapes: shapesOf(rows, cols),
    op: (x, weight, bias) => layerNorm(x, weight, bias),
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
    rungs: rungsOf("norm", sizesOf("forward", rows, cols)),
  });

const backward = (rows: number, cols: number, needs: "x" | "weights"): BenchCase =>
  benchBackward(`layernorm${rows}x${cols}_${needs === "x" ? "dx" : "dweight"}`, {
    shapes: shapesOf(rows, cols),
    op: layerNorm,
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
    needs: needs === "x" ? ["x"] : ["weight", "bias"],
    bytes: 4 * rows * cols * (needs === "x" ? 3 : 2), // dy and x are read; dx written
    ...(needs === "x" && {
      rungs: rungsOf("norm", sizesOf("backward", rows, cols), "-backward"),
    }),
  });

/** layerNorm(residual + dropout(x)), which also writes the sum, for backward. */
const P = 0.1;
const sameAgain = Object.assign(new Generator(1), {
  draw: (n: number) => new Generator(1).draw(n),
  words: (n: number) => new Generator(1).words(n),
});
const inputsOf = (rows: number, cols: number) => ({
  shapes: [[rows, cols], ...shapesOf(rows, cols)],
  sliced: 0, // the mask depends on a row's position
  bytes: 16 * rows * cols,
});
const options = { dropoutP: P, generator: sameAgain };

const fused = (rows: number, cols: number): BenchCase =>
  benchOp(`addlayernorm${rows}x${cols}_dropout`, {
    ...inputsOf(rows, cols),
    op: (x, residual, weight, bias) => addLayerNorm(x, residual, weight, bias, options),
    reference: (x, residual, weight, bias) => addLayerNormReference(x, residual, weight, bias, options),
  });

const fusedBackward = (rows: number, cols: number): BenchCase =>
  benchBackward(`addlayernorm${rows}x${cols}_dropout_dx`, {
    ...inputsOf(rows, cols),
    op: addLayerNorm,
    args: [options],
    reference: (x, residual, weight, bias) => addLayerNormReference(x, residual, weight, bias, options),
    needs: ["x", "residual"],
  });

export const benches: BenchCase[] = [
  forward(4096, 768),
  backward(4096, 768, "x"),
  backward(4096, 768, "weights"),
  forward(2048, 384),
  backward(2048, 384, "x"),
  backward(2048, 384, "weights"),
  fused(2048, 384),
  fusedBackward(2048, 384),
  forward(1000, 1003),
  backward(1000, 1003, "x"),
  backward(1000, 1003, "weights"),
];
