import { checkEncoderConfig, encoderFields } from "../encoder-config.ts";
import { nullable, probability, unchecked, type Fields, type ValuesOf } from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

const fields = {
  ...encoderFields,
  /** Dropout before the classifier; null takes `hidden_dropout_prob`. */
  classifier_dropout: nullable(probability(0)),
  use_cache: unchecked(true),
  is_decoder: unchecked(false),
  add_cross_attention: unchecked(false),
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
    checkEncoderConfig(this);
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface BertConfig extends ValuesOf<typeof fields> {}
