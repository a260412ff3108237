import type { NdArray } from "../../testing/nd-array.ts";
import { matmulReference } from "./matmul.reference.ts";

/** x · weightᵀ + bias, in float64. */
export function linearReference(x: NdArray, weight: NdArray, bias?: NdArray): NdArray {
  const y = matmulReference(x, weight, { transposeB: true });
  if (bias) y.data.forEach((v, i) => (y.data[i] = v + bias.data[i % bias.data.length]!));
  return y;
}

/** dweight = dyᵀ · x and dbias = Σ dy over the rows, in float64, of matrices. */
export function linearGradientsReference(x: NdArray, dy: NdArray): { weight: NdArray; bias: NdArray } {
  const [rows, outs] = dy.shape as [number, number];
  const bias = { shape: [outs], data: new Float64Array(outs) };
  for (let at = 0; at < rows * outs; at++) bias.data[at % outs]! += dy.data[at]!;
  return { weight: matmulReference(dy, x, { transposeA: true }), bias };
}

/** gelu(x · weightᵀ + bias), in float64. */
export function linearGeluReference(
  x: NdArray,
  weight: NdArray,
  bias?: NdArray,
  { approximate = "none" }: { approximate?: "none" | "tanh" } = {},
): NdArray {
  const h = linearReference(x, weight, bias);
  const gelu = (v: number): number =>
    approximate === "tanh"
      ? 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
      : 0.5 * v * (1 + erf(v / Math.SQRT2));
  return { shape: h.shape, data: h.data.map(gelu) };
}

/** erf(x) by its Taylor series e^(−x²) 2/√π Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms are all of one sign; 1 in f64 beyond 6. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
