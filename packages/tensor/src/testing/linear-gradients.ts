import { autocast, type ComputeType } from "../autocast.ts";
import { fromArray } from "../factories.ts";
import { withRung } from "../ops/ladders.ts";
import { linearGradientsReference } from "../ops/matmul/linear.reference.ts";
import { linear } from "../ops/matmul/linear.ts";
import { expectClose, randomNormal } from "./check-op.ts";
import { ndArray } from "./nd-array.ts";

/**
 * Takes a layer's gradients with a rung (its forward is another's business), and fails unless a layer's gradients of weight and bias are those of float64. In f16 x and dy are rounded before they are multiplied, so the
 * weight's are compared loosely, and the bias's, whose sums are of dy as it is, as in f32.
 */
export async function checkLinearGradients(
  rung: Parameters<typeof withRung<"matmul", unknown>>[1],
  [rows, ins, outs]: readonly [number, number, number],
  dtype: ComputeType = "f32",
): Promise<void> {
  const [x, dy] = [ndArray([rows, ins], randomNormal(rows * ins, 1)), ndArray([rows, outs], randomNormal(rows * outs, 2))]; // prettier-ignore
  const tensors = [fromArray(x.data, x.shape), fromArray(new Float32Array(outs * ins), [outs, ins]), fromArray(new Float32Array(outs), [outs])] as const; // prettier-ignore
  const { backward } = linear.definition;
  if (typeof backward !== "function") throw new Error("linear has a gradient");
  const { output, saved } = autocast(() => linear.definition.forward(...tensors), { dtype });
  const given = fromArray(dy.data, dy.shape);
  const needs = { x: false, weight: true, bias: true };
  const { weight, bias } = withRung("matmul", rung, () => backward(saved, given, needs));
  const want = linearGradientsReference(x, dy);
  const tolerance = { rtol: 1e-5, atol: 2e-5 };
  const loose = dtype === "f16" ? { rtol: 2e-3, atol: 2e-3 * Math.sqrt(rows) } : tolerance;
  expectClose(await weight!.data(), want.weight.data, loose, "dweight");
  expectClose(await bias!.data(), want.bias.data, tolerance, "dbias");
  for (const tensor of [...tensors, output, given, weight!, bias!]) tensor.dispose();
}
