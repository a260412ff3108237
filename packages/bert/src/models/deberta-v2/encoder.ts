import { LayerNorm, Linear } from "@gpugrad/nn";
import { reshape, type Tensor } from "@gpugrad/tensor";
import { logarithmicBucket, type Distances } from "../deberta/distances.ts";
import { RelativeEncoder } from "../deberta/encoder.ts";
import {
  DisentangledSelfAttention,
  type Projected,
  type ProjectedPositions,
  type SharedByLayers,
} from "../deberta/layer.ts";
import { ConvLayer, ConvolvedLayer } from "./convolution.ts";
import type { StackedLayer } from "../layer-stack.ts";
import type { DebertaV2Config } from "./deberta-v2-config.ts";

/** Version 2 projects as BERT does, and positions by the same projections or by their own. */
class SelfAttention extends DisentangledSelfAttention {
  readonly query_proj: Linear;
  readonly key_proj: Linear;
  readonly value_proj: Linear;
  readonly pos_key_proj?: Linear;
  readonly pos_query_proj?: Linear;
  readonly #types: ReadonlySet<string>;

  constructor(config: DebertaV2Config, distances: Distances | undefined) {
    super(config, distances);
    const { hidden_size: C, relative_attention, share_att_key = false } = config;
    this.query_proj = new Linear(C, C);
    this.key_proj = new Linear(C, C);
    this.value_proj = new Linear(C, C);
    this.#types = new Set(config.pos_att_type);
    const hasOwn = relative_attention && !share_att_key;
    if (hasOwn && this.#types.has("c2p")) this.pos_key_proj = new Linear(C, C);
    if (hasOwn && this.#types.has("p2c")) this.pos_query_proj = new Linear(C, C);
  }

  protected override project(x: Tensor): Projected {
    return { q: this.query_proj.forward(x), k: this.key_proj.forward(x), v: this.value_proj.forward(x) };
  }

  protected override projectPositions(positions: Tensor): ProjectedPositions {
    const table = reshape(positions, [1, ...positions.shape]);
    return {
      k: this.#types.has("c2p") ? (this.pos_key_proj ?? this.key_proj).forward(table) : undefined,
      q: this.#types.has("p2c") ? (this.pos_query_proj ?? this.query_proj).forward(table) : undefined,
    };
  }
}

/** Version 2 may number far distances together, normalize their table, and have a convolution beside the first layer. */
export class Encoder extends RelativeEncoder {
  readonly LayerNorm?: LayerNorm;
  readonly conv?: ConvLayer;

  constructor(config: DebertaV2Config) {
    const { position_buckets: buckets = -1, relativeReach } = config;
    const numbering =
      buckets > 0
        ? { span: buckets, numberOf: (distance: number) => logarithmicBucket(distance, buckets, relativeReach) }
        : { span: relativeReach, numberOf: (distance: number) => distance };
    super(config, numbering, (distances) => new SelfAttention(config, distances));
    const steps = (config.norm_rel_ebd ?? "none").toLowerCase().split("|").map((step) => step.trim()); // prettier-ignore
    if (steps.includes("layer_norm")) this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    if (config.conv_kernel_size) this.conv = new ConvLayer(config);
  }

  protected override positionTable(): Tensor | undefined {
    const table = super.positionTable();
    return table && this.LayerNorm ? this.LayerNorm.forward(table) : table;
  }

  protected override *layers(): Generator<StackedLayer<SharedByLayers>> {
    for (const [i, layer] of this.layer.entries())
      yield i === 0 && this.conv ? new ConvolvedLayer(layer, this.conv) : layer;
  }
}
