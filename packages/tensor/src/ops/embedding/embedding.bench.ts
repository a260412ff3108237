import { benchBackward, benchOp, uniformInts, type BenchCase } from "../../testing/bench-op.ts";
import { bertEmbeddingsReference } from "./embedding.reference.ts";
import { bertEmbeddings } from "./embedding.ts";

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

export const benches: BenchCase[] = [forward(16, 128, 384), backward(16, 128, 384), forward(16, 256, 768)];
