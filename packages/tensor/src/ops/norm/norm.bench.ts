import { Generator } from "../../random.ts";
import { benchBackward, benchOp, type BenchCase, type Rung } from "../../testing/bench-op.ts";
import type { Tensor } from "../../tensor.ts";
import { normKernels, type NormKernel } from "./ladder.ts";
import { addLayerNorm, layerNorm } from "./layer-norm.ts";
import { addLayerNormReference, layerNormReference } from "./norm.reference.ts";
import { inputGradient, normalize, type SavedNorm } from "./norm.ts";

const ideas: Record<keyof typeof normKernels, string> = {
  naive: "one invocation per row, element by element",
  rows: "reads of 16 bytes",
  workgroup: "a workgroup per row: neighbours read neighbours, a tree adds up",
  subgroup: "the row stays in registers: read once, sums by swapping registers",
};

/** The ladder with what each kernel does. */
const rungsOf = <R extends Rung<never[], unknown>["run"]>(run: (kernel: NormKernel) => R, suffix = "") =>
  Object.entries(normKernels).map(([key, kernel]) => ({
    name: `${kernel.name}${suffix}.wgsl`,
    idea: ideas[key as keyof typeof normKernels],
    run: run(kernel),
  }));

const shapesOf = (rows: number, cols: number) => [[rows, cols], [cols], [cols]];

const forward = (rows: number, cols: number): BenchCase =>
  benchOp(`layernorm${rows}x${cols}`, {
    shapes: shapesOf(rows, cols),
    op: (x, weight, bias) => layerNorm(x, weight, bias),
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
    rungs: rungsOf(
      (kernel) => (x: Tensor, weight: Tensor, bias: Tensor) =>
        normalize({ x, weight, bias, cols, center: true }, 1e-5, kernel).y,
    ),
  });

const backward = (rows: number, cols: number, needs: "x" | "weights"): BenchCase =>
  benchBackward(`layernorm${rows}x${cols}_${needs === "x" ? "dx" : "dweight"}`, {
    shapes: shapesOf(rows, cols),
    op: layerNorm,
    reference: (x, weight, bias) => layerNormReference(x, weight, bias),
    needs: needs === "x" ? ["x"] : ["weight", "bias"],
    bytes: 4 * rows * cols * (needs === "x" ? 3 : 2), // dy and x are read; dx written
    ...(needs === "x" && {
      rungs: rungsOf(
        (kernel) =>
          ({ norm }: { norm: SavedNorm }, dy: Tensor) => [inputGradient(norm, dy, kernel).dx],
        "-backward",
      ),
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
