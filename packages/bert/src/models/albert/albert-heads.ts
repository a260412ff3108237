import { activation, Dropout, initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import type { Tensor } from "@gpugrad/tensor";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { preTrainingLoss } from "../heads/sentence-pair.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ArrayInput, ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput, States } from "../outputs.ts";
import type { AlbertConfig } from "./albert-config.ts";
import { AlbertModel, AlbertPreTrainedModel } from "./albert.ts";

// What each head takes and gives is as in BERT, where nothing else is said: see bert-heads.ts.

/** ALBERT with a linear layer on the pooled first token. */
export class AlbertForSequenceClassification extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForSequenceClassification";
  readonly albert: AlbertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config);
    this.dropout = new Dropout(config.classifier_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state: _, pooler_output, ...states } = this.albert.forward(inputs, options);
    const logits = this.classifier.forward(this.dropout.forward(pooler_output!));
    return classified(this.config, logits, inputs.labels, { ...states, pooler_output: pooler_output! });
  }
}

/** ALBERT with a linear layer on each token. */
export class AlbertForTokenClassification extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForTokenClassification";
  readonly albert: AlbertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config, { addPoolingLayer: false });
    this.dropout = new Dropout(config.classifier_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.albert.forward(inputs, options), inputs.labels);
  }
}

/** ALBERT that finds the answer to a question in a text. */
export class AlbertForQuestionAnswering extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForQuestionAnswering";
  readonly albert: AlbertModel;
  readonly qa_outputs: Linear;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config, { addPoolingLayer: false });
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.albert.forward(inputs, options), inputs);
  }
}

/** ALBERT that chooses one of several continuations. */
export class AlbertForMultipleChoice extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForMultipleChoice";
  readonly albert: AlbertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config);
    this.dropout = new Dropout(config.classifier_dropout_prob);
    this.classifier = new Linear(config.hidden_size, 1);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state: _, pooler_output, ...states } = this.albert.forward(flat, options);
    const scores = this.classifier.forward(this.dropout.forward(pooler_output!));
    return chooseOne(scores, choices, inputs.labels, { ...states, pooler_output: pooler_output! });
  }
}

/**
 * From hidden states to a score for each word: dense to the width of the embeddings, activation, layer norm, and the word embeddings
 * again, unless they are untied.
 */
class MLMHead extends Module {
  readonly LayerNorm: LayerNorm;
  readonly bias: Tensor; // [V]
  readonly dense: Linear;
  readonly decoder: Linear;
  readonly #act: string;

  constructor(config: AlbertConfig, wordEmbeddings: Tensor) {
    super();
    const { embedding_size: E, hidden_size: C, vocab_size: V } = config;
    this.LayerNorm = new LayerNorm(E, config.layer_norm_eps);
    this.bias = parameter([V], initializers.zeros);
    this.dense = new Linear(C, E);
    const tied = config.tie_word_embeddings ? { weight: wordEmbeddings, bias: this.bias } : {};
    this.decoder = new Linear(E, V, true, tied);
    this.#act = config.hidden_act;
  }

  forward(x: Tensor): Tensor {
    return this.decoder.forward(this.LayerNorm.forward(activation(this.#act)(this.dense.forward(x))));
  }
}

/** ALBERT that guesses masked words. */
export class AlbertForMaskedLM extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForMaskedLM";
  readonly albert: AlbertModel;
  readonly predictions: MLMHead;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config, { addPoolingLayer: false });
    this.predictions = new MLMHead(config, this.albert.embeddings.word_embeddings.weight);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords(this.predictions, this.albert.forward(inputs, options), inputs.labels);
  }
}

/** Whether two sentences are in their order, from the pooled first token. */
class SentenceOrderHead extends Module {
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: AlbertConfig) {
    super();
    this.dropout = new Dropout(config.classifier_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(pooled: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(pooled));
  }
}

/** What ALBERT's pre-training gives. */
export interface AlbertForPreTrainingOutput extends States {
  prediction_logits: Tensor; // [B, T, V]
  sop_logits: Tensor; // [B, 2]
  /** The sum of the two losses, when both kinds of labels are given. */
  loss?: Tensor;
  pooler_output?: Tensor;
}

/** ALBERT as it was first trained: it guesses masked words, and whether two sentences are in their order. */
export class AlbertForPreTraining extends AlbertPreTrainedModel {
  static override readonly architecture = "AlbertForPreTraining";
  readonly albert: AlbertModel;
  readonly predictions: MLMHead;
  readonly sop_classifier: SentenceOrderHead;

  constructor(config: AlbertConfig) {
    super(config);
    this.albert = new AlbertModel(config);
    this.predictions = new MLMHead(config, this.albert.embeddings.word_embeddings.weight);
    this.sop_classifier = new SentenceOrderHead(config);
  }

  /**
   * @param inputs `labels` [B, T]: the words to guess, −100 where there is nothing to guess; `sentence_order_label` [B]: 0 where the two
   * sentences are in their order, 1 where they are swapped
   */
  forward(
    inputs: ModelInputs & Labels & { sentence_order_label?: ArrayInput | undefined },
    options: OutputOptions = {},
  ): AlbertForPreTrainingOutput {
    const { last_hidden_state, pooler_output, ...states } = this.albert.forward(inputs, options);
    const prediction_logits = this.predictions.forward(last_hidden_state);
    const sop_logits = this.sop_classifier.forward(pooler_output!);
    const loss = preTrainingLoss(
      { logits: prediction_logits, labels: inputs.labels },
      { name: "sentence_order_label", logits: sop_logits, labels: inputs.sentence_order_label },
    );
    return { prediction_logits, sop_logits, ...(loss && { loss }), ...states, pooler_output: pooler_output! };
  }
}

export const albert = family({
  Model: AlbertModel,
  heads: {
    sequenceClassification: AlbertForSequenceClassification,
    tokenClassification: AlbertForTokenClassification,
    questionAnswering: AlbertForQuestionAnswering,
    multipleChoice: AlbertForMultipleChoice,
    maskedLM: AlbertForMaskedLM,
    preTraining: AlbertForPreTraining,
  },
});
