import {
  addNorm,
  attend,
  attendWithProbabilities,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  type AttendOptions,
} from "@gpugrad/nn";
import type { Tensor } from "@gpugrad/tensor";
import type { LayersConfig } from "../encoder-config.ts";

/**
 * Multi-head attention of a sequence to itself: softmax(q kᵀ / √D) v for each of H heads.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py (BertSelfAttention)
 */
export class SelfAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly dropout: Dropout;
  readonly #heads: number;

  constructor(config: LayersConfig) {
    super();
    const { hidden_size: C } = config;
    this.#heads = config.num_attention_heads;
    this.query = new Linear(C, C);
    this.key = new Linear(C, C);
    this.value = new Linear(C, C);
    this.dropout = new Dropout(config.attention_probs_dropout_prob);
  }

  /**
   * @param x [B, T, C]
   * @param mask bool [B, 1, 1, T], true where a key may be attended to
   * @returns the heads side by side, [B, T, C]
   */
  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return attend(...this.#project(x), this.#how(mask));
  }

  /** The same by the plain formula, which also gives the probabilities [B, H, T, T]. */
  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    return attendWithProbabilities(...this.#project(x), this.#how(mask));
  }

  #project(x: Tensor): [q: Tensor, k: Tensor, v: Tensor] {
    return [this.query.forward(x), this.key.forward(x), this.value.forward(x)];
  }

  #how(mask: Tensor | undefined): AttendOptions {
    return { heads: this.#heads, mask, dropoutP: this.dropout.activeP };
  }
}

/** LayerNorm(dropout(x · Wᵀ + b) + residual): how both halves of a layer end. */
export class ResidualOutput extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(inFeatures: number, config: LayersConfig) {
    super();
    this.dense = new Linear(inFeatures, config.hidden_size);
    this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    return addNorm(this.dense.forward(x), residual, this.LayerNorm, this.dropout);
  }
}

/** Self-attention with its projection, residual and norm. */
export class Attention extends Module {
  readonly self: SelfAttention;
  readonly output: ResidualOutput;

  constructor(config: LayersConfig) {
    super();
    this.self = new SelfAttention(config);
    this.output = new ResidualOutput(config.hidden_size, config);
  }
}
