import { expect, test } from "vitest";
import { similarityMetrics } from "./similarity.ts";

test("correlations with the similarities of pairs are SciPy's", () => {
  const a = [[1, 2, 3], [0, 1, -1], [2, 0, 1], [-1, 1, 1]]; // prettier-ignore
  const b = [[1, 1, 3], [1, 1, 0], [-2, 0, 1], [-1, 2, 1]]; // prettier-ignore
  const want = {
    ...{ pearson_cosine: 0.9641017369927319, spearman_cosine: 1, pearson_dot: 0.9373529006989002, spearman_dot: 1 },
    ...{ pearson_euclidean: 0.9262244196966936, spearman_euclidean: 0.9486832980505139 },
    ...{ pearson_manhattan: 0.9660917830792961, spearman_manhattan: 0.9486832980505139 },
  };
  const found = similarityMetrics(a, b, [5, 3, 1, 4]);
  for (const [name, value] of Object.entries(want)) expect(found[name as keyof typeof want]).toBeCloseTo(value, 12);
  expect(() => similarityMetrics(a, b.slice(1), [1])).toThrow("4 and 3 vectors");
});
