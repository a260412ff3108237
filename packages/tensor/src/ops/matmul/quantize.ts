import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { notDifferentiable } from "../../op.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import dequantizeCode from "./dequantize.wgsl";
import quantizeCode from "./quantize.wgsl";

const quantizeKernel = kernel("ops/matmul/quantize.wgsl", quantizeCode);
const dequantizeKernel = kernel("ops/matmul/dequantize.wgsl", dequantizeCode);

/**
 * A weight [out, in] in 8 bits: words [out, in / 4] (u32, the first of four in the lowest bits) and a scale [out] for each row, so that
 * w = q · scale with q = −127 … 127. For {@link linearInt8}.
 * @throws when it is not a matrix whose rows are whole words
 */
export const quantizeInt8 = defineOp("quantizeInt8", {
  takes: { weight: "tensor" },
  forward(weight: Tensor) {
    const [rows, cols] = weight.shape;
    check(
      weight.rank === 2 && cols! % 4 === 0,
      () => `quantizeInt8: weight ${showShape(weight.shape)} is not a matrix [out, in] with a multiple of four in.`,
    );
    const [q, scale] = [empty([rows!, cols! / 4], "u32"), empty([rows!])];
    run(quantizeKernel, { w: weight, q, scale }, { rows: rows!, words: cols! / 4 }, { threads: rows! });
    return { output: [q, scale] as const, inputs: {}, saved: {} };
  },
  backward: notDifferentiable("rounding to 8 bits has no slope; train in f32, and quantize what was trained."),
});

/** Weights as f32, whatever they are kept in: a tensor of its own, or the same. */
export function widened(weight: Tensor, scale?: Tensor): Tensor {
  if (!scale) return weight.dtype === "f32" ? weight : cast.definition.forward(weight, "f32").output;
  const [rows, words] = weight.shape as [number, number];
  const w = empty([rows, 4 * words]);
  run(dequantizeKernel, { q: weight, scale, w }, { words, all: weight.size }, { threads: weight.size });
  return w;
}
