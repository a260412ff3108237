import { activation, Dropout, initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import { linear, select, type Tensor } from "@gpugrad/tensor";
import type { DebertaConfig } from "./deberta-config.ts";

// Parts of heads that both versions have.

/** act(dense(x₀)) with dropout before: the first token's vector, for classifiers. */
export class ContextPooler extends Module {
  readonly dense: Linear;
  readonly dropout: Dropout;
  readonly #act: string;

  constructor({ pooler_hidden_size: C, pooler_dropout, pooler_hidden_act }: DebertaConfig) {
    super();
    this.dense = new Linear(C, C);
    this.dropout = new Dropout(pooler_dropout);
    this.#act = pooler_hidden_act;
  }

  forward(x: Tensor): Tensor {
    return activation(this.#act)(this.dense.forward(this.dropout.forward(select(x, 1, 0))));
  }
}

export const classifierDropout = ({ cls_dropout, hidden_dropout_prob }: DebertaConfig): Dropout =>
  new Dropout(cls_dropout ?? hidden_dropout_prob);

/** dense, activation, layer norm: from the hidden size to the width of the embeddings. */
class PredictionTransform extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;
  readonly #act: string;

  constructor({ hidden_size, embeddingSize, layer_norm_eps, hidden_act }: DebertaConfig) {
    super();
    this.dense = new Linear(hidden_size, embeddingSize);
    this.LayerNorm = new LayerNorm(embeddingSize, layer_norm_eps);
    this.#act = hidden_act;
  }

  forward(x: Tensor): Tensor {
    return this.LayerNorm.forward(activation(this.#act)(this.dense.forward(x)));
  }
}

/** BERT's head. `decoder.weight` is the word embeddings, unless they are untied. */
class LegacyPredictionHead extends Module {
  readonly bias: Tensor; // [V]
  readonly transform: PredictionTransform;
  readonly decoder: Linear;

  constructor(config: DebertaConfig, wordEmbeddings: Tensor) {
    super();
    const { embeddingSize, vocab_size: V, tie_word_embeddings } = config;
    this.bias = parameter([V], initializers.zeros);
    this.transform = new PredictionTransform(config);
    const tied = tie_word_embeddings ? { weight: wordEmbeddings, bias: this.bias } : {};
    this.decoder = new Linear(embeddingSize, V, true, tied);
  }

  forward(x: Tensor): Tensor {
    return this.decoder.forward(this.transform.forward(x));
  }
}

export class LegacyMLMHead extends Module {
  readonly predictions: LegacyPredictionHead;

  constructor(config: DebertaConfig, wordEmbeddings: Tensor) {
    super();
    this.predictions = new LegacyPredictionHead(config, wordEmbeddings);
  }

  forward(x: Tensor): Tensor {
    return this.predictions.forward(x);
  }
}

/** The head that DeBERTa was trained with: dense, activation, layer norm, and a product with the word embeddings. */
class PredictionHead extends PredictionTransform {
  readonly bias: Tensor; // [V]

  constructor(config: DebertaConfig) {
    super(config);
    this.bias = parameter([config.vocab_size], initializers.zeros);
  }
}

export class MLMHead extends Module {
  readonly lm_head: PredictionHead;
  readonly #words: () => Tensor;

  /** @param words the word embeddings, [V, C] */
  constructor(config: DebertaConfig, words: () => Tensor) {
    super();
    this.lm_head = new PredictionHead(config);
    this.#words = words;
  }

  forward(x: Tensor): Tensor {
    return linear(this.lm_head.forward(x), this.#words(), this.lm_head.bias);
  }
}
