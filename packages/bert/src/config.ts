import { openFolder, writeFileAside } from "#platform";
import { check } from "./errors.ts";
import { readJson, type Folder } from "./files.ts";

/** Activations by the names that Transformers gives them (those without parameters of their own). */
export const hiddenActs = [
  "gelu",
  "gelu_10",
  "gelu_accurate",
  "gelu_fast",
  "gelu_new",
  "gelu_python",
  "gelu_python_tanh",
  "gelu_pytorch_tanh",
  "hardswish",
  "laplace",
  "leaky_relu",
  "linear",
  "mish",
  "quick_gelu",
  "relu",
  "relu2",
  "relu6",
  "sigmoid",
  "silu",
  "swish",
  "tanh",
] as const;
export type HiddenAct = (typeof hiddenActs)[number];

/** Which loss a sequence classifier computes; decided by the first labels when it is not set. */
export type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";
const problemTypes = ["regression", "single_label_classification", "multi_label_classification"];

/** The version of Transformers whose config.json this module writes. */
const transformersVersion = "5.23.0";

/** Python reads `1` as an integer and refuses it for these. */
const floatFields = ["initializer_range", "layer_norm_eps"];

/**
 * What every model's config.json holds, under the names it has there. Keys that this class does not know are kept, and
 * written again.
 *
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/configuration_utils.py
 */
export abstract class PretrainedConfig {
  abstract readonly model_type: string;
  architectures: string[] | null = null;
  /** `float32`, `float16` or `bfloat16`: what the weights are saved in. Old files call it `torch_dtype`. */
  dtype: string | null = null;
  /** The name of each class of a classifier. */
  id2label: Record<number, string> = defaultLabels(2);
  label2id: Record<string, number> = inverse(this.id2label);
  problem_type: ProblemType | null = null;
  transformers_version: string = transformersVersion;

  /** Number of classes: as many as `id2label` names. Another number gives them the names LABEL_0, LABEL_1, … */
  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }
  set num_labels(count: number) {
    if (count === this.num_labels) return;
    check(Number.isInteger(count) && count > 0, () => `config: num_labels: ${count} is no number of classes.`);
    this.id2label = defaultLabels(count);
    this.label2id = inverse(this.id2label);
  }

  /** Takes values as they stand in a config.json, and checks them. @throws {@link GpugradError} naming the first bad one. */
  protected assign(values: object): void {
    const { model_type, num_labels, torch_dtype, ...rest } = values as Record<string, unknown>;
    check(
      model_type === undefined || model_type === this.model_type,
      () => `config: model_type is "${String(model_type)}", this is a configuration of "${this.model_type}".`,
    );
    for (const key of ["id2label", "label2id"] as const) if (!rest[key]) delete rest[key];
    if (rest["id2label"] && !rest["label2id"]) rest["label2id"] = inverse(rest["id2label"] as Record<number, string>);
    if (torch_dtype) rest["dtype"] ??= torch_dtype;
    Object.assign(this, rest);
    if (num_labels !== undefined && num_labels !== null) this.num_labels = num_labels as number;
    this.validate();
  }

  /** Checks what all models share; a subclass adds its own. */
  protected validate(): void {
    const { problem_type, id2label } = this;
    check(
      problem_type === null || problemTypes.includes(problem_type),
      () => `config: problem_type: "${problem_type}" is none of ${problemTypes.join(", ")}.`,
    );
    check(
      Object.keys(id2label).every((key, i) => key === String(i)),
      () => `config: id2label: names classes 0, 1, 2 …, found ${Object.keys(id2label).join(", ")}.`,
    );
  }

  /**
   * What `save_pretrained` of Transformers 5 writes: no `num_labels`; `id2label` and `label2id` only where they differ
   * from the two default ones; nothing that has its general default.
   */
  toJSON(): Record<string, unknown> {
    const all: Record<string, unknown> = {
      ...(this as object),
      model_type: this.model_type,
      transformers_version: transformersVersion,
    };
    const labels = defaultLabels(2);
    const defaults: Record<string, unknown> = {
      architectures: null,
      chunk_size_feed_forward: 0,
      dtype: null,
      id2label: labels,
      is_encoder_decoder: false,
      label2id: inverse(labels),
      output_hidden_states: false,
      problem_type: null,
      return_dict: true,
    };
    const kept = Object.keys(all).filter(
      (key) =>
        key !== "_name_or_path" && !(key in defaults && JSON.stringify(all[key]) === JSON.stringify(defaults[key])),
    );
    return Object.fromEntries(kept.sort().map((key) => [key, all[key]]));
  }

  /** The text of config.json. */
  toString(): string {
    const json = JSON.stringify(this, null, 2);
    return `${json.replace(new RegExp(`("(?:${floatFields.join("|")})": -?\\d+)(,?)$`, "gm"), "$1.0$2")}\n`;
  }

  /** Writes `config.json` into `folder`, as Transformers writes and reads it (in Node). */
  savePretrained(folder: string): Promise<void> {
    return writeFileAside(`${folder}/config.json`, this.toString());
  }
}

const defaultLabels = (count: number): Record<number, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `LABEL_${i}`]));

const inverse = (id2label: Record<number, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(id2label).map(([id, label]) => [label, Number(id)]));

/** Values of a configuration by name; `num_labels` is short for that many default labels. */
export type ConfigValues<C extends PretrainedConfig> = Partial<
  Omit<C, "model_type" | "toJSON" | "toString" | "savePretrained">
>;

/** What an encoder needs to know: the keys that BERT and its family share. */
export interface EncoderConfig {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  hidden_act: string;
  hidden_dropout_prob: number;
  attention_probs_dropout_prob: number;
  layer_norm_eps: number;
}

