import { activationNames, isObject } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { checkEncoderConfig } from "../encoder-config.ts";
import { amount, flag, oneOf, probability, size, unchecked, type Field, type Fields, type ValuesOf } from "../fields.ts"; // prettier-ignore
import { PretrainedConfig, type ConfigValues } from "../pretrained-config.ts";

/** A layer attends to all tokens, or to those in a window around each. */
export type LayerType = "full_attention" | "sliding_attention";
const layerTypes: readonly LayerType[] = ["full_attention", "sliding_attention"];

/** Rotary positions of one type of layers. */
export interface RopeParameters {
  rope_theta: number;
  rope_type: string;
}

const layerTypesField: Field<LayerType[]> = {
  initial: [],
  problem: (value) =>
    Array.isArray(value) && value.every((type) => layerTypes.includes(type as LayerType))
      ? undefined
      : `is not a list of ${layerTypes.join(" and ")}`,
};

const ropeField: Field<Record<LayerType, RopeParameters>> = {
  initial: {
    full_attention: { rope_theta: 160_000, rope_type: "default" },
    sliding_attention: { rope_theta: 10_000, rope_type: "default" },
  },
  problem(value) {
    for (const type of layerTypes) {
      const { rope_theta, rope_type } = (value as Record<LayerType, Partial<RopeParameters>>)[type];
      if (rope_type !== "default") return `has rope_type ${JSON.stringify(rope_type)} for ${type}; only "default" is supported`; // prettier-ignore
      if (!(Number.isFinite(rope_theta) && rope_theta! > 0)) return `has no positive rope_theta for ${type}`;
    }
    return undefined;
  },
  floats: ["rope_theta"],
};

const fields = {
  vocab_size: size(50368, 10_000_000),
  hidden_size: size(768, 65_536),
  intermediate_size: size(1152, 1_048_576),
  num_hidden_layers: size(22, 1_000, 0),
  num_attention_heads: size(12, 65_536),
  hidden_activation: oneOf("gelu", activationNames),
  /** Longest sequence. */
  max_position_embeddings: size(8192, 1_048_576),
  initializer_range: amount(0.02),
  /** Fresh weights lie within so many standard deviations; null is 3. */
  initializer_cutoff_factor: amount(2),
  norm_eps: amount(1e-5),
  norm_bias: flag(false),
  pad_token_id: unchecked<number | null>(50283),
  eos_token_id: unchecked<number | number[] | null>(50282),
  bos_token_id: unchecked<number | null>(50281),
  cls_token_id: unchecked<number | null>(50281),
  sep_token_id: unchecked<number | null>(50282),
  attention_bias: flag(false),
  attention_dropout: probability(0),
  /** What each layer attends to. */
  layer_types: layerTypesField,
  rope_parameters: ropeField,
  /** The window of a sliding layer: half of it lies on each side of a token. */
  local_attention: size(128, 1_048_576, 0),
  embedding_dropout: probability(0),
  mlp_bias: flag(false),
  mlp_dropout: probability(0),
  /** Whether the masked-language-model head's last layer has a bias. */
  decoder_bias: flag(true),
  /** What a classifier of whole texts looks at: the first token, or the mean of all. */
  classifier_pooling: oneOf("cls", ["cls", "mean"]),
  classifier_dropout: probability(0),
  /** Whether the heads' dense layer has a bias; the classifier itself always has one. */
  classifier_bias: flag(false),
  classifier_activation: oneOf("gelu", activationNames),
  deterministic_flash_attn: unchecked(false),
  sparse_prediction: flag(false),
  sparse_pred_ignore_index: unchecked(-100),
  tie_word_embeddings: flag(true),
} satisfies Fields;

/**
 * The configuration of ModernBERT, with the defaults of ModernBERT-base. Configurations of the Hub have older keys, which are read and become
 * `layer_types` and `rope_parameters`: `global_attn_every_n_layers`, `global_rope_theta` and `local_rope_theta`.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/modernbert/configuration_modernbert.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export class ModernBertConfig extends PretrainedConfig {
  static override readonly modelType: string = "modernbert";
  static override readonly fields: typeof fields = fields;

  constructor(values: ConfigValues<ModernBertConfig> & OldKeys = {}) {
    super(withNewKeys(values));
  }

  /** How far from its place a query of a local layer sees keys, on each side. */
  get reach(): number {
    return Math.floor(this.local_attention / 2);
  }

  override validate(): void {
    super.validate();
    checkEncoderConfig(this);
    const { hidden_size, num_attention_heads, num_hidden_layers, layer_types } = this;
    check(
      (hidden_size / num_attention_heads) % 2 === 0,
      () =>
        `config: hidden_size: ${hidden_size} over num_attention_heads ${num_attention_heads} is odd: elements are turned in pairs.`,
    );
    check(
      layer_types.length === num_hidden_layers,
      () => `config: layer_types: ${layer_types.length} types for ${num_hidden_layers} layers.`,
    );
  }

  override toJSON(): Record<string, unknown> {
    const { reference_compile: _, ...values } = super.toJSON(); // Transformers writes it no more
    return values;
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface ModernBertConfig extends ValuesOf<typeof fields> {}

/** Keys of configurations that Transformers 4 wrote. */
interface OldKeys {
  /** Every so many layers one attends to all tokens, the first included. */
  global_attn_every_n_layers?: number;
  global_rope_theta?: number;
  local_rope_theta?: number;
  /** Another kind of rotary positions, for both types of layers. */
  rope_scaling?: object | null;
}

function withNewKeys({ global_rope_theta, local_rope_theta, rope_scaling, ...values }: object & OldKeys): object {
  const given = values as OldKeys & { num_hidden_layers?: number; layer_types?: unknown; rope_parameters?: unknown };
  const { global_attn_every_n_layers: every = 3, num_hidden_layers: N = fields.num_hidden_layers.initial } = given;
  check(
    Number.isInteger(every) && every > 0,
    () => `config: global_attn_every_n_layers: ${JSON.stringify(every)} is not a positive integer.`,
  );
  const types = Array.from({ length: Number.isInteger(N) && N <= 1000 ? N : 0 }, (_, i) =>
    i % every === 0 ? "full_attention" : "sliding_attention",
  );
  const { rope_parameters } = given;
  check(
    rope_parameters === undefined || rope_parameters === null || isObject(rope_parameters),
    () => `config: rope_parameters: ${JSON.stringify(rope_parameters)} is not an object.`,
  );
  const ropeOf = (type: LayerType, oldTheta: number | undefined): object => {
    const own = (rope_parameters as Record<string, object | null> | null | undefined)?.[type];
    return {
      ...ropeField.initial[type],
      ...(oldTheta !== undefined && { rope_theta: oldTheta }),
      ...own,
      ...rope_scaling,
    };
  };
  return {
    ...values,
    layer_types: given.layer_types ?? types,
    rope_parameters: {
      full_attention: ropeOf("full_attention", global_rope_theta),
      sliding_attention: ropeOf("sliding_attention", local_rope_theta),
    },
  };
}
