import { activation, Dropout, initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import type { Tensor } from "@gpugrad/tensor";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { preTrainingLoss, sentencePairLoss } from "../heads/sentence-pair.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ArrayInput, ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, PreTrainingOutput, QuestionAnsweringOutput } from "../outputs.ts";
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
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { pooler_output, hidden_states, attentions } = this.bert.forward(inputs, options);
    const logits = this.classifier.forward(this.dropout.forward(pooler_output!));
    const states = { hidden_states, attentions, pooler_output: pooler_output! };
    return classified(this.config, logits, inputs.labels, states);
  }
}

/** BERT with a linear layer on each token: for tags, such as names of people and places. */
export class BertForTokenClassification extends BertPreTrainedModel {
  static override readonly architecture = "BertForTokenClassification";
  readonly bert: BertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config, { addPoolingLayer: false });
    this.dropout = new Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  /**
   * @param inputs `labels` [B, T]: class numbers, −100 for tokens that do not count
   * @returns logits [B, T, num_labels], and the mean loss over the tokens that count
   */
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.bert.forward(inputs, options), inputs.labels);
  }
}

/** BERT that finds the answer to a question in a text: the first and the last of its tokens. */
export class BertForQuestionAnswering extends BertPreTrainedModel {
  static override readonly architecture = "BertForQuestionAnswering";
  readonly bert: BertModel;
  readonly qa_outputs: Linear;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config, { addPoolingLayer: false });
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  /**
   * @param inputs `start_positions` and `end_positions` [B]: numbers of tokens; those beyond the text do not count
   * @returns start_logits and end_logits [B, T], and the mean of both losses
   */
  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.bert.forward(inputs, options), inputs);
  }
}

/** BERT that chooses one of several continuations. */
export class BertForMultipleChoice extends BertPreTrainedModel {
  static override readonly architecture = "BertForMultipleChoice";
  readonly bert: BertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config);
    this.dropout = new Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, 1);
  }

  /**
   * @param inputs [B, choices, T] each; `labels` [B]: the number of the right choice
   * @returns logits [B, choices], and the loss when there are labels
   */
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { pooler_output, hidden_states, attentions } = this.bert.forward(flat, options);
    const scores = this.classifier.forward(this.dropout.forward(pooler_output!));
    const states = { hidden_states, attentions, pooler_output: pooler_output! };
    return chooseOne(scores, choices, inputs.labels, states);
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

class OnlyNextSentenceHead extends Module {
  readonly seq_relationship: Linear;

  constructor(config: BertConfig) {
    super();
    this.seq_relationship = new Linear(config.hidden_size, 2);
  }
}

class PreTrainingHeads extends Module {
  readonly predictions: PredictionHead;
  readonly seq_relationship: Linear;

  constructor(config: BertConfig, wordEmbeddings: Tensor) {
    super();
    this.predictions = new PredictionHead(config, wordEmbeddings);
    this.seq_relationship = new Linear(config.hidden_size, 2);
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
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords(this.cls.predictions, this.bert.forward(inputs, options), inputs.labels);
  }
}

/** BERT that predicts whether the second text of a pair follows the first. */
export class BertForNextSentencePrediction extends BertPreTrainedModel {
  static override readonly architecture = "BertForNextSentencePrediction";
  readonly bert: BertModel;
  readonly cls: OnlyNextSentenceHead;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config);
    this.cls = new OnlyNextSentenceHead(config);
  }

  /**
   * @param inputs `labels` [B]: 0 where the second text follows the first, 1 where it doesn't
   * @returns logits [B, 2], and the loss when there are labels
   */
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { pooler_output, hidden_states, attentions } = this.bert.forward(inputs, options);
    const logits = this.cls.seq_relationship.forward(pooler_output!);
    const { labels } = inputs;
    const loss = labels === undefined ? undefined : sentencePairLoss("labels", logits, labels);
    return { logits, ...(loss && { loss }), hidden_states, attentions, pooler_output: pooler_output! };
  }
}

/** BERT as it was first trained: it guesses masked words, and whether the second text follows the first. */
export class BertForPreTraining extends BertPreTrainedModel {
  static override readonly architecture = "BertForPreTraining";
  readonly bert: BertModel;
  readonly cls: PreTrainingHeads;

  constructor(config: BertConfig) {
    super(config);
    this.bert = new BertModel(config);
    this.cls = new PreTrainingHeads(config, this.bert.embeddings.word_embeddings.weight);
  }

  /**
   * @param inputs `labels` [B, T]: the words to guess, −100 where there is nothing to guess; `next_sentence_label` [B]: 0 where the second
   * text follows the first
   * @returns prediction_logits [B, T, V], seq_relationship_logits [B, 2], and the sum of both losses when there are both kinds of labels
   */
  forward(
    inputs: ModelInputs & Labels & { next_sentence_label?: ArrayInput | undefined },
    options: OutputOptions = {},
  ): PreTrainingOutput {
    const { last_hidden_state, pooler_output, ...states } = this.bert.forward(inputs, options);
    const prediction_logits = this.cls.predictions.forward(last_hidden_state);
    const seq_relationship_logits = this.cls.seq_relationship.forward(pooler_output!);
    const loss = preTrainingLoss(
      { logits: prediction_logits, labels: inputs.labels },
      { name: "next_sentence_label", logits: seq_relationship_logits, labels: inputs.next_sentence_label },
    );
    return {
      prediction_logits,
      seq_relationship_logits,
      ...(loss && { loss }),
      ...states,
      pooler_output: pooler_output!,
    };
  }
}

export const bert = family({
  Model: BertModel,
  heads: {
    sequenceClassification: BertForSequenceClassification,
    tokenClassification: BertForTokenClassification,
    questionAnswering: BertForQuestionAnswering,
    multipleChoice: BertForMultipleChoice,
    maskedLM: BertForMaskedLM,
    nextSentencePrediction: BertForNextSentencePrediction,
    preTraining: BertForPreTraining,
  },
});
