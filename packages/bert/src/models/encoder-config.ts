import { activationNames, isObject } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { amount, flag, oneOf, probability, size, unchecked, type Fields, type ValuesOf } from "./fields.ts";
import type { PretrainedConfig } from "./pretrained-config.ts";

/** What BERT's descendants have in common, with the defaults of bert-base-uncased. */
export const encoderFields = {
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
  /** Standard deviation of fresh weights. */
  initializer_range: amount(0.02),
  layer_norm_eps: amount(1e-12),
  /** The masked-language-model head decodes with the word embeddings. */
  tie_word_embeddings: flag(true),
  hidden_act: oneOf("gelu", activationNames),
  /** The token whose embedding gets no gradient. */
  pad_token_id: unchecked<number | null>(0),
  bos_token_id: unchecked<number | null>(null),
  eos_token_id: unchecked<number | number[] | null>(null),
} satisfies Fields;

/** What an encoder needs to know: the keys that BERT and its family share. */
export type EncoderConfig = ValuesOf<typeof encoderFields>;

/** What its layers need to know. */
export type LayersConfig = Pick<
  EncoderConfig,
  | "hidden_size"
  | "num_hidden_layers"
  | "num_attention_heads"
  | "intermediate_size"
  | "hidden_act"
  | "hidden_dropout_prob"
  | "attention_probs_dropout_prob"
  | "layer_norm_eps"
>;

/** Values that only make sense together. @throws {@link GpugradError} naming the first that don't */
export function checkEncoderConfig(
  config: PretrainedConfig & Pick<EncoderConfig, "hidden_size" | "num_attention_heads" | "pad_token_id" | "vocab_size">,
): void {
  const { hidden_size, num_attention_heads } = config;
  check(
    hidden_size % num_attention_heads === 0,
    () => `config: hidden_size: ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}.`,
  );
  checkPadToken(config);
  checkSupported(config);
}

/** @throws {@link GpugradError} unless the padding token, where there is one, has an embedding */
export function checkPadToken({ pad_token_id, vocab_size }: Pick<EncoderConfig, "pad_token_id" | "vocab_size">): void {
  check(
    pad_token_id === null || (Number.isInteger(pad_token_id) && pad_token_id >= 0 && pad_token_id < vocab_size),
    () => `config: pad_token_id: ${JSON.stringify(pad_token_id)} is not a row of the ${vocab_size} word embeddings.`,
  );
}

/** Keys of Transformers' configurations that ask for what is not built here. @throws {@link GpugradError} */
export function checkSupported(config: PretrainedConfig): void {
  const { is_decoder, add_cross_attention, pruned_heads, quantization_config, position_embedding_type } =
    config as object as Partial<Record<string, unknown>>;
  check(!is_decoder && !add_cross_attention, "config: is_decoder, add_cross_attention: only encoders are built here.");
  check(
    !isObject(pruned_heads) || Object.keys(pruned_heads).length === 0,
    "config: pruned_heads: attention heads that were cut out are not supported.",
  );
  check(
    (quantization_config ?? null) === null,
    "config: quantization_config: quantized weights are not supported. Use the model that was quantized.",
  );
  check(
    (position_embedding_type ?? "absolute") === "absolute",
    () =>
      `config: position_embedding_type: "${String(position_embedding_type)}" is not supported; Transformers 5 dropped it too. Only "absolute".`,
  );
}
