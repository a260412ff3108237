import { benchBackward, benchOp, uniformInts, type BenchCase } from "../../testing/bench-op.ts";
import { bertEmbeddingsNormReference, bertEmbeddingsReference, embeddingReference } from "./embedding.reference.ts";
import { bertEmbeddings, bertEmbeddingsNorm, embedding } from "./embedding.ts";

const [VOCAB, POSITIONS, TYPES] = [30522, 512, 2];

/** Word, position and token type of B × T tokens. */
const inputs = (B: number, T: number, C: number) => ({
  shapes: [
    [VOCAB, C],
    [POSITIONS, C],
    [TYPES, C],
    [B, T],
    [B, T],
  ],
  values: {
    3: (count: number) => uniformInts(count, 7, VOCAB),
    4: (count: number) => uniformInts(count, 8, TYPES),
  },
  result: [B, T, C],
  sliced: 0,
});

const forward = (B: number, T: number, C: number): BenchCase =>
  benchOp(`bertembeddings_B${B}T${T}C${C}`, {
    ...inputs(B, T, C),
    op: (word, position, tokenType, ids, types) => bertEmbeddings(word, position, tokenType, ids, types),
    reference: (word, position, tokenType, ids, types) =>
      bertEmbeddingsReference(word, position, tokenType, ids, types),
    bytes: 4 * (2 * B * T * C + T * C + 2 * B * T), // the rows of words, the positions, the ids; the sum written
  });

const backward = (B: number, T: number, C: number): BenchCase =>
  benchBackward(`bertembeddings_B${B}T${T}C${C}_bwd`, {
    ...inputs(B, T, C),
    op: bertEmbeddings,
    reference: (word, position, tokenType, ids, types) =>
      bertEmbeddingsReference(word, position, tokenType, ids, types),
    bytes: 4 * (B * T * C + (VOCAB + POSITIONS + TYPES) * C + 2 * B * T), // dy read, every row of the tables written
  });

/** With layer norm. */
const normed = (B: number, T: number, C: number): BenchCase => {
  const { shapes, values, ...rest } = inputs(B, T, C);
  return benchOp(`bertembeddingsnorm_B${B}T${T}C${C}`, {
    ...rest,
    shapes: [...shapes.slice(0, 3), [C], [C], ...shapes.slice(3)],
    values: { 5: values[3], 6: values[4] },
    op: (word, position, tokenType, weight, bias, ids, types) =>
      bertEmbeddingsNorm(word, position, tokenType, weight, bias, ids, types),
    reference: (word, position, tokenType, weight, bias, ids, types) =>
      bertEmbeddingsNormReference(word, position, tokenType, weight, bias, ids, types),
    bytes: 4 * (3 * B * T * C + T * C + 2 * B * T), // as without, and the sum is kept
  });
};

/** Rows of a table, and the gradient of the table. */
const rows = (m: number, C: number): BenchCase[] => {
  const table = {
    shapes: [[VOCAB, C], [m]],
    values: { 1: (count: number) => uniformInts(count, 9, VOCAB) },
    result: [m, C],
    sliced: 0,
    reference: embeddingReference,
  };
  return [
    benchOp(`embedding${m}x${C}`, {
      ...table,
      op: (weight, ids) => embedding(weight, ids),
      bytes: 4 * m * (2 * C + 1),
    }),
    benchBackward(`embedding${m}x${C}_bwd`, { ...table, op: embedding, bytes: 4 * (m + VOCAB) * C }),
  ];
};

export const benches: BenchCase[] = [
  forward(16, 128, 384),
  backward(16, 128, 384),
  normed(16, 128, 384),
  forward(16, 256, 768),
  ...rows(4096, 384),
];
