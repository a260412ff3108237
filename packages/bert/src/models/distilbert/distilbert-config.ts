import { activationNames } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { checkPadToken, checkSupported, encoderFields } from "../encoder-config.ts";
import { flag, oneOf, probability, size, type Fields, type ValuesOf } from "../fields.ts";
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

const { vocab_size, max_position_embeddings, initializer_range, pad_token_id, bos_token_id, eos_token_id } =
  encoderFields;

const fields = {
  ...{ vocab_size, max_position_embeddings, initializer_range, pad_token_id, bos_token_id, eos_token_id },
  /** Positions begin as sines and cosines. */
  sinusoidal_pos_embds: flag(false),
  n_layers: size(6, 1_000, 0),
  /** H. */
  n_heads: size(12, 65_536),
  /** C: width of the residual stream; a multiple of `n_heads`. */
  dim: size(768, 65_536),
  /** Width of the feed-forward layer. */
  hidden_dim: size(3072, 1_048_576),
  dropout: probability(0.1),
  attention_dropout: probability(0.1),
  activation: oneOf("gelu", activationNames),
  qa_dropout: probability(0.1),
  seq_classif_dropout: probability(0.2),
  tie_word_embeddings: flag(true),
} satisfies Fields;

/** Names that other families have for fields of this one: `attribute_map` in Transformers. */
const otherNames = { hidden_size: "dim", num_attention_heads: "n_heads", num_hidden_layers: "n_layers" } as const;

/**
 * The configuration of DistilBERT, with the defaults of distilbert-base-uncased.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/distilbert/configuration_distilbert.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class DistilBertConfig extends PretrainedConfig {
  static override readonly modelType: string = "distilbert";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<DistilBertConfig> = {}) {
    const renamed = Object.entries(values).map(([key, value]) => [
      otherNames[key as keyof typeof otherNames] ?? key,
      value,
    ]);
    super(Object.fromEntries(renamed) as object);
  }

  get hidden_size(): number {
    return this.dim;
  }
  get num_attention_heads(): number {
    return this.n_heads;
  }
  get num_hidden_layers(): number {
    return this.n_layers;
  }

  override validate(): void {
    super.validate();
    const { dim, n_heads } = this;
    check(dim % n_heads === 0, () => `config: dim: ${dim} is not a multiple of n_heads ${n_heads}.`);
    checkPadToken(this);
    checkSupported(this);
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface DistilBertConfig extends ValuesOf<typeof fields> {}
