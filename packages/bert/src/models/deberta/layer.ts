import { attend, attendWithProbabilities, Dropout, Module, splitHeads, type AttendOptions } from "@gpugrad/nn";
import {
  disentangledAttention,
  matmul,
  mul,
  permute,
  relativeBias,
  reshape,
  zeros,
  type Tensor,
} from "@gpugrad/tensor";
import { ResidualOutput } from "../bert/attention.ts";
import { Intermediate } from "../bert/encoder.ts";
import type { StackedLayer } from "../layer-stack.ts";
import type { DebertaConfig } from "./deberta-config.ts";
import type { Distances } from "./distances.ts";

/** What all layers compute with. */
export type SharedByLayers = {
  /** bool [B, 1, T, T], true where query and key are both tokens; undefined where there is no padding. */
  pairs: Tensor | undefined;
  /** f32 [B, T, 1], 0 for padding; undefined likewise. */
  tokens: Tensor | undefined;
  /** Rows of the table of relative positions, [R, C]; undefined without relative attention. */
  positions: Tensor | undefined;
};

/** Projections of one layer's attention, the heads side by side. */
export interface Projected {
  q: Tensor; // [B, T, C]
  k: Tensor;
  v: Tensor;
}

/** Projections of relative positions, [1, R, C] each; undefined where `pos_att_type` leaves one out. */
export interface ProjectedPositions {
  k: Tensor | undefined; // content to position
  q: Tensor | undefined; // position to content
}

/**
 * Disentangled attention: scores (qᵢ·kⱼ + qᵢ·K[i − j] + kⱼ·Q[i − j]) / √(D · terms), where K and Q are made of the table of relative
 * positions. Padding attends to all tokens alike. The versions differ in how they project.
 * @see https://arxiv.org/abs/2006.03654
 */
export abstract class DisentangledSelfAttention extends Module {
  readonly dropout: Dropout;
  readonly pos_dropout: Dropout;
  readonly #heads: number;
  readonly #scale: number;
  readonly #distances: Distances | undefined;

  constructor(config: DebertaConfig, distances: Distances | undefined) {
    super();
    this.dropout = new Dropout(config.attention_probs_dropout_prob);
    this.pos_dropout = new Dropout(config.hidden_dropout_prob);
    const { hidden_size, num_attention_heads, pos_att_type } = config;
    this.#heads = num_attention_heads;
    const terms = 1 + new Set(pos_att_type).size;
    this.#scale = 1 / Math.sqrt((hidden_size / num_attention_heads) * terms);
    this.#distances = distances;
  }

  protected abstract project(x: Tensor): Projected;
  protected abstract projectPositions(positions: Tensor): ProjectedPositions;

  forward(x: Tensor, shared: SharedByLayers): Tensor {
    const { q, k, v } = this.#project(x, shared);
    const table = this.#projectPositions(shared);
    if (!table) return attend(q, k, v, { ...this.#how, ...this.#alike(shared, q.shape[1]!) });
    const [Q, K, V] = [q, k, v].map((t) => splitHeads(t, this.#heads)) as [Tensor, Tensor, Tensor];
    const { scale, dropoutP } = this.#how;
    const how = { scale, dropoutP, first: this.#distances!.firstRow(q.shape[1]!) };
    const y = disentangledAttention(Q, K, V, table.k, table.q, this.#distances!.numbers, shared.pairs, how);
    return reshape(y, q.shape);
  }

  forwardWithProbabilities(x: Tensor, shared: SharedByLayers): { y: Tensor; probabilities: Tensor } {
    const { q, k, v } = this.#project(x, shared);
    const bias = this.#positionBias(q, k, shared);
    const masking = bias ? { bias, mask: shared.pairs } : this.#alike(shared, q.shape[1]!);
    return attendWithProbabilities(q, k, v, { ...this.#how, ...masking });
  }

  /** All of a padded query's scores are masked, so no gradient may reach what they were made of: it is 0, like the query. */
  #project(x: Tensor, { tokens }: SharedByLayers): Projected {
    const projected = this.project(x);
    return tokens ? { ...projected, q: mul(projected.q, tokens) } : projected;
  }

  get #how() {
    return { heads: this.#heads, scale: this.#scale, dropoutP: this.dropout.activeP };
  }

  /** Without positions: with a bias of 0, a query all of whose scores are masked attends to all tokens alike. */
  #alike({ pairs }: SharedByLayers, T: number): Pick<AttendOptions, "bias" | "mask"> {
    return { bias: pairs && zeros([1, 1, T, T]), mask: pairs };
  }

  /** The tables by head, [1, R, H, D]; undefined where scores don't depend on positions. */
  #projectPositions({ positions }: SharedByLayers): ProjectedPositions | undefined {
    if (!positions) return undefined;
    const { k, q } = this.projectPositions(this.pos_dropout.forward(positions));
    return k || q ? { k: k && splitHeads(k, this.#heads), q: q && splitHeads(q, this.#heads) } : undefined;
  }

  /** What relative positions add to the scores, [B, H, T, T]; undefined where nothing is added. */
  #positionBias(q: Tensor, k: Tensor, shared: SharedByLayers): Tensor | undefined {
    const tables = this.#projectPositions(shared);
    if (!tables) return undefined;
    const scores = (x: Tensor, table: Tensor | undefined): Tensor | undefined =>
      table &&
      matmul(permute(splitHeads(x, this.#heads), [0, 2, 1, 3]), permute(table, [0, 2, 1, 3]), { transposeB: true }); // [B, H, T, R]
    const { numbers, ranges } = this.#distances!.numbers;
    const first = this.#distances!.firstRow(q.shape[1]!);
    return relativeBias(scores(q, tables.k), scores(k, tables.q), numbers, ranges, { scale: this.#scale, first });
  }
}

class Attention extends Module {
  readonly self: DisentangledSelfAttention;
  readonly output: ResidualOutput;

  constructor(self: DisentangledSelfAttention, config: DebertaConfig) {
    super();
    this.self = self;
    this.output = new ResidualOutput(config.hidden_size, config);
  }
}

/** One layer: BERT's, but for its attention. */
export class DebertaLayer extends Module implements StackedLayer<SharedByLayers> {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;

  constructor(self: DisentangledSelfAttention, config: DebertaConfig) {
    super();
    this.attention = new Attention(self, config);
    this.intermediate = new Intermediate(config);
    this.output = new ResidualOutput(config.intermediate_size, config);
  }

  forward(x: Tensor, shared: SharedByLayers): Tensor {
    return this.#finish(this.attention.self.forward(x, shared), x);
  }

  forwardWithProbabilities(x: Tensor, shared: SharedByLayers): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attention.self.forwardWithProbabilities(x, shared);
    return { y: this.#finish(y, x), probabilities };
  }

  #finish(heads: Tensor, x: Tensor): Tensor {
    const attended = this.attention.output.forward(heads, x);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}
