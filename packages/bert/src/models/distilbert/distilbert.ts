import {
  addNorm,
  attend,
  attendWithProbabilities,
  denseActivation,
  Dropout,
  Embedding,
  LayerNorm,
  Linear,
  Module,
  setValue,
  type AttendOptions,
} from "@gpugrad/nn";
import { add, fromArray, type Tensor } from "@gpugrad/tensor";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { firstPositions } from "../positions.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { DistilBertConfig } from "./distilbert-config.ts";

/** Of every layer norm: the configuration has no such field. */
export const EPS = 1e-12;

/** A table of positions that begins with sines and cosines: even columns hold sin(position / 10000^(column / C)), odd ones the cosine beside it. */
class SinusoidalEmbedding extends Embedding {
  override begin(table: Tensor): void {
    const [positions, C] = table.shape as [number, number];
    const values = Float32Array.from({ length: positions * C }, (_, i) => {
      const column = i % C;
      const angle = Math.floor(i / C) / 10000 ** ((2 * Math.floor(column / 2)) / C);
      return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    setValue(table, () => fromArray(values, [positions, C]));
  }
}

/** The sum of word and position embeddings, then layer norm and dropout, without token types. */
class Embeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: DistilBertConfig) {
    super();
    this.word_embeddings = new Embedding(config.vocab_size, config.dim, config.pad_token_id ?? undefined);
    const Positions = config.sinusoidal_pos_embds ? SinusoidalEmbedding : Embedding;
    this.position_embeddings = new Positions(config.max_position_embeddings, config.dim);
    this.LayerNorm = new LayerNorm(config.dim, EPS);
    this.dropout = new Dropout(config.dropout);
  }

  /** @param ids [B, T] @returns [B, T, C] */
  forward(ids: Tensor): Tensor {
    const positions = this.position_embeddings.forward(firstPositions(ids.shape[1]!));
    return this.dropout.forward(this.LayerNorm.forward(add(this.word_embeddings.forward(ids), positions)));
  }
}

class SelfAttention extends Module {
  readonly q_lin: Linear;
  readonly k_lin: Linear;
  readonly v_lin: Linear;
  readonly out_lin: Linear;
  readonly dropout: Dropout;
  readonly #heads: number;

  constructor({ dim, n_heads, attention_dropout }: DistilBertConfig) {
    super();
    this.#heads = n_heads;
    this.q_lin = new Linear(dim, dim);
    this.k_lin = new Linear(dim, dim);
    this.v_lin = new Linear(dim, dim);
    this.out_lin = new Linear(dim, dim);
    this.dropout = new Dropout(attention_dropout);
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.out_lin.forward(attend(...this.#project(x), this.#how(mask)));
  }

  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = attendWithProbabilities(...this.#project(x), this.#how(mask));
    return { y: this.out_lin.forward(y), probabilities };
  }

  #project(x: Tensor): [q: Tensor, k: Tensor, v: Tensor] {
    return [this.q_lin.forward(x), this.k_lin.forward(x), this.v_lin.forward(x)];
  }

  #how(mask: Tensor | undefined): AttendOptions {
    return { heads: this.#heads, mask, dropoutP: this.dropout.activeP };
  }
}

class FeedForward extends Module {
  readonly lin1: Linear;
  readonly lin2: Linear;
  readonly dropout: Dropout;
  readonly #act: string;

  constructor({ dim, hidden_dim, dropout, activation }: DistilBertConfig) {
    super();
    this.lin1 = new Linear(dim, hidden_dim);
    this.lin2 = new Linear(hidden_dim, dim);
    this.dropout = new Dropout(dropout);
    this.#act = activation;
  }

  /** Without the dropout, which the layer adds together with the residual. */
  forward(x: Tensor): Tensor {
    return this.lin2.forward(denseActivation(this.lin1, x, this.#act));
  }
}

/** One layer: attention, whose output has no dropout, then the feed-forward, each with residual and layer norm after it. */
class TransformerBlock extends Module implements StackedLayer {
  readonly attention: SelfAttention;
  readonly sa_layer_norm: LayerNorm;
  readonly ffn: FeedForward;
  readonly output_layer_norm: LayerNorm;
  readonly #noDropout = new Dropout(0);

  constructor(config: DistilBertConfig) {
    super();
    this.attention = new SelfAttention(config);
    this.sa_layer_norm = new LayerNorm(config.dim, EPS);
    this.ffn = new FeedForward(config);
    this.output_layer_norm = new LayerNorm(config.dim, EPS);
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.#finish(this.attention.forward(x, mask), x);
  }

  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attention.forwardWithProbabilities(x, mask);
    return { y: this.#finish(y, x), probabilities };
  }

  #finish(heads: Tensor, x: Tensor): Tensor {
    const attended = addNorm(heads, x, this.sa_layer_norm, this.#noDropout);
    return addNorm(this.ffn.forward(attended), attended, this.output_layer_norm, this.ffn.dropout);
  }
}

class Transformer extends LayerStack<TransformerBlock> {
  readonly layer: TransformerBlock[];

  constructor(config: DistilBertConfig) {
    super();
    this.layer = Array.from({ length: config.n_layers }, () => new TransformerBlock(config));
  }

  protected override layers(): TransformerBlock[] {
    return this.layer;
  }
}

/** What DistilBERT's models have in common. */
export abstract class DistilBertPreTrainedModel extends PreTrainedModel<DistilBertConfig> {
  static override readonly Config = DistilBertConfig;
  static override readonly baseModelPrefix = "distilbert";
}

/**
 * DistilBERT without a head: half of BERT's layers, without token types and pooler.
 * @see https://arxiv.org/abs/1910.01108
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/distilbert/modeling_distilbert.py (DistilBertModel)
 */
export class DistilBertModel extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertModel";
  readonly embeddings: Embeddings;
  readonly transformer: Transformer;

  constructor(config: DistilBertConfig) {
    super(config);
    this.embeddings = new Embeddings(config);
    this.transformer = new Transformer(config);
  }

  /** @throws when ids or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, mask } = prepareInputs(inputs, this.config);
    return runEncoder(this.transformer, this.embeddings.forward(ids), mask, options);
  }
}
