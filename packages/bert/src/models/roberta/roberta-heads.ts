import { Dropout, Linear } from "@gpugrad/nn";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { ClassificationHead } from "../heads/classification-head.ts";
import { LMHead } from "../heads/lm-head.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import type { ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import type { RobertaConfig } from "./roberta-config.ts";
import { RobertaModel, RobertaPreTrainedModel } from "./roberta.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

const dropoutOf = (config: RobertaConfig): number => config.classifier_dropout ?? config.hidden_dropout_prob;

/** RoBERTa with a classifier of whole texts, on the first token. */
export class RobertaForSequenceClassification extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaForSequenceClassification";
  readonly roberta: RobertaModel;
  readonly classifier: ClassificationHead;

  constructor(config: RobertaConfig) {
    super(config);
    this.roberta = new RobertaModel(config, { addPoolingLayer: false });
    this.classifier = new ClassificationHead(config.hidden_size, config.num_labels, dropoutOf(config), "tanh");
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.roberta.forward(inputs, options);
    return classified(this.config, this.classifier.forward(last_hidden_state), inputs.labels, states);
  }
}

/** RoBERTa with a linear layer on each token. */
export class RobertaForTokenClassification extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaForTokenClassification";
  readonly roberta: RobertaModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: RobertaConfig) {
    super(config);
    this.roberta = new RobertaModel(config, { addPoolingLayer: false });
    this.dropout = new Dropout(dropoutOf(config));
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.roberta.forward(inputs, options), inputs.labels);
  }
}

/** RoBERTa that finds the answer to a question in a text. */
export class RobertaForQuestionAnswering extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaForQuestionAnswering";
  readonly roberta: RobertaModel;
  readonly qa_outputs: Linear;

  constructor(config: RobertaConfig) {
    super(config);
    this.roberta = new RobertaModel(config, { addPoolingLayer: false });
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.roberta.forward(inputs, options), inputs);
  }
}

/** RoBERTa that chooses one of several continuations. */
export class RobertaForMultipleChoice extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaForMultipleChoice";
  readonly roberta: RobertaModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: RobertaConfig) {
    super(config);
    this.roberta = new RobertaModel(config);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, 1);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state: _, pooler_output, ...states } = this.roberta.forward(flat, options);
    const scores = this.classifier.forward(this.dropout.forward(pooler_output!));
    return chooseOne(scores, choices, inputs.labels, { ...states, pooler_output: pooler_output! });
  }
}

/** RoBERTa that guesses masked words. */
export class RobertaForMaskedLM extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaForMaskedLM";
  readonly roberta: RobertaModel;
  readonly lm_head: LMHead;

  constructor(config: RobertaConfig) {
    super(config);
    this.roberta = new RobertaModel(config, { addPoolingLayer: false });
    this.lm_head = new LMHead(config, this.roberta.embeddings.word_embeddings.weight);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords(this.lm_head, this.roberta.forward(inputs, options), inputs.labels);
  }
}

export const roberta = family({
  Model: RobertaModel,
  heads: {
    sequenceClassification: RobertaForSequenceClassification,
    tokenClassification: RobertaForTokenClassification,
    questionAnswering: RobertaForQuestionAnswering,
    multipleChoice: RobertaForMultipleChoice,
    maskedLM: RobertaForMaskedLM,
  },
});
