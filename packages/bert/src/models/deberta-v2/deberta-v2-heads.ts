import { Dropout, Linear } from "@gpugrad/nn";
import { classifiedText, classifierDropout, ContextPooler, LegacyMLMHead, MLMHead } from "../deberta/head-parts.ts";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import type { DebertaV2Config } from "./deberta-v2-config.ts";
import { DebertaV2Model, DebertaV2PreTrainedModel } from "./deberta-v2.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

/** DeBERTa with a classifier of whole texts, on the pooled first token. */
export class DebertaV2ForSequenceClassification extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2ForSequenceClassification";
  readonly deberta: DebertaV2Model;
  readonly pooler: ContextPooler;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: DebertaV2Config) {
    super(config);
    this.deberta = new DebertaV2Model(config);
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
export class DebertaV2ForTokenClassification extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2ForTokenClassification";
  readonly deberta: DebertaV2Model;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: DebertaV2Config) {
    super(config);
    this.deberta = new DebertaV2Model(config);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.deberta.forward(inputs, options), inputs.labels);
  }
}

/** DeBERTa that finds the answer to a question in a text. */
export class DebertaV2ForQuestionAnswering extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2ForQuestionAnswering";
  readonly deberta: DebertaV2Model;
  readonly qa_outputs: Linear;

  constructor(config: DebertaV2Config) {
    super(config);
    this.deberta = new DebertaV2Model(config);
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.deberta.forward(inputs, options), inputs);
  }
}

/** DeBERTa that chooses one of several continuations, by their first tokens. */
export class DebertaV2ForMultipleChoice extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2ForMultipleChoice";
  readonly deberta: DebertaV2Model;
  readonly pooler: ContextPooler;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: DebertaV2Config) {
    super(config);
    this.deberta = new DebertaV2Model(config);
    this.pooler = new ContextPooler(config);
    this.classifier = new Linear(config.hidden_size, 1);
    this.dropout = classifierDropout(config);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state, ...states } = this.deberta.forward(flat, options);
    const pooler_output = this.pooler.forward(last_hidden_state);
    const scores = this.classifier.forward(this.dropout.forward(pooler_output));
    return chooseOne(scores, choices, inputs.labels, { ...states, pooler_output });
  }
}

/** DeBERTa that guesses masked words, with one of two heads: see the configuration's `legacy`. */
export class DebertaV2ForMaskedLM extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2ForMaskedLM";
  static override readonly ignoredKeys = /position_embeddings|mask_predictions/;
  readonly deberta: DebertaV2Model;
  readonly cls?: LegacyMLMHead;
  readonly lm_predictions?: MLMHead;

  constructor(config: DebertaV2Config) {
    super(config);
    this.deberta = new DebertaV2Model(config);
    const { word_embeddings } = this.deberta.embeddings;
    if (config.legacy) this.cls = new LegacyMLMHead(config, word_embeddings.weight);
    else this.lm_predictions = new MLMHead(config, () => this.deberta.embeddings.word_embeddings.weight);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords((this.cls ?? this.lm_predictions)!, this.deberta.forward(inputs, options), inputs.labels);
  }
}

export const debertaV2 = family({
  Model: DebertaV2Model,
  heads: {
    sequenceClassification: DebertaV2ForSequenceClassification,
    tokenClassification: DebertaV2ForTokenClassification,
    questionAnswering: DebertaV2ForQuestionAnswering,
    multipleChoice: DebertaV2ForMultipleChoice,
    maskedLM: DebertaV2ForMaskedLM,
  },
});
