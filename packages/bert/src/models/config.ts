import { openFolder } from "#platform";
import { type Activation, activationNames, type Folder, isObject, readJson, writeFileAside } from "@gpugrad/nn";
import { check } from "../errors.ts";

/** Which loss a sequence classifier computes; decided by the first labels when it is not set. */
export type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";
const problemTypes = ["regression", "single_label_classification", "multi_label_classification"];

/** The version of Transformers whose config.json this module writes. */
const transformersVersion = "5.23.0";

/** Python reads `1` as an integer and refuses it for these. */
const floatFields = ["initializer_range", "layer_norm_eps"];

/** A size that no model of the family comes near: a file with more is damaged, or is to exhaust the memory. */
const limits = {
  num_labels: 100_000,
  vocab_size: 10_000_000,
  hidden_size: 65_536,
  num_hidden_layers: 1_000,
  num_attention_heads: 65_536,
  intermediate_size: 1_048_576,
  max_position_embeddings: 1_048_576,
  type_vocab_size: 65_536,
};

/** Where a configuration keeps values whose keys are the names of its own methods. */
const others = Symbol("others");

/**
 * What every model's config.json holds, under the names it has there. Keys that this class does not know are kept, and
 * written again.
 *
 * A subclass gives its defaults as class fields; values that are given come before them. When its fields depend on each other, its
 * constructor ends with `this.validate()`; a model validates its configuration anyway.
 *
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/configuration_utils.py
 */
export abstract class PretrainedConfig {
  abstract readonly model_type: string;
  declare readonly [others]: Map<string, unknown>;
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
    check(
      Number.isInteger(count) && count > 0 && count <= limits.num_labels,
      () => `config: num_labels: ${JSON.stringify(count)} is not a number of classes from 1 to ${limits.num_labels}.`,
    );
    this.id2label = defaultLabels(count);
    this.label2id = inverse(this.id2label);
  }

  /** @param values As they are in a config.json. They are checked by {@link validate}, which knows all defaults. */
  constructor(values: object) {
    const { model_type, num_labels, torch_dtype, ...rest } = values as Record<string, unknown>;
    void model_type; // the class's own
    for (const key of ["id2label", "label2id"] as const) if (!rest[key]) delete rest[key];
    if (isObject(rest["id2label"]) && !rest["label2id"])
      rest["label2id"] = inverse(rest["id2label"] as Record<number, string>);
    if (torch_dtype) rest["dtype"] ??= torch_dtype;
    const named = Object.entries(rest);
    const isOwn = ([key]: [string, unknown]) => !(key in new.target.prototype);
    Object.defineProperty(this, others, { value: new Map(named.filter((entry) => !isOwn(entry))) });
    const own = named.filter(isOwn);
    for (const [key, value] of own) this[key as "dtype"] = value as string;
    checkLabels(this);
    const given = new Set(own.map(([key]) => key));
    if (num_labels !== undefined && num_labels !== null) {
      this.num_labels = num_labels as number;
      given.add("id2label").add("label2id");
    }
    // The fields of subclasses are defined after this, on what is returned: those that are given stay as they are. (A definition has
    // all attributes; an assignment has only the value.)
    return new Proxy(this, {
      defineProperty: (target, key, attributes) =>
        ("enumerable" in attributes && given.has(key as string)) || Reflect.defineProperty(target, key, attributes),
    });
  }

  /** Checks all values. A subclass adds its own checks. @throws {@link GpugradError} naming the first bad one */
  validate(): void {
    const { problem_type, dtype, architectures } = this;
    check(
      problem_type === null || problemTypes.includes(problem_type),
      () => `config: problem_type: ${JSON.stringify(problem_type)} is none of ${problemTypes.join(", ")}.`,
    );
    check(
      dtype === null || typeof dtype === "string",
      () => `config: dtype: ${JSON.stringify(dtype)} is not the name of a type.`,
    );
    check(
      architectures === null ||
        (Array.isArray(architectures) && architectures.every((name) => typeof name === "string")),
      () => `config: architectures: ${JSON.stringify(architectures)} is not a list of names.`,
    );
    checkLabels(this);
  }

  /**
   * What `save_pretrained` of Transformers 5 writes: no `num_labels`; `id2label` and `label2id` only where they differ
   * from the two default ones; nothing that has its general default.
   */
  toJSON(): Record<string, unknown> {
    const all = new Map<string, unknown>([
      ...Object.entries(this),
      ...this[others],
      ["model_type", this.model_type],
      ["transformers_version", transformersVersion],
    ]);
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
    const isDefault = (key: string, value: unknown) =>
      Object.hasOwn(defaults, key) && JSON.stringify(value) === JSON.stringify(defaults[key]);
    const kept = [...all].filter(([key, value]) => key !== "_name_or_path" && !isDefault(key, value));
    return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
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

function checkLabels({ id2label, label2id }: PretrainedConfig): void {
  check(
    isObject(id2label) && isObject(label2id),
    () => `config: id2label, label2id: expected objects, found ${JSON.stringify(id2label)?.slice(0, 60)}.`,
  );
  const ids = Object.keys(id2label);
  check(
    ids.length <= limits.num_labels,
    () => `config: id2label: ${ids.length} classes, of ${limits.num_labels} at most.`,
  );
  check(
    ids.every((key, i) => key === String(i)),
    () => `config: id2label: names classes 0, 1, 2 …, found ${ids.slice(0, 10).join(", ")}.`,
  );
  const bad = Object.values(id2label).find((name) => typeof name === "object" || name === undefined);
  check(bad === undefined, () => `config: id2label: ${JSON.stringify(bad).slice(0, 60)} is not the name of a class.`);
}

const defaultLabels = (count: number): Record<number, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `LABEL_${i}`]));

