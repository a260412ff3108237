import {
  addNorm,
  attend,
  attendWithProbabilities,
  denseActivation,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  type AttendOptions,
} from "@gpugrad/nn";
import { select, tanh, type Tensor } from "@gpugrad/tensor";
import { BertEmbeddings } from "../bert/bert.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { AlbertConfig } from "./albert-config.ts";

/** Attention with its projection, residual and norm. */
class AlbertAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;
  readonly attention_dropout: Dropout;
  readonly output_dropout: Dropout;
  readonly #heads: number;

  constructor(config: AlbertConfig) {
    super();
    const { hidden_size: C } = config;
    this.#heads = config.num_attention_heads;
    this.query = new Linear(C, C);
    this.key = new Linear(C, C);
    this.value = new Linear(C, C);
    this.dense = new Linear(C, C);
    this.LayerNorm = new LayerNorm(C, config.layer_norm_eps);
    this.attention_dropout = new Dropout(config.attention_probs_dropout_prob);
    this.output_dropout = new Dropout(config.hidden_dropout_prob);
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.#finish(attend(...this.#project(x), this.#how(mask)), x);
  }

  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = attendWithProbabilities(...this.#project(x), this.#how(mask));
    return { y: this.#finish(y, x), probabilities };
  }

  #project(x: Tensor): [q: Tensor, k: Tensor, v: Tensor] {
    return [this.query.forward(x), this.key.forward(x), this.value.forward(x)];
  }

  #how(mask: Tensor | undefined): AttendOptions {
    return { heads: this.#heads, mask, dropoutP: this.attention_dropout.activeP };
  }

  #finish(heads: Tensor, x: Tensor): Tensor {
    return addNorm(this.dense.forward(heads), x, this.LayerNorm, this.output_dropout);
  }
}

/** One layer: attention, then the feed-forward, which has no dropout. */
class AlbertLayer extends Module implements StackedLayer {
  readonly full_layer_layer_norm: LayerNorm;
  readonly attention: AlbertAttention;
  readonly ffn: Linear;
  readonly ffn_output: Linear;
  readonly #act: string;
  readonly #noDropout = new Dropout(0);

  constructor(config: AlbertConfig) {
    super();
    const { hidden_size: C, intermediate_size: F } = config;
    this.full_layer_layer_norm = new LayerNorm(C, config.layer_norm_eps);
    this.attention = new AlbertAttention(config);
    this.ffn = new Linear(C, F);
    this.ffn_output = new Linear(F, C);
    this.#act = config.hidden_act;
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.#finish(this.attention.forward(x, mask));
  }

  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attention.forwardWithProbabilities(x, mask);
    return { y: this.#finish(y), probabilities };
  }

  #finish(attended: Tensor): Tensor {
    const y = this.ffn_output.forward(denseActivation(this.ffn, attended, this.#act));
    return addNorm(y, attended, this.full_layer_layer_norm, this.#noDropout);
  }
}

/** The layers that a group repeats. */
class AlbertLayerGroup extends Module {
  readonly albert_layers: AlbertLayer[];

  constructor(config: AlbertConfig) {
    super();
    this.albert_layers = Array.from({ length: config.inner_group_num }, () => new AlbertLayer(config));
  }
}

/** The groups, each repeated for its share of the layers. */
class AlbertTransformer extends LayerStack<AlbertLayer> {
  readonly embedding_hidden_mapping_in: Linear;
  readonly albert_layer_groups: AlbertLayerGroup[];
  readonly #layers: number;

  constructor(config: AlbertConfig) {
    super();
    this.embedding_hidden_mapping_in = new Linear(config.embedding_size, config.hidden_size);
    this.albert_layer_groups = Array.from({ length: config.num_hidden_groups }, () => new AlbertLayerGroup(config));
    this.#layers = config.num_hidden_layers;
  }

  protected override *layers(): Generator<AlbertLayer> {
    const groups = this.albert_layer_groups;
    for (let i = 0; i < this.#layers; i++) yield* groups[Math.floor(i / (this.#layers / groups.length))]!.albert_layers;
  }
}

/** What ALBERT's models have in common. */
export abstract class AlbertPreTrainedModel extends PreTrainedModel<AlbertConfig> {
  static override readonly Config = AlbertConfig;
  static override readonly baseModelPrefix = "albert";
}

/**
 * ALBERT without a head: BERT with narrower embeddings, whose layers share their weights.
 * @see https://arxiv.org/abs/1909.11942
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/albert/modeling_albert.py (AlbertModel)
 */
export class AlbertModel extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertModel";
  readonly embeddings: BertEmbeddings;
  readonly encoder: AlbertTransformer;
  readonly pooler?: Linear;

  /** @param options.addPoolingLayer whether there is a pooler (true unless said otherwise) */
  constructor(config: AlbertConfig, { addPoolingLayer = true }: { addPoolingLayer?: boolean } = {}) {
    super(config);
    this.embeddings = new BertEmbeddings(config, { size: config.embedding_size });
    this.encoder = new AlbertTransformer(config);
    if (addPoolingLayer) this.pooler = new Linear(config.hidden_size, config.hidden_size);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, types, mask } = prepareInputs(inputs, this.config);
    const embedded = this.encoder.embedding_hidden_mapping_in.forward(this.embeddings.forward(ids, types));
    const { pooler } = this;
    const pool = pooler && { forward: (x: Tensor) => tanh(pooler.forward(select(x, 1, 0))) };
    return runEncoder(this.encoder, embedded, mask, options, pool);
  }
}
