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
import type { MPNetConfig } from "./mpnet-config.ts";
import { MPNetModel, MPNetPreTrainedModel } from "./mpnet.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

/** MPNet with a classifier of whole texts, on the first token. */
export class MPNetForSequenceClassification extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetForSequenceClassification";
  readonly mpnet: MPNetModel;
  readonly classifier: ClassificationHead;

  constructor(config: MPNetConfig) {
    super(config);
    this.mpnet = new MPNetModel(config, { addPoolingLayer: false });
    this.classifier = new ClassificationHead(config.hidden_size, config.num_labels, config.hidden_dropout_prob, "tanh");
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.mpnet.forward(inputs, options);
    return classified(this.config, this.classifier.forward(last_hidden_state), inputs.labels, states);
  }
}

/** MPNet with a linear layer on each token. */
export class MPNetForTokenClassification extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetForTokenClassification";
  readonly mpnet: MPNetModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: MPNetConfig) {
    super(config);
    this.mpnet = new MPNetModel(config, { addPoolingLayer: false });
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.mpnet.forward(inputs, options), inputs.labels);
  }
}

/** MPNet that finds the answer to a question in a text. */
export class MPNetForQuestionAnswering extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetForQuestionAnswering";
  readonly mpnet: MPNetModel;
  readonly qa_outputs: Linear;

  constructor(config: MPNetConfig) {
    super(config);
    this.mpnet = new MPNetModel(config, { addPoolingLayer: false });
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.mpnet.forward(inputs, options), inputs);
  }
}

/** MPNet that chooses one of several continuations. */
export class MPNetForMultipleChoice extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetForMultipleChoice";
  readonly mpnet: MPNetModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: MPNetConfig) {
    super(config);
    this.mpnet = new MPNetModel(config);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.classifier = new Linear(config.hidden_size, 1);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state: _, pooler_output, ...states } = this.mpnet.forward(flat, options);
    const scores = this.classifier.forward(this.dropout.forward(pooler_output!));
    return chooseOne(scores, choices, inputs.labels, { ...states, pooler_output: pooler_output! });
  }
}

/** MPNet that guesses masked words. */
export class MPNetForMaskedLM extends MPNetPreTrainedModel {
  static override readonly architecture = "MPNetForMaskedLM";
  readonly mpnet: MPNetModel;
  readonly lm_head: LMHead;

  constructor(config: MPNetConfig) {
    super(config);
    this.mpnet = new MPNetModel(config, { addPoolingLayer: false });
    this.lm_head = new LMHead(config, this.mpnet.embeddings.word_embeddings.weight);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return guessWords(this.lm_head, this.mpnet.forward(inputs, options), inputs.labels);
  }
}

export const mpnet = family({
  Model: MPNetModel,
  heads: {
    sequenceClassification: MPNetForSequenceClassification,
    tokenClassification: MPNetForTokenClassification,
    questionAnswering: MPNetForQuestionAnswering,
    multipleChoice: MPNetForMultipleChoice,
    maskedLM: MPNetForMaskedLM,
  },
});
