import { activation, Dropout, Linear, Module, type LayerNorm } from "@gpugrad/nn";
import {
  argmax,
  cast,
  check,
  div,
  gather,
  expand,
  mul,
  mean,
  reshape,
  select,
  sum,
  type Tensor,
} from "@gpugrad/tensor";
import { family, type AnswerPositions, type Labels } from "../family.ts";
import { guessWords } from "../heads/masked-lm.ts";
import { chooseOne, flattenChoices } from "../heads/multiple-choice.ts";
import { findAnswers } from "../heads/question-answering.ts";
import { classified } from "../heads/sequence-classification.ts";
import { classifyTokens } from "../heads/token-classification.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { HeadOutput, OutputOptions, QuestionAnsweringOutput } from "../outputs.ts";
import { beginTruncated } from "./initializers.ts";
import { newNorm } from "./layers.ts";
import type { ModernBertConfig } from "./modernbert-config.ts";
import { ModernBertModel, ModernBertPreTrainedModel } from "./modernbert.ts";

// What each head takes and gives is as in BERT: see bert-heads.ts.

/** dense, activation, norm: what comes before the last layer of every head. */
class PredictionHead extends Module {
  readonly dense: Linear<boolean>;
  readonly norm: LayerNorm;
  readonly #act: string;