/**
 * The configuration of BERT, with the defaults of bert-base-uncased.
 *
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/configuration_bert.py
 */
export class BertConfig extends PretrainedConfig {
  override readonly model_type = "bert";
  /** V: rows of the word embeddings. */
  vocab_size = 30522;
  /** C: width of the residual stream; a multiple of `num_attention_heads`. */
  hidden_size = 768;
  num_hidden_layers = 12;
  /** H. */
  num_attention_heads = 12;
  /** Width of the feed-forward layer. */
  intermediate_size = 3072;
  hidden_act: HiddenAct = "gelu";
  hidden_dropout_prob = 0.1;
  attention_probs_dropout_prob = 0.1;
  /** Longest sequence. */
  max_position_embeddings = 512;
  type_vocab_size = 2;
  /** Standard deviation of fresh weights. */
  initializer_range = 0.02;
  layer_norm_eps = 1e-12;
  /** The token whose embedding gets no gradient. */
  pad_token_id: number | null = 0;
  use_cache = true;
  /** Dropout before the classifier; null takes `hidden_dropout_prob`. */
  classifier_dropout: number | null = null;
  is_decoder = false;
  add_cross_attention = false;
  bos_token_id: number | null = null;
  eos_token_id: number | number[] | null = null;
  /** The masked-language-model head decodes with the word embeddings. */
  tie_word_embeddings = true;

  /** @throws {@link GpugradError} for a value that no BERT can have, naming it. */
  constructor(values: ConfigValues<BertConfig> = {}) {
    super();
    this.assign(values);
  }

  protected override validate(): void {
    super.validate();
    const bad = (key: Exclude<keyof BertConfig, "toJSON" | "toString" | "savePretrained">, hint: string) =>
      `config: ${key}: ${JSON.stringify(this[key])} ${hint}`;
    const sizes = ["vocab_size", "hidden_size", "num_attention_heads", "intermediate_size", "max_position_embeddings", "type_vocab_size"] as const; // prettier-ignore
    for (const key of sizes)
      check(Number.isInteger(this[key]) && this[key] > 0, () => bad(key, "is no positive integer."));
    check(Number.isInteger(this.num_hidden_layers) && this.num_hidden_layers >= 0, () =>
      bad("num_hidden_layers", "is no number of layers."),
    );
    for (const key of ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"] as const)
      check(
        (key === "classifier_dropout" && this[key] === null) ||
          (typeof this[key] === "number" && this[key] >= 0 && this[key] < 1),
        () => bad(key, "is no probability below 1."),
      );
    for (const key of ["initializer_range", "layer_norm_eps"] as const)
      check(typeof this[key] === "number" && this[key] >= 0, () => bad(key, "is no number from 0 on."));
    check(this.hidden_size % this.num_attention_heads === 0, () =>
      bad("hidden_size", `is no multiple of num_attention_heads ${this.num_attention_heads}.`),
    );
    check(hiddenActs.includes(this.hidden_act), () =>
      bad("hidden_act", `is unknown. Known: ${hiddenActs.join(", ")}.`),
    );
    check(
      this.pad_token_id === null ||
        (Number.isInteger(this.pad_token_id) && this.pad_token_id >= 0 && this.pad_token_id < this.vocab_size),
      () => bad("pad_token_id", `is no row of the ${this.vocab_size} word embeddings.`),
    );
    check(
      !this.is_decoder && !this.add_cross_attention,
      "config: is_decoder, add_cross_attention: only encoders are built here.",
    );
    const { position_embedding_type: position = "absolute" } = this as { position_embedding_type?: unknown };
    check(
      position === "absolute",
      () =>
        `config: position_embedding_type: "${String(position)}" is not supported; Transformers 5 dropped it too. Only "absolute".`,
    );
  }
}

/** A configuration class for each `model_type`. */
const configs = { bert: BertConfig } as const;

export const AutoConfig = {
  /**
   * Reads `config.json` of a folder or a repository of the Hub into the class that its `model_type` names.
   *
   * @param overrides Values that come before the file's, such as `{ num_labels: 3 }`.
   * @throws {@link GpugradError} when there is no config.json, its model is not known here, or a value is impossible.
   */
  async fromPretrained(
    idOrFolder: string | Folder,
    overrides: ConfigValues<BertConfig> = {},
    options: Parameters<typeof openFolder>[1] = {},
  ): Promise<BertConfig> {
    const folder = typeof idOrFolder === "string" ? await openFolder(idOrFolder, options) : idOrFolder;
    const values = await readJson(folder, "config.json");
    check(values, () => `${folder.name}: no config.json, so this is no model's folder. Did the model get saved there?`);
    const architecture = (values["architectures"] as string[] | undefined)?.[0] ?? "";
    const modelType =
      (values["model_type"] as string | undefined) ?? (architecture.startsWith("Bert") ? "bert" : "unknown");
    const Config = Object.hasOwn(configs, modelType) ? configs[modelType as keyof typeof configs] : undefined;
    check(
      Config,
      () => `${folder.name}: model_type is "${modelType}". Known here: ${Object.keys(configs).join(", ")}.`,
    );
    const fileLabels = overrides.id2label ? { label2id: undefined, num_labels: undefined } : {}; // not of these labels
    try {
      return new Config({ ...values, ...fileLabels, ...overrides } as ConfigValues<BertConfig>);
    } catch (error) {
      if (error instanceof Error) error.message = `${folder.name}: ${error.message}`;
      throw error;
    }
  },
};
