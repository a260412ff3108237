import { check } from "@gpugrad/tensor";
import { checkEncoderConfig, encoderFields } from "../encoder-config.ts";
import { size, withDefaults, type Fields, type ValuesOf } from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

/** Relative positions are always sorted into so many buckets. */
export const BUCKETS = 32;

/** The row of [PAD] in the tables of words and positions, whatever `pad_token_id` says. */
export const PADDING = 1;

const { type_vocab_size: _, ...withoutTypes } = encoderFields;

const fields = {
  ...withDefaults(withoutTypes, { vocab_size: 30527, pad_token_id: 1, bos_token_id: 0, eos_token_id: 2 }),
  /** Rows of the table of positions; a text may have two tokens less. */
  max_position_embeddings: size(512, 1_048_576, PADDING + 2),
  /** Rows of the table of relative positions, of which 32 are used. */
  relative_attention_num_buckets: size(BUCKETS, 65_536, BUCKETS),
} satisfies Fields;

/**
 * The configuration of MPNet, with the defaults of mpnet-base.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/mpnet/configuration_mpnet.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class MPNetConfig extends PretrainedConfig {
  static override readonly modelType: string = "mpnet";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<MPNetConfig> = {}) {
    super(values);
  }

  /** Positions begin after that of padding. */
  override get maxLength(): number {
    return this.max_position_embeddings - PADDING - 1;
  }

  override validate(): void {
    super.validate();
    checkEncoderConfig(this);
    const { vocab_size } = this;
    check(
      vocab_size > PADDING,
      () => `config: vocab_size: ${vocab_size} words have no row ${PADDING}, which is [PAD]'s.`,
    );
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface MPNetConfig extends ValuesOf<typeof fields> {}
