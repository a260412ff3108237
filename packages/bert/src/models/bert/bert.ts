import {
  add,
  arange,
  bertEmbeddingsNorm,
  check,
  fromArray,
  reshape,
  select,
  tanh,
  zeros,
  type Tensor,
} from "@gpugrad/tensor";
import type { BertConfig } from "../config.ts";
import { areOwn, Dropout, Embedding, LayerNorm, Linear, Module } from "@gpugrad/nn";
import { Encoder } from "./encoder.ts";
import { checkInputs, place, type ModelInputs } from "../inputs.ts";
import { PreTrainedModel } from "../pretrained.ts";

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

/**
 * The sum of word, position and token type embeddings, then layer norm and dropout.
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py (BertEmbeddings)
 */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly token_type_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: BertConfig) {
    super();
    const C = config.hidden_size;
    this.word_embeddings = new Embedding(config.vocab_size, C, config.pad_token_id ?? undefined);
    this.position_embeddings = new Embedding(config.max_position_embeddings, C);
    this.token_type_embeddings = new Embedding(config.type_vocab_size, C);
    this.LayerNorm = new LayerNorm(C, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
  }

  /** @param ids [B, T] @param types [B, T] @returns [B, T, C] */
  forward(ids: Tensor, types: Tensor): Tensor {
    const { word_embeddings: words, position_embeddings: positions, token_type_embeddings: typesTable } = this;
    const tables = [words, positions, typesTable].map((table) => [table, Embedding] as const);
    const { weight, bias, eps } = this.LayerNorm;
    if (!areOwn(...tables, [this.LayerNorm, LayerNorm], [this.dropout, Dropout]) || !weight || !bias) {
      const places = arange(0, ids.shape[1], 1, { dtype: "i32" });
      const sum = add(add(words.forward(ids), typesTable.forward(types)), positions.forward(places));
      return this.dropout.forward(this.LayerNorm.forward(sum));
    }
    return bertEmbeddingsNorm(
      this.word_embeddings.weight,
      this.position_embeddings.weight,
      this.token_type_embeddings.weight,
      weight,
      bias,
      ids,
      types,
      { paddingIdx: this.word_embeddings.paddingIdx ?? null, eps, dropoutP: this.dropout.activeP },
    );
  }
}

/** tanh(x₀ · Wᵀ + b): the first token's vector, for classifiers. */
export class BertPooler extends Module {
  readonly dense: Linear;

  constructor(config: BertConfig) {
    super();
    this.dense = new Linear(config.hidden_size, config.hidden_size);
  }

  forward(x: Tensor): Tensor {
    return tanh(this.dense.forward(select(x, 1, 0)));
  }
}

/**
 * BERT without a head.
 * @see https://arxiv.org/abs/1810.04805
 */
export class BertModel extends PreTrainedModel<BertConfig> {
  static override readonly architecture = "BertModel";
  readonly embeddings: BertEmbeddings;
  readonly encoder: Encoder;
  readonly pooler?: BertPooler;

  /** @param options.addPoolingLayer whether there is a pooler (true unless said otherwise) */
  constructor(config: BertConfig, { addPoolingLayer = true }: { addPoolingLayer?: boolean } = {}) {
    super(config);
    this.embeddings = new BertEmbeddings(config);
    this.encoder = new Encoder(config);
    if (addPoolingLayer) this.pooler = new BertPooler(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(
    inputs: ModelInputs,
    { outputHiddenStates = false, outputAttentions = false }: OutputOptions = {},
  ): BaseModelOutput {
    const { ids, types, mask } = this.#place(inputs);
    const embedded = this.embeddings.forward(ids, types);
    const keep = { hiddenStates: outputHiddenStates, attentions: outputAttentions };
    const { last, hiddenStates, attentions } = this.encoder.forward(embedded, mask, keep);
    return {
      last_hidden_state: last,
      ...(this.pooler && { pooler_output: this.pooler.forward(last) }),
      hidden_states: hiddenStates,
      attentions,
    };
  }

  #place({ input_ids, attention_mask, token_type_ids }: ModelInputs): {
    ids: Tensor;
    types: Tensor;
    mask: Tensor | undefined;
  } {
    const { max_position_embeddings } = this.config;
    const { tensor: ids, values } = place("input_ids", input_ids, "i32");
    check(
      ids.rank === 2,
      () => `input_ids: shape [${ids.shape.join(",")}], but [B, T] is expected: one row of ids per text.`,
    );
    const [B, T] = ids.shape as [number, number];
    check(
      T <= max_position_embeddings,
      () =>
        `input_ids: ${T} tokens, but the model has ${max_position_embeddings} positions. Truncate to ${max_position_embeddings}.`,
    );
    const types = token_type_ids === undefined ? undefined : place("token_type_ids", token_type_ids, "i32");
    checkInputs(this.config, { ids: values, types: types?.values });

    let mask: Tensor | undefined;
    if (attention_mask !== undefined) {
      const placed = place("attention_mask", attention_mask, "i32");
      check(
        placed.tensor.size === B * T,
        () => `attention_mask: shape [${placed.tensor.shape.join(",")}], but input_ids is [${B},${T}].`,
      );
      // Without padding there is nothing to mask, and attention is faster.
      const full = placed.values && Array.prototype.every.call(placed.values, (v) => v === 1);
      if (!full) {
        mask = placed.values
          ? fromArray(placed.values, [B, 1, 1, T], "bool")
          : reshape(placed.tensor.dtype === "bool" ? placed.tensor : placed.tensor.to("bool"), [B, 1, 1, T]);
      }
    }
    return { ids, types: types?.tensor ?? zeros([B, T], { dtype: "i32" }), mask };
  }
}
