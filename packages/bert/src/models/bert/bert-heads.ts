import { activation, Dropout, initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import type { Tensor } from "@gpugrad/tensor";
import { family } from "../family.ts";
import { maskedLMLoss } from "../heads/masked-lm.ts";
import { sequenceClassificationLoss } from "../heads/sequence-classification.ts";
import type { ArrayInput, ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions } from "../outputs.ts";
import type { BertConfig } from "./bert-config.ts";
import { BertModel, BertPreTrainedModel } from "./bert.ts";

/**
 * BERT with a linear layer on the pooled first token: for one label, several labels, or a number.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py (BertForSequenceClassification)
 */
export class BertForSequenceClassification extends BertPreTrainedModel {
  static override readonly architecture = "BertForSequenceClassification";
  readonly bert: BertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config);
    this.dropout = new Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  /**
   * @param inputs `labels`: class numbers [B]; or targets [B, num_labels] in [0, 1] for several labels; or [B] for a number
   * @returns logits [B, num_labels], and the loss when there are labels
   */
  forward(inputs: ModelInputs & { labels?: ArrayInput | undefined }, options: OutputOptions = {}): HeadOutput {
    const { pooler_output, hidden_states, attentions } = this.bert.forward(inputs, options);
    const logits = this.classifier.forward(this.dropout.forward(pooler_output!));
    const loss =
      inputs.labels === undefined ? undefined : sequenceClassificationLoss(this.config, logits, inputs.labels);
    return { logits, ...(loss && { loss }), hidden_states, attentions, pooler_output: pooler_output! };
  }
}

/** dense, activation, layer norm: what comes before the decoder. */
class PredictionTransform extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;
  readonly #act: string;

  constructor(config: BertConfig) {
    super();
    this.dense = new Linear(config.hidden_size, config.hidden_size);
    this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.#act = config.hidden_act;
  }

  forward(x: Tensor): Tensor {
    return this.LayerNorm.forward(activation(this.#act)(this.dense.forward(x)));
  }
}

/** From hidden states to a score for each word. `decoder.weight` is the word embeddings, unless they are untied. */
class PredictionHead extends Module {
  readonly bias: Tensor; // [V]
  readonly transform: PredictionTransform;
  readonly decoder: Linear;

  constructor(config: BertConfig, wordEmbeddings: Tensor) {
    super();
    const { hidden_size: C, vocab_size: V } = config;
    this.bias = parameter([V], initializers.zeros);
    this.transform = new PredictionTransform(config);
    const tied = config.tie_word_embeddings ? { weight: wordEmbeddings, bias: this.bias } : {};
    this.decoder = new Linear(C, V, true, tied);
  }

  forward(x: Tensor): Tensor {
    return this.decoder.forward(this.transform.forward(x));
  }
}

class OnlyMaskedLMHead extends Module {
  readonly predictions: PredictionHead;

  constructor(config: BertConfig, wordEmbeddings: Tensor) {
    super();
    this.predictions = new PredictionHead(config, wordEmbeddings);
  }
}

/**
 * BERT that guesses masked words.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py (BertForMaskedLM)
 */
export class BertForMaskedLM extends BertPreTrainedModel {
  static override readonly architecture = "BertForMaskedLM";
  readonly bert: BertModel;
  readonly cls: OnlyMaskedLMHead;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config, { addPoolingLayer: false });
    this.cls = new OnlyMaskedLMHead(config, this.bert.embeddings.word_embeddings.weight);
  }

  /**
   * @param inputs `labels` [B, T]: the words to guess, −100 where there is nothing to guess
   * @returns logits [B, T, V], and the mean loss over what was to be guessed
   */
  forward(inputs: ModelInputs & { labels?: ArrayInput | undefined }, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, hidden_states, attentions } = this.bert.forward(inputs, options);
    const logits = this.cls.predictions.forward(last_hidden_state);
    if (inputs.labels === undefined) return { logits, hidden_states, attentions };
    return { logits, loss: maskedLMLoss(logits, inputs.labels), hidden_states, attentions };
  }
}

export const bert = family({
  Model: BertModel,
  heads: { sequenceClassification: BertForSequenceClassification, maskedLM: BertForMaskedLM },
});
