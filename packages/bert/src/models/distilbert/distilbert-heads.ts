import { activation, Dropout, LayerNorm, Linear } from "@gpugrad/nn";
import { relu, select, type Tensor } from "@gpugrad/tensor";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import type { DistilBertConfig } from "./distilbert-config.ts";
import { DistilBertModel, DistilBertPreTrainedModel, EPS } from "./distilbert.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

interface FirstTokenClassifier {
  readonly pre_classifier: Linear;
  readonly classifier: Linear;
  readonly dropout: Dropout;
}

/** In place of BERT's pooler: dense, ReLU and dropout on the first token, then the classifier. */
function classifyFirstToken({ pre_classifier, classifier, dropout }: FirstTokenClassifier, x: Tensor): Tensor {
  return classifier.forward(dropout.forward(relu(pre_classifier.forward(select(x, 1, 0)))));
}

/** DistilBERT with a classifier of whole texts, on the first token. */
export class DistilBertForSequenceClassification extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertForSequenceClassification";
  readonly distilbert: DistilBertModel;
  readonly pre_classifier: Linear;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: DistilBertConfig) {
    super(config);
    this.distilbert = new DistilBertModel(config);
    this.pre_classifier = new Linear(config.dim, config.dim);
    this.classifier = new Linear(config.dim, config.num_labels);
    this.dropout = new Dropout(config.seq_classif_dropout);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.distilbert.forward(inputs, options);
    return classified(this.config, classifyFirstToken(this, last_hidden_state), inputs.labels, states);
  }
}

/** DistilBERT with a linear layer on each token. */
export class DistilBertForTokenClassification extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertForTokenClassification";
  readonly distilbert: DistilBertModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: DistilBertConfig) {
    super(config);
    this.distilbert = new DistilBertModel(config);
    this.dropout = new Dropout(config.dropout);
    this.classifier = new Linear(config.dim, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.distilbert.forward(inputs, options), inputs.labels);
  }
}

/** DistilBERT that finds the answer to a question in a text. */
export class DistilBertForQuestionAnswering extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertForQuestionAnswering";
  readonly distilbert: DistilBertModel;
  readonly qa_outputs: Linear;
  readonly dropout: Dropout;

  constructor(config: DistilBertConfig) {
    super(config);
    this.distilbert = new DistilBertModel(config);
    this.qa_outputs = new Linear(config.dim, 2);
    this.dropout = new Dropout(config.qa_dropout);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    const { last_hidden_state, ...states } = this.distilbert.forward(inputs, options);
    const dropped = { last_hidden_state: this.dropout.forward(last_hidden_state), ...states };
    return findAnswers(this.qa_outputs, dropped, inputs);
  }
}

/** DistilBERT that chooses one of several continuations. */
export class DistilBertForMultipleChoice extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertForMultipleChoice";
  readonly distilbert: DistilBertModel;
  readonly pre_classifier: Linear;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: DistilBertConfig) {
    super(config);
    this.distilbert = new DistilBertModel(config);
    this.pre_classifier = new Linear(config.dim, config.dim);
    this.classifier = new Linear(config.dim, 1);
    this.dropout = new Dropout(config.seq_classif_dropout);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state, ...states } = this.distilbert.forward(flat, options);
    return chooseOne(classifyFirstToken(this, last_hidden_state), choices, inputs.labels, states);
  }
}

/** DistilBERT that guesses masked words. `vocab_projector.weight` is the word embeddings, unless they are untied. */
export class DistilBertForMaskedLM extends DistilBertPreTrainedModel {
  static override readonly architecture = "DistilBertForMaskedLM";
  readonly distilbert: DistilBertModel;
  readonly vocab_transform: Linear;
  readonly vocab_layer_norm: LayerNorm;
  readonly vocab_projector: Linear;

  constructor(config: DistilBertConfig) {
    super(config);
    this.distilbert = new DistilBertModel(config);
    this.vocab_transform = new Linear(config.dim, config.dim);
    this.vocab_layer_norm = new LayerNorm(config.dim, EPS);
    const tied = config.tie_word_embeddings ? { weight: this.distilbert.embeddings.word_embeddings.weight } : {};
    this.vocab_projector = new Linear(config.dim, config.vocab_size, true, tied);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const act = activation(this.config.activation);
    const forward = (x: Tensor): Tensor =>
      this.vocab_projector.forward(this.vocab_layer_norm.forward(act(this.vocab_transform.forward(x))));
    return guessWords({ forward }, this.distilbert.forward(inputs, options), inputs.labels);
  }
}

export const distilbert = family({
  Model: DistilBertModel,
  heads: {
    sequenceClassification: DistilBertForSequenceClassification,
    tokenClassification: DistilBertForTokenClassification,
    questionAnswering: DistilBertForQuestionAnswering,
    multipleChoice: DistilBertForMultipleChoice,
    maskedLM: DistilBertForMaskedLM,
  },
});
