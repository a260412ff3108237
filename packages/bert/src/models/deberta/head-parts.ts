import { activation, Dropout, initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import { cast, linear, logSoftmax, mean, mul, neg, select, sum, Tensor } from "@gpugrad/tensor";
import { classified } from "../heads/sequence-classification.ts";
import { arrayOf, toDevice, type ArrayInput } from "../inputs.ts";
import type { HeadOutput, States } from "../outputs.ts";
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

/**
 * What a classifier of whole texts gives, as in every family, but for one thing: where `problem_type` is not set, several targets per text
 * [B, num_labels] are a distribution over the classes, and the loss is −Σ target · log softmax.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta_v2/modeling_deberta_v2.py (DebertaV2ForSequenceClassification)
 */
export function classifiedText<S extends States>(
  config: DebertaConfig,
  logits: Tensor,
  labels: ArrayInput | undefined,
  states: S,
): HeadOutput & S {
  if (labels !== undefined && config.problem_type === null && config.num_labels > 1) {
    const { shape } = labels instanceof Tensor ? labels : arrayOf("labels", labels);
    if (shape.length === 2 && shape[1]! > 1) {
      const targets = labels instanceof Tensor ? cast(labels, "f32") : toDevice("labels", labels, "f32").tensor;
      const loss = neg(mean(sum(mul(logSoftmax(logits), targets), { dim: 1 })));
      return { logits, loss, ...states };
    }
  }
  return classified(config, logits, labels, states);
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
