/** Losses of sentence embeddings, with the definitions and numbers of sentence-transformers. Columns are embeddings [B, C]. */
import {
  abs, add, cast, checkOptions, concat, cosineSimilarity, crossEntropy, cumsum, flatten, GpugradError, logsumexp, lt, matmul, mean, mseLoss, mul, ones, relu,
  reshape, sqrt, square, sub, sum, where, zeros, type Tensor,
} from "@gpugrad/tensor"; // prettier-ignore
import { normalizeVectors } from "@gpugrad/bert";

export interface RankingOptions {
  /** What similarities are multiplied by. Default 20. */
  scale?: number;
  similarity?: "cosine" | "dot";
  /** Positives are asked for their anchors as well; the mean of both. Default false. */
  symmetric?: boolean;
}

/**
 * Multiple negatives ranking: cross-entropy of each anchor against all candidates of the batch, of which its own positive is right.
 * @param columns anchors, positives, and any number of columns of negatives: the candidates are all positives, then all negatives column by column
 * @see Henderson et al., Efficient Natural Language Response Suggestion, 2017. https://arxiv.org/abs/1705.00652
 */
export function multipleNegativesRankingLoss(columns: readonly Tensor[], options: RankingOptions = {}): Tensor {
  checkOptions("multipleNegativesRankingLoss", options, { scale: "number?", similarity: ["cosine", "dot"], symmetric: "boolean?" }); // prettier-ignore
  const { scale = 20, similarity = "cosine", symmetric = false } = options;
  const [anchors, ...candidates] = columnsOf("multipleNegativesRankingLoss", columns, 2);
  const place = similarity === "cosine" ? normalizeVectors : (x: Tensor): Tensor => x;
  const rows = anchors!.shape[0]!;
  const own = cast(sub(cumsum(ones([rows]), { dim: 0 }), 1), "i32"); // 0, 1, …, made on the device: arange can't be recorded
  const against = (from: Tensor, to: Tensor): Tensor => crossEntropy(mul(matmul(from, to, { transposeB: true }), scale), own); // prettier-ignore
  const all = place(candidates.length === 1 ? candidates[0]! : concat(candidates, { dim: 0 }));
  const forth = against(place(anchors!), all);
  return symmetric ? mul(add(forth, against(place(candidates[0]!), place(anchors!))), 0.5) : forth;
}

/** Distances of pairs, [B]: PyTorch's `pairwise_distance` adds 1e-6 to each difference. */
const DISTANCES = {
  euclidean: (a: Tensor, b: Tensor): Tensor => sqrt(sum(square(add(sub(a, b), 1e-6)), { dim: 1 })),
  manhattan: (a: Tensor, b: Tensor): Tensor => sum(abs(add(sub(a, b), 1e-6)), { dim: 1 }),
  cosine: (a: Tensor, b: Tensor): Tensor => sub(1, cosineSimilarity(a, b)),
};
export type DistanceName = keyof typeof DISTANCES;

/**
 * Mean of max(0, distance to the positive − distance to the negative + margin).
 * @param columns anchors, positives, negatives
 * @param options `margin` default 5
 * @see Schroff et al., FaceNet, 2015. https://arxiv.org/abs/1503.03832
 */
export function tripletLoss(
  columns: readonly Tensor[],
  options: { distance?: DistanceName; margin?: number } = {},
): Tensor {
  checkOptions("tripletLoss", options, { distance: Object.keys(DISTANCES), margin: "number?" });
  const { distance = "euclidean", margin = 5 } = options;
  const [anchors, positives, negatives] = columnsOf("tripletLoss", columns, 3, 3);
  const of = DISTANCES[distance];
  return mean(relu(add(sub(of(anchors!, positives!), of(anchors!, negatives!)), margin)));
}

/**
 * Contrastive loss: ½ (label · d² + (1 − label) · max(0, margin − d)²) with d = 1 − cosine; the mean over pairs.
 * @param labels 1 for pairs that belong together, 0 for those that don't, [B]
 * @param options `margin` default 0.5
 * @see Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, 2006
 */
export function contrastiveLoss(
  columns: readonly Tensor[],
  labels: Tensor,
  options: { distance?: DistanceName; margin?: number } = {},
): Tensor {
  checkOptions("contrastiveLoss", options, { distance: Object.keys(DISTANCES), margin: "number?" });
  const { distance = "cosine", margin = 0.5 } = options;
  const [a, b] = columnsOf("contrastiveLoss", columns, 2, 2);
  const d = DISTANCES[distance](a!, b!);
  const together = labels;
  const apart = sub(1, labels);
  return mul(mean(add(mul(together, square(d)), mul(apart, square(relu(sub(margin, d)))))), 0.5);
}

/** Mean squared error of the cosine of each pair and its score. @param scores f32 [B] */
export function cosineSimilarityLoss(columns: readonly Tensor[], scores: Tensor): Tensor {
  const [a, b] = columnsOf("cosineSimilarityLoss", columns, 2, 2);
  return mseLoss(cosineSimilarity(a!, b!), scores);
}

/** What the exponent of a pair that doesn't count is: no such pair adds anything. */
const NOT_COUNTED = -1e12;

/**
 * CoSENT: log(1 + Σ exp(scale (cosᵢ − cosⱼ))) over all i, j with scoreᵢ < scoreⱼ: a pair with a higher score should have the higher cosine.
 * @param scores f32 [B]
 * @param options `scale` default 20
 * @see https://kexue.fm/archives/8847
 */
export function cosentLoss(columns: readonly Tensor[], scores: Tensor, options: { scale?: number } = {}): Tensor {
  checkOptions("cosentLoss", options, { scale: "number?" });
  const [a, b] = columnsOf("cosentLoss", columns, 2, 2);
  const cosines = mul(cosineSimilarity(a!, b!), options.scale ?? 20);
  const differences = (x: Tensor): Tensor => sub(reshape(x, [-1, 1]), reshape(x, [1, -1]));
  const counts = lt(differences(scores), 0);
  const exponents = where(counts, differences(cosines), NOT_COUNTED);
  return logsumexp(concat([zeros([1]), flatten(exponents)]), { dim: 0 });
}

function columnsOf(owner: string, columns: readonly Tensor[], least: number, most = Infinity): readonly Tensor[] {
  const shapes = columns.map(({ shape }) => `[${shape.join()}]`);
  const fits = columns.length >= least && columns.length <= most && columns.every(({ shape }) => shape.length === 2 && shape.join() === columns[0]!.shape.join()); // prettier-ignore
  if (!fits)
    throw new GpugradError(
      `${owner}: the columns are ${shapes.join(" · ") || "none"}. It takes ${least}${most > least ? " or more" : ""}, all of one shape [rows, size].`,
    );
  return columns;
}
