import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { keptReference, layerNormReference } from "../norm/norm.reference.ts";
import type { EmbeddingBagOptions } from "./embedding-bag.ts";
import type { BertEmbeddingsNormOptions } from "./embedding.ts";

/** y[…, :] = weight[ids[…], :]. */
export function embeddingReference(weight: NdArray, ids: NdArray): NdArray {
  const width = weight.shape[1]!;
  return ndArray(
    [...ids.shape, width],
    Array.from(ids.data).flatMap((id) => [...weight.data.subarray(id * width, (id + 1) * width)]),
  );
}

/** y[b, t] = word[ids[b, t]] + tokenType[types[b, t]] + position[t]. */
export function bertEmbeddingsReference(
  word: NdArray,
  position: NdArray,
  tokenType: NdArray,
  ids: NdArray,
  types: NdArray,
): NdArray {
  const [rows, length] = ids.shape as [number, number];
  const positions = ndArray(
    ids.shape,
    Array.from({ length: rows * length }, (_, i) => i % length),
  );
  const parts = [
    embeddingReference(word, ids),
    embeddingReference(tokenType, types),
    embeddingReference(position, positions),
  ];
  return ndArray(
    parts[0]!.shape,
    parts[0]!.data.map((_, i) => parts.reduce((sum, part) => sum + part.data[i]!, 0)),
  );
}

/** dropout(layerNorm(the sum of embeddings)). */
export function bertEmbeddingsNormReference(
  word: NdArray,
  position: NdArray,
  tokenType: NdArray,
  weight: NdArray,
  bias: NdArray,
  ids: NdArray,
  types: NdArray,
  { eps, dropoutP = 0, generator }: BertEmbeddingsNormOptions = {},
): NdArray {
  const h = bertEmbeddingsReference(word, position, tokenType, ids, types);
  const y = layerNormReference(h, weight, bias, { ...(eps !== undefined && { eps }) });
  const kept = keptReference(y.data.length, dropoutP, generator);
  return ndArray(
    y.shape,
    y.data.map((v, i) => v * kept[i]!),
  );
}

/** Per bag the sum, mean or largest of its rows, element by element; `offsets` are plain numbers here. */
export function embeddingBagReference(
  weight: NdArray,
  ids: NdArray,
  scales: NdArray | undefined,
  { mode = "mean", paddingIdx = null }: EmbeddingBagOptions,
  starts: readonly number[] = Array.from({ length: ids.shape[0]! + 1 }, (_, b) => b * ids.shape[1]!),
): NdArray {
  const width = weight.shape[1]!;
  const bags = starts.length - 1;
  const y = ndArray([bags, width], new Float64Array(bags * width));
  for (let e = 0; e < y.data.length; e++) {
    const bag = Math.floor(e / width);
    const values = [];
    for (let l = starts[bag]!; l < starts[bag + 1]!; l++)
      if (ids.data[l] !== paddingIdx)
        values.push(weight.data[ids.data[l]! * width + (e % width)]! * (scales?.data[l] ?? 1));
    if (values.length === 0) continue;
    const sum = values.reduce((a, b) => a + b, 0);
    y.data[e] = mode === "max" ? Math.max(...values) : mode === "mean" ? sum / values.length : sum;
  }
  return y;
}
