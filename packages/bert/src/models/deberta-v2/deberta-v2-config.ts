import { activationNames } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { DebertaConfig, debertaFields } from "../deberta/deberta-config.ts";
import { flag, oneOf, optional, size, withDefaults, type Field, type Fields, type ValuesOf } from "../fields.ts";
import type { ConfigValues } from "../pretrained-config.ts";

const text: Field<string> = {
  initial: "",
  problem: (value) => (typeof value === "string" ? undefined : "is not a text"),
};

const fields = {
  ...withDefaults(debertaFields, {
    ...{
      vocab_size: 128100,
      hidden_size: 1536,
      num_hidden_layers: 24,
      num_attention_heads: 24,
      intermediate_size: 6144,
    },
  }),
  /** Whether relative positions are projected by the layer's own projections of queries and keys; false unless given. */
  share_att_key: optional(flag(false)),
  /** Buckets of distances: far ones share a bucket; below 1 each distance has its own. −1 unless given. */
  position_buckets: optional(size(-1, 1_048_576, -1)),
  /** What is done to the table of relative positions: `layer_norm` or `none`, in a list with "|". */
  norm_rel_ebd: optional(text),
  /** Width of a convolution after the first layer; none unless given. */
  conv_kernel_size: optional(size(0, 1_001, 0)),
  conv_groups: optional(size(1, 65_536)),
  conv_act: optional(oneOf("tanh", activationNames)),
  /** D, as old files say it; it has to be the hidden size over the number of heads. */
  attention_head_size: optional(size(64, 65_536)),
} satisfies Fields;

/**
 * The configuration of DeBERTa, versions 2 and 3, with the defaults of deberta-v2-xlarge.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta_v2/configuration_deberta_v2.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class DebertaV2Config extends DebertaConfig {
  static override readonly modelType: string = "deberta-v2";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<DebertaV2Config> = {}) {
    super(values);
  }

  override validate(): void {
    super.validate();
    const { conv_kernel_size: width = 0, conv_groups: groups = 1, hidden_size, num_attention_heads: H } = this;
    const { attention_head_size: D = hidden_size / H } = this;
    check(
      D * H === hidden_size,
      () => `config: attention_head_size: ${D} for ${H} heads is not hidden_size ${hidden_size}.`,
    );
    check(
      width === 0 || width % 2 === 1,
      () => `config: conv_kernel_size: ${width} is even; what comes out would be of another length.`,
    );
    check(
      hidden_size % groups === 0,
      () => `config: conv_groups: hidden_size ${hidden_size} is not a multiple of ${groups}.`,
    );
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface DebertaV2Config extends ValuesOf<typeof fields> {}
