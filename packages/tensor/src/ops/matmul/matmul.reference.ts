import { broadcastShapes, broadcastStrides, sizeOf } from "../../shape.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** op(a) · op(b) over broadcast batches, in float64 and plain loops: what the kernels are tested against. */
export function matmulReference(
  a: NdArray,
  b: NdArray,
  { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
): NdArray {
  const [left, right] = [a.shape, b.shape];
  const [aRows, aCols] = left.length === 1 ? [1, left[0]!] : [left.at(-2)!, left.at(-1)!];
  const [bRows, bCols] = right.length === 1 ? [right[0]!, 1] : [right.at(-2)!, right.at(-1)!];
  const flipA = transposeA && left.length > 1;
  const flipB = transposeB && right.length > 1;
  const [M, K, N] = [flipA ? aCols : aRows, flipA ? aRows : aCols, flipB ? bRows : bCols];

  const [aBatch, bBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastShapes("reference", aBatch, bBatch);
  const [aSteps, bSteps] = [broadcastStrides(aBatch, batch), broadcastStrides(bBatch, batch)];
  const y = new Float64Array(sizeOf(batch) * M * N);
  for (let n = 0; n < sizeOf(batch); n++) {
    let [rest, aMatrix, bMatrix] = [n, 0, 0];
    for (let d = batch.length - 1; d >= 0; d--) {
      aMatrix += (rest % batch[d]!) * aSteps[d]!;
      bMatrix += (rest % batch[d]!) * bSteps[d]!;
      rest = Math.floor(rest / batch[d]!);
    }
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const at = flipA ? k * M + i : i * K + k;
          const bt = flipB ? j * K + k : k * N + j;
          sum += a.data[aMatrix * M * K + at]! * b.data[bMatrix * K * N + bt]!;
        }
        y[(n * M + i) * N + j] = sum;
      }
    }
  }
  return ndArray([...batch, ...(left.length > 1 ? [M] : []), ...(right.length > 1 ? [N] : [])], y);
}
