/** How alike vectors are, and how well that agrees with given scores, under the names of sentence-transformers' EmbeddingSimilarityEvaluator. */
import { check } from "@gpugrad/tensor";
import { pearsonr, spearmanr } from "./regression.ts";

type Vector = ArrayLike<number>;

function sumOver(a: Vector, b: Vector, f: (x: number, y: number) => number): number {
  check(a.length === b.length, () => `similarity: vectors of ${a.length} and ${b.length} numbers.`);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += f(a[i]!, b[i]!);
  return sum;
}

const dot = (a: Vector, b: Vector): number => sumOver(a, b, (x, y) => x * y);

/** Greater is more alike: distances count negatively. */
export const SIMILARITIES = {
  cosine: (a: Vector, b: Vector): number => dot(a, b) / (Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b))),
  dot,
  euclidean: (a: Vector, b: Vector): number => -Math.sqrt(sumOver(a, b, (x, y) => (x - y) ** 2)),
  manhattan: (a: Vector, b: Vector): number => -sumOver(a, b, (x, y) => Math.abs(x - y)),
};
export type SimilarityName = keyof typeof SIMILARITIES;

/**
 * Pearson's and Spearman's correlation of given scores with the similarity of each pair of vectors: `pearson_cosine`, `spearman_cosine`, …
 * @see https://sbert.net/docs/package_reference/sentence_transformer/evaluation.html#embeddingsimilarityevaluator
 */
export function similarityMetrics(
  a: readonly Vector[],
  b: readonly Vector[],
  scores: ArrayLike<number>,
): Record<`${"pearson" | "spearman"}_${SimilarityName}`, number> {
  check(a.length === b.length, () => `similarityMetrics: ${a.length} and ${b.length} vectors do not pair up.`);
  const entries = Object.entries(SIMILARITIES).flatMap(([name, similarity]) => {
    const found = a.map((vector, i) => similarity(vector, b[i]!));
    return [
      [`pearson_${name}`, pearsonr(scores, found)],
      [`spearman_${name}`, spearmanr(scores, found)],
    ];
  });
  return Object.fromEntries(entries) as Record<`${"pearson" | "spearman"}_${SimilarityName}`, number>;
}
