import { activationNames, isObject } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { amount, flag, nullable, oneOf, probability, size, unchecked, type Fields, type ValuesOf } from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

const fields = {
  /** V: rows of the word embeddings. */
  vocab_size: size(30522, 10_000_000),
  /** C: width of the residual stream; a multiple of `num_attention_heads`. */
  hidden_size: size(768, 65_536),
  num_hidden_layers: size(12, 1_000, 0),
  /** H. */
  num_attention_heads: size(12, 65_536),
  /** Width of the feed-forward layer. */
  intermediate_size: size(3072, 1_048_576),
  /** Longest sequence. */
  max_position_embeddings: size(512, 1_048_576),
  type_vocab_size: size(2, 65_536),
  hidden_dropout_prob: probability(0.1),
  attention_probs_dropout_prob: probability(0.1),
  /** Dropout before the classifier; null takes `hidden_dropout_prob`. */
  classifier_dropout: nullable(probability(0)),
  /** Standard deviation of fresh weights. */
  initializer_range: amount(0.02),
  layer_norm_eps: amount(1e-12),
  /** The masked-language-model head decodes with the word embeddings. */
  tie_word_embeddings: flag(true),
  hidden_act: oneOf("gelu", activationNames),
  /** The token whose embedding gets no gradient. */
  pad_token_id: unchecked<number | null>(0),
  use_cache: unchecked(true),
  is_decoder: unchecked(false),
  add_cross_attention: unchecked(false),
  bos_token_id: unchecked<number | null>(null),
  eos_token_id: unchecked<number | number[] | null>(null),
} satisfies Fields;

/**
 * The configuration of BERT, with the defaults of bert-base-uncased.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/configuration_bert.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class BertConfig extends PretrainedConfig {
  static override readonly modelType: string = "bert";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<BertConfig> = {}) {
    super(values);
  }

  override validate(): void {
    super.validate();
    const { hidden_size, num_attention_heads, pad_token_id, vocab_size } = this;
    check(
      hidden_size % num_attention_heads === 0,
      () => `config: hidden_size: ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}.`,
    );
    check(
      pad_token_id === null || (Number.isInteger(pad_token_id) && pad_token_id >= 0 && pad_token_id < vocab_size),
      () => `config: pad_token_id: ${JSON.stringify(pad_token_id)} is not a row of the ${vocab_size} word embeddings.`,
    );
    check(
      !this.is_decoder && !this.add_cross_attention,
      "config: is_decoder, add_cross_attention: only encoders are built here.",
    );
    const more = this as { position_embedding_type?: unknown; pruned_heads?: unknown; quantization_config?: unknown };
    const { position_embedding_type: position = "absolute", pruned_heads: pruned, quantization_config } = more;
    check(
      !isObject(pruned) || Object.keys(pruned).length === 0,
      "config: pruned_heads: attention heads that were cut out are not supported.",
    );
    check(
      (quantization_config ?? null) === null,
      "config: quantization_config: quantized weights are not supported. Use the model that was quantized.",
    );
    check(
      position === "absolute",
      () =>
        `config: position_embedding_type: "${String(position)}" is not supported; Transformers 5 dropped it too. Only "absolute".`,
    );
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface BertConfig extends ValuesOf<typeof fields> {}
