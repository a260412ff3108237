import { areOwn, Dropout, Embedding, LayerNorm, Linear, Module } from "@gpugrad/nn";
import { add, bertEmbeddingsNorm, select, tanh, type Tensor } from "@gpugrad/tensor";
import type { EncoderConfig } from "../encoder-config.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { firstPositions } from "../positions.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { BertConfig } from "./bert-config.ts";
import { Encoder } from "./encoder.ts";

/** How embeddings differ from BERT's. */
export interface EmbeddingsOptions {
  /** Width of the tables, where it isn't `hidden_size`. */
  size?: number;
  /** The position whose embedding gets no gradient. */
  paddingPosition?: number | undefined;
}

/**
 * The sum of word, position and token type embeddings, then layer norm and dropout.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py (BertEmbeddings)
 */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly token_type_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: EncoderConfig, { size: C = config.hidden_size, paddingPosition }: EmbeddingsOptions = {}) {
    super();
    this.word_embeddings = new Embedding(config.vocab_size, C, config.pad_token_id ?? undefined);
    this.position_embeddings = new Embedding(config.max_position_embeddings, C, paddingPosition);
    this.token_type_embeddings = new Embedding(config.type_vocab_size, C);
    this.LayerNorm = new LayerNorm(C, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
  }

  /** @param ids [B, T] @param types [B, T] @param positions [B, T]; 0, 1, 2, … unless given @returns [B, T, C] */
  forward(ids: Tensor, types: Tensor, positions?: Tensor): Tensor {
    const { word_embeddings: words, position_embeddings: places, token_type_embeddings: kinds } = this;
    const tables = [words, places, kinds].map((table) => [table, Embedding] as const);
    const { weight, bias, eps } = this.LayerNorm;
    const own = areOwn(...tables, [this.LayerNorm, LayerNorm], [this.dropout, Dropout]);
    if (positions || !own || !weight || !bias) {
      const numbers = positions ?? firstPositions(ids.shape[1]!);
      const sum = add(add(words.forward(ids), kinds.forward(types)), places.forward(numbers));
      return this.dropout.forward(this.LayerNorm.forward(sum));
    }
    return bertEmbeddingsNorm(
      this.word_embeddings.weight,
      this.position_embeddings.weight,
      this.token_type_embeddings.weight,
      weight,
      bias,
      ids,
      types,
      { paddingIdx: this.word_embeddings.paddingIdx ?? null, eps, dropoutP: this.dropout.activeP },
    );
  }
}

/** tanh(x₀ · Wᵀ + b): the first token's vector, for classifiers. */
export class BertPooler extends Module {
  readonly dense: Linear;

  constructor({ hidden_size: C }: Pick<EncoderConfig, "hidden_size">) {
    super();
    this.dense = new Linear(C, C);
  }

  forward(x: Tensor): Tensor {
    return tanh(this.dense.forward(select(x, 1, 0)));
  }
}

/** What BERT's models have in common. */
export abstract class BertPreTrainedModel extends PreTrainedModel<BertConfig> {
  static override readonly Config = BertConfig;
  static override readonly baseModelPrefix = "bert";
}

/**
 * BERT without a head.
 * @see https://arxiv.org/abs/1810.04805
 */
export class BertModel extends BertPreTrainedModel {
  static override readonly architecture = "BertModel";
  readonly embeddings: BertEmbeddings;
  readonly encoder: Encoder;
  readonly pooler?: BertPooler;

  /** @param options.addPoolingLayer whether there is a pooler (true unless said otherwise) */
  constructor(config: BertConfig, { addPoolingLayer = true }: { addPoolingLayer?: boolean } = {}) {
    super(config);
    this.embeddings = new BertEmbeddings(config);
    this.encoder = new Encoder(config);
    if (addPoolingLayer) this.pooler = new BertPooler(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, types, mask } = prepareInputs(inputs, this.config);
    return runEncoder(this.encoder, this.embeddings.forward(ids, types), mask, options, this.pooler);
  }
}