  constructor(config: ModernBertConfig) {
    super();
    const { hidden_size: C, classifier_bias, classifier_activation } = config;
    this.dense = beginTruncated(new Linear(C, C, classifier_bias), config, "out");
    this.norm = newNorm(config);
    this.#act = classifier_activation;
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(activation(this.#act)(this.dense.forward(x)));
  }
}

/** A model with a classifier of any kind: the same four parts, with so many outputs. */
abstract class ModernBertClassifier extends ModernBertPreTrainedModel {
  readonly model: ModernBertModel;
  readonly head: PredictionHead;
  readonly drop: Dropout;
  readonly classifier: Linear;

  constructor(config: ModernBertConfig, outputs: number) {
    super(config);
    this.model = new ModernBertModel(config);
    this.head = new PredictionHead(config);
    this.drop = new Dropout(config.classifier_dropout);
    this.classifier = beginTruncated(new Linear(config.hidden_size, outputs), config, "final_out");
  }

  /** The scores of whole texts: of their first token, or of the mean of their tokens. */
  protected scoreTexts(pooled: Tensor): Tensor {
    return this.classifier.forward(this.drop.forward(this.head.forward(pooled)));
  }
}

/** The mean of the tokens, padding left out: [B, T, C] → [B, C]. */
function meanOfTokens(x: Tensor, mask: Tensor | undefined): Tensor {
  if (!mask) return mean(x, { dim: 1 });
  const weights = reshape(cast(mask, "f32"), [x.shape[0]!, x.shape[1]!, 1]);
  return div(sum(mul(x, weights), { dim: 1 }), sum(weights, { dim: 1 }));
}

/** ModernBERT with a classifier of whole texts. */
export class ModernBertForSequenceClassification extends ModernBertClassifier {
  static override readonly architecture = "ModernBertForSequenceClassification";

  constructor(config: ModernBertConfig) {
    super(config, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const prepared = prepareInputs(inputs, this.config);
    const { last_hidden_state, ...states } = this.model.compute(prepared, options);
    const isMean = this.config.classifier_pooling === "mean";
    const pooled = isMean ? meanOfTokens(last_hidden_state, prepared.mask) : select(last_hidden_state, 1, 0);
    return classified(this.config, this.scoreTexts(pooled), inputs.labels, states);
  }
}

/** ModernBERT with a classifier of each token. */
export class ModernBertForTokenClassification extends ModernBertClassifier {
  static override readonly architecture = "ModernBertForTokenClassification";

  constructor(config: ModernBertConfig) {
    super(config, config.num_labels);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { last_hidden_state, ...states } = this.model.forward(inputs, options);
    const { config, drop: dropout, classifier } = this;
    const headed = { last_hidden_state: this.head.forward(last_hidden_state), ...states };
    return classifyTokens({ config, dropout, classifier }, headed, inputs.labels);
  }
}

/** ModernBERT that finds the answer to a question in a text. */
export class ModernBertForQuestionAnswering extends ModernBertClassifier {
  static override readonly architecture = "ModernBertForQuestionAnswering";

  constructor(config: ModernBertConfig) {
    super(config, 2);
  }

  forward(inputs: ModelInputs & AnswerPositions, options: OutputOptions = {}): QuestionAnsweringOutput {
    const { last_hidden_state, ...states } = this.model.forward(inputs, options);
    const headed = { last_hidden_state: this.drop.forward(this.head.forward(last_hidden_state)), ...states };
    return findAnswers(this.classifier, headed, inputs);
  }
}

/** ModernBERT that chooses one of several continuations. */
export class ModernBertForMultipleChoice extends ModernBertClassifier {
  static override readonly architecture = "ModernBertForMultipleChoice";

  constructor(config: ModernBertConfig) {
    super(config, 1);
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const { flat, choices } = flattenChoices(inputs);
    const prepared = prepareInputs(flat, this.config);
    const { last_hidden_state, ...states } = this.model.compute(prepared, options);
    const isMean = this.config.classifier_pooling === "mean";
    const pooled = isMean ? meanOfTokens(last_hidden_state, prepared.mask) : firstTokens(last_hidden_state, prepared.mask); // prettier-ignore
    return chooseOne(this.scoreTexts(pooled), choices, inputs.labels, states);
  }
}

/** The first token of each text that is not padding, which may be on the left: [B, T, C] → [B, C]. */
function firstTokens(x: Tensor, mask: Tensor | undefined): Tensor {
  if (!mask) return select(x, 1, 0);
  const [B, , C] = x.shape as [number, number, number];
  const places = argmax(cast(reshape(mask, [B, -1]), "i32"), { dim: 1 });
  return reshape(gather(x, 1, expand(reshape(places, [B, 1, 1]), [B, 1, C])), [B, C]);
}

/** ModernBERT that guesses masked words. `decoder.weight` is the word embeddings, unless they are untied. */
export class ModernBertForMaskedLM extends ModernBertPreTrainedModel {
  static override readonly architecture = "ModernBertForMaskedLM";
  readonly model: ModernBertModel;
  readonly head: PredictionHead;
  readonly decoder: Linear<boolean>;

  constructor(config: ModernBertConfig) {
    super(config);
    check(
      !config.sparse_prediction,
      "config: sparse_prediction: logits of the words to guess alone are not supported. Set it to false: the loss is the same.",
    );
    const { hidden_size: C, vocab_size: V, decoder_bias, tie_word_embeddings } = config;
    this.model = new ModernBertModel(config);
    this.head = new PredictionHead(config);
    // A tied weight begins as the word embeddings do.
    const tied = tie_word_embeddings ? { weight: this.model.embeddings.tok_embeddings.weight } : {};
    const decoder = new Linear(C, V, decoder_bias, tied);
    this.decoder = beginTruncated(decoder, config, tie_word_embeddings ? "embedding" : "out");
  }

  forward(inputs: ModelInputs & Labels, options: OutputOptions = {}): HeadOutput {
    const words = { forward: (x: Tensor) => this.decoder.forward(this.head.forward(x)) };
    return guessWords(words, this.model.forward(inputs, options), inputs.labels);
  }
}

export const modernbert = family({
  Model: ModernBertModel,
  heads: {
    sequenceClassification: ModernBertForSequenceClassification,
    tokenClassification: ModernBertForTokenClassification,
    questionAnswering: ModernBertForQuestionAnswering,
    multipleChoice: ModernBertForMultipleChoice,
    maskedLM: ModernBertForMaskedLM,
  },
});
