import { activation, Dropout, LayerNorm, Linear, Module } from "@gpugrad/nn";
import { bceWithLogits, cast, div, gelu, mean, mul, reshape, select, squeeze, sum, type Tensor } from "@gpugrad/tensor";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { ClassificationHead } from "../heads/classification-head.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import { toDevice, type ArrayInput, type ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import type { ElectraConfig } from "./electra-config.ts";
import { ElectraModel, ElectraPreTrainedModel } from "./electra.ts";

// What each head takes and gives is as in BERT, where nothing else is said: see bert-heads.ts.

const dropoutOf = (config: ElectraConfig): number => config.classifier_dropout ?? config.hidden_dropout_prob;

/** ELECTRA with a classifier of whole texts, on the first token. */
export class ElectraForSequenceClassification extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForSequenceClassification";
  readonly electra: ElectraModel;
  readonly classifier: ClassificationHead;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.classifier = new ClassificationHead(config.hidden_size, config.num_labels, dropoutOf(config), "gelu");
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.electra.forward(inputs, options);
    return classified(this.config, this.classifier.forward(last_hidden_state), inputs.labels, states);
  }
}

/** ELECTRA with a linear layer on each token. */
export class ElectraForTokenClassification extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForTokenClassification";
  readonly electra: ElectraModel;
  readonly dropout: Dropout;
  readonly classifier: Linear;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.dropout = new Dropout(dropoutOf(config));
    this.classifier = new Linear(config.hidden_size, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    return classifyTokens(this, this.electra.forward(inputs, options), inputs.labels);
  }
}

/** ELECTRA that finds the answer to a question in a text. */
export class ElectraForQuestionAnswering extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForQuestionAnswering";
  readonly electra: ElectraModel;
  readonly qa_outputs: Linear;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.qa_outputs = new Linear(config.hidden_size, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    return findAnswers(this.qa_outputs, this.electra.forward(inputs, options), inputs);
  }
}

/** One vector for a text, as the configuration's `summary_…` fields say. */
class SequenceSummary extends Module {
  readonly summary?: Linear;
  readonly last_dropout: Dropout;
  readonly #config: ElectraConfig;

  constructor(config: ElectraConfig) {
    super();
    if (config.summary_use_proj) this.summary = new Linear(config.hidden_size, config.hidden_size);
    this.last_dropout = new Dropout(config.summary_last_dropout);
    this.#config = config;
  }

  /** @param x [B, T, C] @returns [B, C] */
  forward(x: Tensor): Tensor {
    const { summary_type, summary_activation } = this.#config;
    const token = summary_type === "mean" ? mean(x, { dim: 1 }) : select(x, 1, summary_type === "first" ? 0 : -1);
    const projected = this.summary?.forward(token) ?? token;
    return this.last_dropout.forward(activation(summary_activation)(projected));
  }
}

/** ELECTRA that chooses one of several continuations. */
export class ElectraForMultipleChoice extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForMultipleChoice";
  readonly electra: ElectraModel;
  readonly sequence_summary: SequenceSummary;
  readonly classifier: Linear;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.sequence_summary = new SequenceSummary(config);
    this.classifier = new Linear(config.hidden_size, 1);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const { last_hidden_state, ...states } = this.electra.forward(flat, options);
    const scores = this.classifier.forward(this.sequence_summary.forward(last_hidden_state));
    return chooseOne(scores, choices, inputs.labels, states);
  }
}

/** From hidden states to the width of the embeddings: dense, GELU, layer norm. */
class GeneratorPredictions extends Module {
  readonly LayerNorm: LayerNorm;
  readonly dense: Linear;

  constructor({ embedding_size, hidden_size, layer_norm_eps }: ElectraConfig) {
    super();
    this.LayerNorm = new LayerNorm(embedding_size, layer_norm_eps);
    this.dense = new Linear(hidden_size, embedding_size);
  }

  forward(x: Tensor): Tensor {
    return this.LayerNorm.forward(gelu(this.dense.forward(x)));
  }
}

/** ELECTRA's generator, which guesses masked words. `generator_lm_head.weight` is the word embeddings, unless they are untied. */
export class ElectraForMaskedLM extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForMaskedLM";
  readonly electra: ElectraModel;
  readonly generator_predictions: GeneratorPredictions;
  readonly generator_lm_head: Linear;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.generator_predictions = new GeneratorPredictions(config);
    const tied = config.tie_word_embeddings ? { weight: this.electra.embeddings.word_embeddings.weight } : {};
    this.generator_lm_head = new Linear(config.embedding_size, config.vocab_size, true, tied);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const forward = (x: Tensor): Tensor => this.generator_lm_head.forward(this.generator_predictions.forward(x));
    return guessWords({ forward }, this.electra.forward(inputs, options), inputs.labels);
  }
}

/** A score per token, of having been replaced: dense, activation, one number. */
class DiscriminatorPredictions extends Module {
  readonly dense: Linear;
  readonly dense_prediction: Linear;
  readonly #act: string;

  constructor({ hidden_size, hidden_act }: ElectraConfig) {
    super();
    this.dense = new Linear(hidden_size, hidden_size);
    this.dense_prediction = new Linear(hidden_size, 1);
    this.#act = hidden_act;
  }

  /** @param x [B, T, C] @returns [B, T] */
  forward(x: Tensor): Tensor {
    return squeeze(this.dense_prediction.forward(activation(this.#act)(this.dense.forward(x))), -1);
  }
}

/** ELECTRA's discriminator as it was first trained: it predicts which words a generator has replaced. */
export class ElectraForPreTraining extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraForPreTraining";
  readonly electra: ElectraModel;
  readonly discriminator_predictions: DiscriminatorPredictions;

  constructor(config: ElectraConfig) {
    super(config);
    this.electra = new ElectraModel(config);
    this.discriminator_predictions = new DiscriminatorPredictions(config);
  }

  /**
   * @param inputs `labels` [B, T]: 1 where a word was replaced, 0 where it is the text's own; those of padding do not count
   * @returns logits [B, T], and the mean loss over all tokens
   */
  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, hidden_states, attentions } = this.electra.forward(inputs, options);
    const logits = this.discriminator_predictions.forward(last_hidden_state);
    if (inputs.labels === undefined) return { logits, hidden_states, attentions };
    const loss = replacedTokenLoss(logits, inputs.labels, inputs.attention_mask);
    return { logits, loss, hidden_states, attentions };
  }
}

/** The mean binary cross-entropy over the tokens that are not padding. All three are [B, T]. */
function replacedTokenLoss(logits: Tensor, labels: ArrayInput, mask: ArrayInput | undefined): Tensor {
  const target = cast(reshape(toDevice("labels", labels, "i32").tensor, logits.shape), "f32");
  if (mask === undefined) return bceWithLogits(logits, target);
  const counts = cast(reshape(toDevice("attention_mask", mask, "i32").tensor, logits.shape), "f32");
  return div(sum(mul(bceWithLogits(logits, target, { reduction: "none" }), counts)), sum(counts));
}

export const electra = family({
  Model: ElectraModel,
  heads: {
    sequenceClassification: ElectraForSequenceClassification,
    tokenClassification: ElectraForTokenClassification,
    questionAnswering: ElectraForQuestionAnswering,
    multipleChoice: ElectraForMultipleChoice,
    maskedLM: ElectraForMaskedLM,
    preTraining: ElectraForPreTraining,
  },
});
