import { activationNames } from "@gpugrad/nn";
import { BertConfig } from "../bert/bert-config.ts";
import { flag, oneOf, probability, size, withDefaults, type Fields, type ValuesOf } from "../fields.ts";
import type { ConfigValues } from "../pretrained-config.ts";

const fields = {
  ...withDefaults(BertConfig.fields, { hidden_size: 256, num_attention_heads: 4, intermediate_size: 1024 }),
  /** Width of the embedding tables. */
  embedding_size: size(128, 65_536),
  /** What multiple choice makes of a text: its first or last token, or the mean over all of them. */
  summary_type: oneOf("first", ["first", "last", "mean"]),
  /** Whether a dense layer follows. */
  summary_use_proj: flag(true),
  summary_activation: oneOf("gelu", activationNames),
  summary_last_dropout: probability(0.1),
} satisfies Fields;

/**
 * The configuration of ELECTRA, with the defaults of electra-small-discriminator.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/electra/configuration_electra.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class ElectraConfig extends BertConfig {
  static override readonly modelType: string = "electra";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<ElectraConfig> = {}) {
    super(values);
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface ElectraConfig extends ValuesOf<typeof fields> {}
