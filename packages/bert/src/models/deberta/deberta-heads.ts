import { Dropout, Linear } from "@gpugrad/nn";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import type { DebertaConfig } from "./deberta-config.ts";
import { DebertaModel, DebertaPreTrainedModel } from "./deberta.ts";
import { classifiedText, classifierDropout, ContextPooler, LegacyMLMHead, MLMHead } from "./head-parts.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

/** DeBERTa with a classifier of whole texts, on the pooled first token. */
export class DebertaForSequenceClassification extends DebertaPreTrainedModel {
  static override readonly architecture = "DebertaForSequenceClassification";
  readonly deberta: DebertaModel;
  readonly pooler: ContextPooler;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: DebertaConfig) {
    super(config);
    this.deberta = new DebertaModel(config);
    this.pooler = new ContextPooler(config);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
    this.dropout = classifierDropout(config);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.deberta.forward(inputs, options);
    const pooler_output = this.pooler.forward(last_hidden_state);
    const logits = this.classifier.forward(this.dropout.forward(pooler_output));
    return classifiedText(this.config, logits, inputs.labels, { ...states, pooler_output });
  }
}

/** DeBERTa with a linear layer on each token. */
export class DebertaForTokenClassification extends DebertaPreTrainedModel {
  static override readonly architecture = "DebertaForTokenClassification";
  readonly deberta: DebertaModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: DebertaConfig) {
    super(config);
    this.deberta = new DebertaModel(config);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.deberta.forward(inputs, options), inputs.labels);
  }
}

/** DeBERTa that finds the answer to a question in a text. */
export class DebertaForQuestionAnswering extends DebertaPreTrainedModel {
  static override readonly architecture = "DebertaForQuestionAnswering";
  readonly deberta: DebertaModel;
  readonly qa_outputs: Linear;

  constructor(config: DebertaConfig) {
    super(config);
    this.deberta = new DebertaModel(config);
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.deberta.forward(inputs, options), inputs);
  }
}

/** DeBERTa that guesses masked words, with one of two heads: see the configuration's `legacy`. */
export class DebertaForMaskedLM extends DebertaPreTrainedModel {
  static override readonly architecture = "DebertaForMaskedLM";
  readonly deberta: DebertaModel;
  readonly cls?: LegacyMLMHead;
  readonly lm_predictions?: MLMHead;

  constructor(config: DebertaConfig) {
    super(config);
    this.deberta = new DebertaModel(config);
    const { word_embeddings } = this.deberta.embeddings;
    if (config.legacy) this.cls = new LegacyMLMHead(config, word_embeddings.weight);
    else this.lm_predictions = new MLMHead(config, () => this.deberta.embeddings.word_embeddings.weight);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords((this.cls ?? this.lm_predictions)!, this.deberta.forward(inputs, options), inputs.labels);
  }
}

export const deberta = family({
  Model: DebertaModel,
  heads: {
    sequenceClassification: DebertaForSequenceClassification,
    tokenClassification: DebertaForTokenClassification,
    questionAnswering: DebertaForQuestionAnswering,
    maskedLM: DebertaForMaskedLM,
  },
});
