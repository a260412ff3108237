import { Dropout, Embedding, LayerNorm, maskedBias, Module } from "@gpugrad/nn";
import { add, type Tensor } from "@gpugrad/tensor";
import { BertPooler } from "../bert/bert.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { positionsOfTokens } from "../positions.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { Encoder } from "./encoder.ts";
import { MPNetConfig, PADDING } from "./mpnet-config.ts";

/** The sum of word and position embeddings, then layer norm and dropout, without token types. */
class Embeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor({ vocab_size, hidden_size, max_position_embeddings, layer_norm_eps, hidden_dropout_prob }: MPNetConfig) {
    super();
    this.word_embeddings = new Embedding(vocab_size, hidden_size, PADDING);
    this.position_embeddings = new Embedding(max_position_embeddings, hidden_size, PADDING);
    this.LayerNorm = new LayerNorm(hidden_size, layer_norm_eps);
    this.dropout = new Dropout(hidden_dropout_prob);
  }

  /** @param ids [B, T] @returns [B, T, C] */
  forward(ids: Tensor): Tensor {
    const positions = this.position_embeddings.forward(positionsOfTokens(ids, PADDING));
    return this.dropout.forward(this.LayerNorm.forward(add(this.word_embeddings.forward(ids), positions)));
  }
}

/** What MPNet's models have in common. */
export abstract class MPNetPreTrainedModel extends PreTrainedModel<MPNetConfig> {
  static override readonly Config = MPNetConfig;
  static override readonly baseModelPrefix = "mpnet";
}

/**
 * MPNet without a head: BERT with a bias per head and distance in attention, the same in all layers.
 * @see https://arxiv.org/abs/2004.09297
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/mpnet/modeling_mpnet.py (MPNetModel)
 */
export class MPNetModel extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetModel";
  readonly embeddings: Embeddings;
  readonly encoder: Encoder;
  readonly pooler?: BertPooler;

  /** @param options.addPoolingLayer whether there is a pooler (true unless said otherwise) */
  constructor(config: MPNetConfig, { addPoolingLayer = true }: { addPoolingLayer?: boolean } = {}) {
    super(config);
    this.embeddings = new Embeddings(config);
    this.encoder = new Encoder(config);
    if (addPoolingLayer) this.pooler = new BertPooler(config);
  }

  /** @throws when ids or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, mask } = prepareInputs(inputs, this.config);
    const bias = maskedBias(this.encoder.positionBias(ids.shape[1]!), mask);
    return runEncoder(this.encoder, this.embeddings.forward(ids), bias, options, this.pooler);
  }
}
