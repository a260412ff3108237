import { Embedding, initializers, Linear, parameter } from "@gpugrad/nn";
import { add, cast, logicalAnd, reshape, slice, type Tensor } from "@gpugrad/tensor";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import type { DebertaConfig } from "./deberta-config.ts";
import { Distances, rowIn } from "./distances.ts";
import {
  DebertaLayer,
  DisentangledSelfAttention,
  type Projected,
  type ProjectedPositions,
  type SharedByLayers,
} from "./layer.ts";

/** Version 1 projects all three at once, head by head, and has biases for queries and values only. */
class SelfAttention extends DisentangledSelfAttention {
  readonly in_proj: Linear<false>;
  readonly q_bias: Tensor; // [C]
  readonly v_bias: Tensor; // [C]
  readonly pos_proj?: Linear<false>;
  readonly pos_q_proj?: Linear;
  readonly #heads: number;

  constructor(config: DebertaConfig, distances: Distances | undefined) {
    super(config, distances);
    const { hidden_size: C, relative_attention, pos_att_type } = config;
    this.in_proj = new Linear(C, 3 * C, false);
    this.q_bias = parameter([C], initializers.zeros);
    this.v_bias = parameter([C], initializers.zeros);
    if (relative_attention && pos_att_type?.includes("c2p")) this.pos_proj = new Linear(C, C, false);
    if (relative_attention && pos_att_type?.includes("p2c")) this.pos_q_proj = new Linear(C, C);
    this.#heads = config.num_attention_heads;
  }

  protected override project(x: Tensor): Projected {
    const [B, T, C] = x.shape as [number, number, number];
    const D = C / this.#heads;
    const all = reshape(this.in_proj.forward(x), [B, T, this.#heads, 3 * D]);
    const part = (i: number): Tensor => reshape(slice(all, [[], [], [], [i * D, (i + 1) * D]]), [B, T, C]);
    return { q: add(part(0), this.q_bias), k: part(1), v: add(part(2), this.v_bias) };
  }

  protected override projectPositions(positions: Tensor): ProjectedPositions {
    const table = reshape(positions, [1, ...positions.shape]);
    return { k: this.pos_proj?.forward(table), q: this.pos_q_proj?.forward(table) };
  }
}

/** The layers, and the table of relative positions that all of them project. */
export abstract class RelativeEncoder extends LayerStack<StackedLayer<SharedByLayers>, SharedByLayers> {
  readonly layer: DebertaLayer[];
  readonly rel_embeddings?: Embedding;
  readonly #distances: Distances | undefined;

  /** @param span rows of the table on each side of distance 0, of which `numberOf` a distance counts */
  constructor(
    config: DebertaConfig,
    { span, numberOf }: { span: number; numberOf: (distance: number) => number },
    selfAttention: (distances: Distances | undefined) => DisentangledSelfAttention,
  ) {
    super();
    if (config.relative_attention) {
      this.rel_embeddings = new Embedding(2 * span, config.hidden_size);
      this.#distances = new Distances(config.max_position_embeddings, (d) => rowIn(numberOf(d), span));
    }
    this.layer = Array.from(
      { length: config.num_hidden_layers },
      () => new DebertaLayer(selfAttention(this.#distances), config),
    );
  }

  /** The table of relative positions as layers project it. */
  protected positionTable(): Tensor | undefined {
    return this.rel_embeddings?.weight;
  }

  /** What the layers share for texts of T tokens. @param mask bool [B, 1, 1, T] */
  share(T: number, mask: Tensor | undefined): SharedByLayers {
    const table = this.positionTable();
    const positions = table && this.#distances!.rowsFor(table, T);
    if (!mask) return { pairs: undefined, tokens: undefined, positions };
    const B = mask.shape[0]!;
    const pairs = logicalAnd(mask, reshape(mask, [B, 1, T, 1]));
    return { pairs, tokens: reshape(cast(mask, "f32"), [B, T, 1]), positions };
  }

  override *ownConstants(): Generator<Tensor> {
    if (this.#distances) yield* Object.values(this.#distances.numbers) as Tensor[];
  }

  protected override layers(): Iterable<StackedLayer<SharedByLayers>> {
    return this.layer;
  }
}

/** Version 1 numbers distances as they are. */
export class Encoder extends RelativeEncoder {
  constructor(config: DebertaConfig) {
    super(
      config,
      { span: config.relativeReach, numberOf: (distance) => distance },
      (distances) => new SelfAttention(config, distances),
    );
  }
}
