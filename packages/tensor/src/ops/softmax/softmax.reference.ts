import { alongDim, type NdArray } from "../../testing/nd-array.ts";

/** softmax along `dim`, in float64 and plain loops: what the kernels are tested against. */
export function softmaxReference(x: NdArray, options: { dim?: number } = {}): NdArray {
  return alongDim(x, options.dim ?? -1, (row) => {
    const max = Math.max(...row);
    const exps = row.map((v) => Math.exp(v - max));
    const sum = exps.reduce((a, b) => a + b);
    return exps.map((e) => e / sum);
  });
}

/** ln softmax along `dim`. */
export function logSoftmaxReference(x: NdArray, options: { dim?: number } = {}): NdArray {
  return alongDim(x, options.dim ?? -1, (row) => {
    const max = Math.max(...row);
    const shift = max + Math.log(row.reduce((sum, v) => sum + Math.exp(v - max), 0));
    return row.map((v) => v - shift);
  });
}
