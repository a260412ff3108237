import { check } from "@gpugrad/tensor";
import { checkEncoderConfig, encoderFields } from "../encoder-config.ts";
import { probability, size, withDefaults, type Fields, type ValuesOf } from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

const fields = {
  ...withDefaults(encoderFields, {
    ...{ vocab_size: 30000, hidden_size: 4096, num_attention_heads: 64, intermediate_size: 16384 },
    ...{ hidden_act: "gelu_new", hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
    ...{ bos_token_id: 2, eos_token_id: 3 },
  }),
  /** Width of the embedding tables. */
  embedding_size: size(128, 65_536),
  /** The layers are dealt out evenly to so many groups; those of a group are the same, repeated. */
  num_hidden_groups: size(1, 1_000),
  /** Different layers within a group. */
  inner_group_num: size(1, 1_000),
  classifier_dropout_prob: probability(0.1),
} satisfies Fields;

/**
 * The configuration of ALBERT, with the defaults of albert-xxlarge-v2.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/albert/configuration_albert.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class AlbertConfig extends PretrainedConfig {
  static override readonly modelType: string = "albert";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<AlbertConfig> = {}) {
    super(values);
  }

  override validate(): void {
    super.validate();
    checkEncoderConfig(this);
    const { num_hidden_groups, num_hidden_layers } = this;
    check(
      num_hidden_groups <= Math.max(num_hidden_layers, 1),
      () => `config: num_hidden_groups: ${num_hidden_groups} are more than the ${num_hidden_layers} num_hidden_layers.`,
    );
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface AlbertConfig extends ValuesOf<typeof fields> {}
