import { activationNames } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { checkEncoderConfig, encoderFields } from "../encoder-config.ts";
import {
  flag,
  nullable,
  oneOf,
  optional,
  probability,
  size,
  withDefaults,
  type Field,
  type Fields,
  type ValuesOf,
} from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

const attentionTypes: Field<string[] | null> = {
  initial: null,
  problem: (value) =>
    value === null || (Array.isArray(value) && value.every((type) => type === "c2p" || type === "p2c"))
      ? undefined
      : `is not a list of "c2p" and "p2c"`,
};

/** The fields that both versions have. */
export const debertaFields = {
  ...withDefaults(encoderFields, { vocab_size: 50265, layer_norm_eps: 1e-7 }),
  type_vocab_size: size(0, 65_536, 0),
  /** Whether attention adds scores for how far query and key are apart. */
  relative_attention: flag(false),
  /** Distances beyond are like the farthest; below 1 it is `max_position_embeddings`. */
  max_relative_positions: size(-1, 1_048_576, -1),
  /** Whether embeddings of positions are added to those of words. */
  position_biased_input: flag(true),
  /** What relative attention adds: what the query's content says of the key's place (c2p), and the key's of the query's (p2c). */
  pos_att_type: attentionTypes,
  pooler_dropout: probability(0),
  pooler_hidden_act: oneOf("gelu", activationNames),
  /** Width of the pooler; the hidden size unless given. */
  pooler_hidden_size: size(768, 65_536),
  /** Which of two masked-language-model heads: BERT's, or one that multiplies with the word embeddings. */
  legacy: flag(true),
  /** Width of the embeddings; the hidden size unless given. */
  embedding_size: optional(size(768, 65_536)),
  /** Dropout before the classifier; `hidden_dropout_prob` unless given. */
  cls_dropout: optional(nullable(probability(0))),
} satisfies Fields;

/**
 * The configuration of DeBERTa (version 1), with the defaults of deberta-base.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta/configuration_deberta.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class DebertaConfig extends PretrainedConfig {
  static override readonly modelType: string = "deberta";
  static override readonly fields: typeof debertaFields = debertaFields;

  constructor(values: ConfigValues<DebertaConfig> = {}) {
    const { pos_att_type: types, hidden_size = new.target.fields.hidden_size.initial } = values as {
      pos_att_type?: unknown;
      hidden_size?: number;
    };
    super({
      pooler_hidden_size: hidden_size,
      ...values,
      // Old files have one text, such as "c2p|p2c".
      ...(typeof types === "string" && { pos_att_type: types.toLowerCase().split("|").map((type) => type.trim()) }), // prettier-ignore
    });
  }

  /** How far query and key may be apart before it no longer counts. */
  get relativeReach(): number {
    return this.max_relative_positions < 1 ? this.max_position_embeddings : this.max_relative_positions;
  }

  /** Width of the embeddings. */
  get embeddingSize(): number {
    return this.embedding_size ?? this.hidden_size;
  }

  override validate(): void {
    super.validate();
    checkEncoderConfig(this);
    const { hidden_size, pooler_hidden_size } = this;
    check(
      pooler_hidden_size === hidden_size,
      () => `config: pooler_hidden_size: ${pooler_hidden_size} is not hidden_size ${hidden_size}.`,
    );
    check(
      this.legacy || this.embeddingSize === hidden_size,
      () =>
        `config: embedding_size: ${this.embedding_size} with legacy false: that head needs hidden_size ${hidden_size}.`,
    );
    check(!(this as { talking_head?: unknown }).talking_head, "config: talking_head: it is not supported.");
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface DebertaConfig extends ValuesOf<typeof debertaFields> {}
