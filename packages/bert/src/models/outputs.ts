import type { Tensor } from "@gpugrad/tensor";

/** What to return beside the result. */
export interface OutputOptions {
  /** The embeddings and each layer's output: N + 1 tensors [B, T, C]. */
  outputHiddenStates?: boolean;
  /** Each layer's attention probabilities: N tensors [B, H, T, T]. Computed by the plain formula, which is slower. */
  outputAttentions?: boolean;
}

/** What every model may give beside its result; empty where it is not asked for. */
export interface States {
  hidden_states: Tensor[];
  attentions: Tensor[];
}

/** What an encoder gives, in Hugging Face's names. */
export interface BaseModelOutput extends States {
  last_hidden_state: Tensor; // [B, T, C]
  pooler_output?: Tensor; // [B, C]
}

/** What a model with one head gives. */
export interface HeadOutput extends States {
  logits: Tensor;
  /** The mean loss, when labels are given. */
  loss?: Tensor;
  /** [B, C]; undefined where the model has no pooler. */
  pooler_output?: Tensor;
}

/** What a model that finds answers in a text gives. */
export interface QuestionAnsweringOutput extends States {
  start_logits: Tensor; // [B, T]
  end_logits: Tensor; // [B, T]
  /** The mean of the two losses, when both positions are given. */
  loss?: Tensor;
}

/** What a model with both of BERT's pre-training heads gives. */
export interface PreTrainingOutput extends States {
  prediction_logits: Tensor; // [B, T, V]
  seq_relationship_logits: Tensor; // [B, 2]
  /** The sum of the two losses, when both kinds of labels are given. */
  loss?: Tensor;
  pooler_output?: Tensor;
}