const inverse = (id2label: Record<number, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(id2label).map(([id, label]) => [label, Number(id)]));

type Methods = "model_type" | "toJSON" | "toString" | "savePretrained" | "validate" | typeof others;

/** Values of a configuration by name; `num_labels` is short for that many default labels. */
export type ConfigValues<C extends PretrainedConfig> = Partial<Omit<C, Methods>>;

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
  override readonly model_type: string = "bert";
  /** V: rows of the word embeddings. */
  vocab_size = 30522;
  /** C: width of the residual stream; a multiple of `num_attention_heads`. */
  hidden_size = 768;
  num_hidden_layers = 12;
  /** H. */
  num_attention_heads = 12;
  /** Width of the feed-forward layer. */
  intermediate_size = 3072;
  hidden_act: Activation = "gelu";
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
    super(values);
    if (new.target !== BertConfig) return; // a subclass's defaults are still to come
    const { model_type = this.model_type } = values as { model_type?: unknown };
    check(
      model_type === this.model_type,
      () => `config: model_type is "${String(model_type)}", this is a configuration of "${this.model_type}".`,
    );
    this.validate();
  }

  override validate(): void {
    super.validate();
    const bad = (key: Exclude<keyof BertConfig, Methods>, hint: string) =>
      `config: ${key}: ${JSON.stringify(this[key])} ${hint}`;
    const sizes = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings", "type_vocab_size"] as const; // prettier-ignore
    for (const key of sizes) {
      const least = key === "num_hidden_layers" ? 0 : 1;
      check(Number.isInteger(this[key]) && this[key] >= least && this[key] <= limits[key], () =>
        bad(key, `is not an integer from ${least} to ${limits[key]}.`),
      );
    }
    for (const key of ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"] as const)
      check(
        (key === "classifier_dropout" && this[key] === null) ||
          (typeof this[key] === "number" && this[key] >= 0 && this[key] < 1),
        () => bad(key, "is not a probability below 1."),
      );
    for (const key of ["initializer_range", "layer_norm_eps"] as const)
      check(Number.isFinite(this[key]) && this[key] >= 0, () => bad(key, "is not a finite number of at least 0."));
    check(typeof this.tie_word_embeddings === "boolean", () => bad("tie_word_embeddings", "is not true or false."));
    check(this.hidden_size % this.num_attention_heads === 0, () =>
      bad("hidden_size", `is not a multiple of num_attention_heads ${this.num_attention_heads}.`),
    );
    check(activationNames.includes(this.hidden_act), () =>
      bad("hidden_act", `is unknown. Known: ${activationNames.join(", ")}.`),
    );
    check(
      this.pad_token_id === null ||
        (Number.isInteger(this.pad_token_id) && this.pad_token_id >= 0 && this.pad_token_id < this.vocab_size),
      () => bad("pad_token_id", `is not a row of the ${this.vocab_size} word embeddings.`),
    );
    check(
      !this.is_decoder && !this.add_cross_attention,
      "config: is_decoder, add_cross_attention: only encoders are built here.",
    );
    const more = this as { position_embedding_type?: unknown; pruned_heads?: unknown; quantization_config?: unknown };
    const { position_embedding_type: position = "absolute", pruned_heads: pruned, quantization_config } = more;
    check(
      !isObject(pruned) || Object.keys(pruned).length === 0,
      "config: pruned_heads: attention heads that were cut out are not supported.",
    );
    check(
      (quantization_config ?? null) === null,
      "config: quantization_config: quantized weights are not supported. Use the model that was quantized.",
    );
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
    check(
      values,
      () => `${folder.name}: no config.json, so this is not the folder of a model. Did the model get saved there?`,
    );
    const [architecture] = [values["architectures"]].flat();
    const isOldBert = typeof architecture === "string" && architecture.startsWith("Bert");
    const modelType = values["model_type"] ?? (isOldBert ? "bert" : "unknown");
    const Config =
      typeof modelType === "string" && Object.hasOwn(configs, modelType)
        ? configs[modelType as keyof typeof configs]
        : undefined;
    check(
      Config,
      () =>
        `${folder.name}: model_type is ${JSON.stringify(modelType)}. Known here: ${Object.keys(configs).join(", ")}.`,
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
