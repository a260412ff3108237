import { Dropout, Embedding, LayerNorm, Linear, Module } from "@gpugrad/nn";
import { add, mul, slice, type Tensor } from "@gpugrad/tensor";
import type { DebertaConfig } from "./deberta-config.ts";

/** The sum of word embeddings and, where the model has them, those of positions and token types; layer norm; 0 for padding; dropout. */
export class DebertaEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings?: Embedding;
  readonly token_type_embeddings?: Embedding;
  /** From narrower embeddings to the hidden size. */
  readonly embed_proj?: Linear<false>;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: DebertaConfig) {
    super();
    const { hidden_size: C, embeddingSize: E, type_vocab_size } = config;
    this.word_embeddings = new Embedding(config.vocab_size, E, config.pad_token_id ?? undefined);
    if (config.position_biased_input) this.position_embeddings = new Embedding(config.max_position_embeddings, E);
    if (type_vocab_size > 0) this.token_type_embeddings = new Embedding(type_vocab_size, E);
    if (E !== C) this.embed_proj = new Linear(E, C, false);
    this.LayerNorm = new LayerNorm(C, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
  }

  /**
   * @param ids [B, T]
   * @param types [B, T]
   * @param tokens f32 [B, T, 1], 0 for padding
   */
  forward(ids: Tensor, types: Tensor, tokens: Tensor | undefined): Tensor {
    const { position_embeddings: positions, token_type_embeddings: typeTable } = this;
    let x = this.word_embeddings.forward(ids);
    if (positions) x = add(x, slice(positions.weight, [[0, ids.shape[1]!]]));
    if (typeTable) x = add(x, typeTable.forward(types));
    if (this.embed_proj) x = this.embed_proj.forward(x);
    const normalized = this.LayerNorm.forward(x);
    return this.dropout.forward(tokens ? mul(normalized, tokens) : normalized);
  }
}
