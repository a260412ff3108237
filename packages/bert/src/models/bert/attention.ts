import {
  add,
  addLayerNorm,
  dropout,
  fromArray,
  matmul,
  mul,
  permute,
  reshape,
  scaledDotProductAttention,
  softmax,
  where,
  type Tensor,
} from "@gpugrad/tensor";
import type { EncoderConfig } from "../config.ts";
import { areOwn, Dropout, LayerNorm, Linear } from "../../modules/layers.ts";
import { Module } from "../../modules/module.ts";

/** float32's lowest: what Hugging Face adds to the scores of masked keys. */
const LOWEST = -3.4028234663852886e38;

/**
 * Multi-head attention of a sequence to itself: softmax(q kᵀ / √D) v for each of H heads.
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py (BertSelfAttention)
 */
export class SelfAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly dropout: Dropout;
  readonly #heads: number;

  constructor(config: EncoderConfig) {
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
    const { q, k, v } = this.#project(x);
    const y = scaledDotProductAttention(q, k, v, {
      ...(mask && { mask }),
      dropoutP: this.dropout.activeP,
      layout: "BTHD",
    });
    return reshape(y, x.shape);
  }

  /** The same by the plain formula, which writes the T × T probabilities: for who wants to see them, [B, H, T, T]. */
  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { q, k, v } = this.#project(x); // [B, T, H, D]
    const [Q, K, V] = [q, k, v].map((t) => permute(t, [0, 2, 1, 3])) as [Tensor, Tensor, Tensor];
    const scores = mul(matmul(Q, K, { transposeB: true }), 1 / Math.sqrt(q.shape[3]!));
    const masked = mask ? add(scores, where(mask, fromArray([0], []), fromArray([LOWEST], []))) : scores;
    const probabilities = softmax(masked);
    const dropped = this.dropout.activeP > 0 ? dropout(probabilities, { p: this.dropout.p }) : probabilities;
    return { y: reshape(permute(matmul(dropped, V), [0, 2, 1, 3]), x.shape), probabilities };
  }

  #project(x: Tensor): { q: Tensor; k: Tensor; v: Tensor } {
    const [B, T, C] = x.shape as [number, number, number];
    const heads = [B, T, this.#heads, C / this.#heads];
    return {
      q: reshape(this.query.forward(x), heads),
      k: reshape(this.key.forward(x), heads),
      v: reshape(this.value.forward(x), heads),
    };
  }
}

/** LayerNorm(dropout(x · Wᵀ + b) + residual): how both halves of a layer end. */
export class ResidualOutput extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(inFeatures: number, config: EncoderConfig) {
    super();
    this.dense = new Linear(inFeatures, config.hidden_size);
    this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    if (!areOwn([this.LayerNorm, LayerNorm], [this.dropout, Dropout]))
      return this.LayerNorm.forward(add(this.dropout.forward(this.dense.forward(x)), residual));
    const { weight, bias, eps } = this.LayerNorm;
    return addLayerNorm(this.dense.forward(x), residual, weight, bias, { eps, dropoutP: this.dropout.activeP });
  }
}

/** Self-attention with its projection, residual and norm. */
export class Attention extends Module {
  readonly self: SelfAttention;
  readonly output: ResidualOutput;

  constructor(config: EncoderConfig) {
    super();
    this.self = new SelfAttention(config);
    this.output = new ResidualOutput(config.hidden_size, config);
  }
}
