import { GpugradError, type Tensor } from "@gpugrad/tensor";
import type { SentenceColumns } from "./dataset.ts";
import { contrastiveLoss, cosentLoss, cosineSimilarityLoss, multipleNegativesRankingLoss, tripletLoss } from "./losses.ts"; // prettier-ignore

interface SentenceLoss {
  compute: (columns: readonly Tensor[], scores: Tensor) => Tensor;
  /** What it takes, where these columns are something else. */
  problem: (columns: SentenceColumns) => string | undefined;
}

const unless = (fits: boolean, needs: string): string | undefined => (fits ? undefined : needs);

/** Losses by the names that `--loss` has for them, with sentence-transformers' defaults. */
export const SENTENCE_LOSSES = {
  "multiple-negatives-ranking": {
    compute: (columns) => multipleNegativesRankingLoss(columns),
    problem: ({ scores }) => unless(!scores, "anchors and positives, with negatives or without, and no scores"),
  },
  triplet: {
    compute: (columns) => tripletLoss(columns),
    problem: ({ texts, scores }) => unless(texts === 3 && !scores, "anchors, positives and one column of negatives"),
  },
  contrastive: {
    compute: (columns, scores) => contrastiveLoss(columns, scores),
    problem: ({ scores }) => unless(scores?.areBinary === true, "pairs with scores of 0 or 1"),
  },
  "cosine-similarity": {
    compute: (columns, scores) => cosineSimilarityLoss(columns, scores),
    problem: ({ scores }) => unless(!!scores && scores.least >= -1 && scores.most <= 1, "pairs with scores from -1 to 1"), // prettier-ignore
  },
  cosent: {
    compute: (columns, scores) => cosentLoss(columns, scores),
    problem: ({ scores }) => unless(!!scores, "pairs with scores"),
  },
} satisfies Record<string, SentenceLoss>;
export type SentenceLossName = keyof typeof SENTENCE_LOSSES;

/**
 * The loss that is asked for, or else the usual one for these columns: ranking without scores, contrastive for scores of 0 and 1, cosine similarity
 * for those from -1 to 1, and CoSENT for others.
 * @throws {@link GpugradError} for a loss that the columns are not for
 */
export function chooseLoss(columns: SentenceColumns, asked?: SentenceLossName): SentenceLossName {
  const usual = (): SentenceLossName => {
    const order = ["multiple-negatives-ranking", "contrastive", "cosine-similarity", "cosent"] as const;
    return order.find((name) => SENTENCE_LOSSES[name].problem(columns) === undefined)!;
  };
  const name = asked ?? usual();
  if (!Object.hasOwn(SENTENCE_LOSSES, name))
    throw new GpugradError(`loss: ${JSON.stringify(name)} is not one of ${Object.keys(SENTENCE_LOSSES).join(", ")}.`);
  const problem = SENTENCE_LOSSES[name].problem(columns);
  if (problem === undefined) return name;
  const { texts, scores } = columns;
  const have = `${texts} texts a row${scores ? `, scores from ${scores.least} to ${scores.most}` : " without scores"}`;
  throw new GpugradError(`loss: ${name} takes ${problem}; the data has ${have}. ${usual()} is for these.`);
}
