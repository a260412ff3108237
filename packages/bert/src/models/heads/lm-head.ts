import { initializers, LayerNorm, Linear, Module, parameter } from "@gpugrad/nn";
import { gelu, type Tensor } from "@gpugrad/tensor";
import type { EncoderConfig } from "../encoder-config.ts";

/**
 * From hidden states to a score for each word: dense, GELU, layer norm, and the word embeddings again, unless they are untied. RoBERTa's
 * head, and that of families after it.
 */
export class LMHead extends Module {
  readonly dense: Linear;
  readonly layer_norm: LayerNorm;
  readonly decoder: Linear;
  readonly bias: Tensor; // [V]

  constructor(
    {
      hidden_size: C,
      vocab_size: V,
      layer_norm_eps,
      tie_word_embeddings,
    }: Pick<EncoderConfig, "hidden_size" | "vocab_size" | "layer_norm_eps" | "tie_word_embeddings">,
    wordEmbeddings: Tensor,
  ) {
    super();
    this.dense = new Linear(C, C);
    this.layer_norm = new LayerNorm(C, layer_norm_eps);
    this.bias = parameter([V], initializers.zeros);
    this.decoder = new Linear(C, V, true, tie_word_embeddings ? { weight: wordEmbeddings, bias: this.bias } : {});
  }

  forward(x: Tensor): Tensor {
    return this.decoder.forward(this.layer_norm.forward(gelu(this.dense.forward(x))));
  }
}
