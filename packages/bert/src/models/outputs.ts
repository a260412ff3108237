import type { Tensor } from "@gpugrad/tensor";

/** What to return beside the result. */
export interface OutputOptions {
  /** The embeddings and each layer's output: N + 1 tensors [B, T, C]. */
  outputHiddenStates?: boolean;
  /** Each layer's attention probabilities: N tensors [B, H, T, T]. Computed by the plain formula, which is slower. */
  outputAttentions?: boolean;
}

/** What an encoder gives, in Hugging Face's names. */
export interface BaseModelOutput {
  last_hidden_state: Tensor; // [B, T, C]
  pooler_output?: Tensor; // [B, C]
  hidden_states: Tensor[];
  attentions: Tensor[];
}

/** What a model with a head gives. */
export interface HeadOutput {
  logits: Tensor;
  /** The mean loss, when labels are given. */
  loss?: Tensor;
  hidden_states: Tensor[];
  attentions: Tensor[];
  /** [B, C]; undefined where the model has no pooler. */
  pooler_output?: Tensor;
}
