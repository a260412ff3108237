import { isObject, readJson, writeFileAside, type Folder } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { overBase } from "../adapters/base-folder.ts";
import { openByName, type HubOptions } from "../opener.ts";
import { nullable, oneOf, unchecked, type Fields, type ValuesOf } from "./fields.ts";

/** Which loss a sequence classifier computes; decided by the first labels when it is not set. */
export type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";
const problemTypes: readonly ProblemType[] = [
  "regression",
  "single_label_classification",
  "multi_label_classification",
];

/** The version of Transformers whose config.json this module writes. */
const transformersVersion = "5.23.0";

/** As for other sizes: a file with more is damaged. */
const mostLabels = 100_000;

/** Where a configuration keeps values whose keys are the names of its own methods. */
const others = Symbol("others");

const commonFields = {
  architectures: unchecked<string[] | null>(null),
  /** `float32`, `float16` or `bfloat16`: what the weights are saved in. Old files call it `torch_dtype`. */
  dtype: nullable({
    initial: "",
    problem: (value) => (typeof value === "string" ? undefined : "is not the name of a type"),
  }),
  problem_type: nullable(oneOf<ProblemType>("regression", problemTypes)),
} satisfies Fields;

/** Sizes that most families have, under the names that all of them use. */
export interface CommonSizes {
  vocab_size?: number;
  hidden_size?: number;
  num_hidden_layers?: number;
  num_attention_heads?: number;
  max_position_embeddings?: number;
  type_vocab_size?: number;
  /** Standard deviation of fresh weights. */
  initializer_range?: number;
}

/** A class of configurations. */
export interface ConfigClass<C extends PretrainedConfig> {
  new (values?: object): C;
  readonly modelType: string;
  readonly fields: Fields;
}

/**
 * What every model's config.json holds, under the names it has there. Keys that the class does not know are kept, and written again.
 *
 * A family's class gives its `modelType` and its `fields`, each with its default and what it may be, and declares them for TypeScript:
 *
 * ```ts
 * class OwnConfig extends PretrainedConfig {
 *   static override readonly modelType = "own";
 *   static override readonly fields = { depth: size(3, 100) };
 *   declare depth: number;
 * }
 * ```
 *
 * A class field, `depth = 5`, is another default: values that are given come before it. What concerns several fields at once is checked in
 * `validate`.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/configuration_utils.py
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the constructor gives every field its value
export abstract class PretrainedConfig {
  /** `model_type` in config.json. */
  static readonly modelType: string = "";
  /** What this class has beside the fields of every configuration. */
  static readonly fields: Fields = {};

  declare readonly [others]: Map<string, unknown>;
  /** The name of each class of a classifier. */
  declare id2label: Record<number, string>;
  declare label2id: Record<string, number>;
  declare transformers_version: string;

  get model_type(): string {
    return (this.constructor as typeof PretrainedConfig).modelType;
  }

  /** Number of classes: as many as `id2label` names. Another number gives them the names LABEL_0, LABEL_1, … */
  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }
  set num_labels(count: number) {
    if (count === this.num_labels) return;
    check(
      Number.isInteger(count) && count > 0 && count <= mostLabels,
      () => `config: num_labels: ${JSON.stringify(count)} is not a number of classes from 1 to ${mostLabels}.`,
    );
    this.id2label = defaultLabels(count);
    this.label2id = inverse(this.id2label);
  }

  /** Tokens in the longest input; Infinity where nothing limits it. */
  get maxLength(): number {
    return sizesOf(this).max_position_embeddings ?? Infinity;
  }

  /**
   * @param values As they are in a config.json; `num_labels` is short for that many default labels.
   * @throws {@link GpugradError} for a value that no such model can have, naming it
   */
  constructor(values: object = {}) {
    const { modelType } = new.target;
    const { model_type = modelType, num_labels, torch_dtype, ...rest } = values as Record<string, unknown>;
    check(
      model_type === modelType,
      () => `config: model_type is "${String(model_type)}", this is a configuration of "${modelType}".`,
    );
    for (const key of ["id2label", "label2id"] as const) if (!rest[key]) delete rest[key];
    if (isObject(rest["id2label"]) && !rest["label2id"])
      rest["label2id"] = inverse(rest["id2label"] as Record<number, string>);
    if (torch_dtype) rest["dtype"] ??= torch_dtype;

    const own = this as Record<string, unknown>;
    for (const [key, { initial }] of Object.entries(fieldsOf(this))) own[key] = initial;
    this.id2label = defaultLabels(2);
    this.label2id = inverse(this.id2label);
    this.transformers_version = transformersVersion;
    const named = Object.entries(rest);
    const isMethod = ([key]: [string, unknown]) => key in new.target.prototype;
    for (const entry of named) if (!isMethod(entry)) own[entry[0]] = entry[1];
    Object.defineProperty(this, others, { value: new Map(named.filter(isMethod)) });
    checkLabels(this);
    const given = new Set(Object.keys(rest));
    if (num_labels !== undefined && num_labels !== null) {
      this.num_labels = num_labels as number;
      given.add("id2label").add("label2id");
    }
    this.validate();
    // Class fields of a subclass are defined after this, on what is returned: the values given come before theirs. (A definition has
    // all attributes; an assignment has only the value.)
    return new Proxy(this, {
      defineProperty: (target, key, attributes) =>
        ("enumerable" in attributes && given.has(key as string)) || Reflect.defineProperty(target, key, attributes),
    });
  }

  /**
   * Reads `config.json` of a folder or a repository of the Hub.
   *
   * @param overrides Values that come before the file's, such as `{ num_labels: 3 }`.
   * @throws {@link GpugradError} when there is no config.json, it is another model's, or a value is impossible
   */
  static async fromPretrained<C extends PretrainedConfig>(
    this: ConfigClass<C>,
    idOrFolder: string | Folder,
    overrides: ConfigValues<C> = {},
    options: HubOptions = {},
  ): Promise<C> {
    const folder = await openByName(idOrFolder, options);
    return configOf(this, folder.name, await readConfigFile(folder), overrides);
  }

  /** Checks all values. A subclass adds what concerns several of them. @throws {@link GpugradError} naming the first bad one */
  validate(): void {
    const { architectures } = this;
    check(
      architectures === null ||
        (Array.isArray(architectures) && architectures.every((name) => typeof name === "string")),
      () => `config: architectures: ${JSON.stringify(architectures)} is not a list of names.`,
    );
    checkLabels(this);
    for (const [key, { problem }] of Object.entries(fieldsOf(this))) {
      const value = (this as Record<string, unknown>)[key];
      const wrong = problem(value);
      check(wrong === undefined, () => `config: ${key}: ${JSON.stringify(value)} ${wrong}.`);
    }
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
    const floats = Object.entries(fieldsOf(this)).flatMap(([key, { isFloat, floats = [] }]) => [
      ...(isFloat ? [key] : []),
      ...floats,
    ]);
    const names = floats.join("|");
    const json = JSON.stringify(this, null, 2);
    return `${json.replace(new RegExp(`("(?:${names})": -?\\d+)(,?)$`, "gm"), "$1.0$2")}\n`;
  }

  /** Writes `config.json` into `folder`, as Transformers writes and reads it (in Node). */
  savePretrained(folder: string): Promise<void> {
    return writeFileAside(`${folder}/config.json`, this.toString());
  }
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface PretrainedConfig extends ValuesOf<typeof commonFields> {}

/** The names of all dropout probabilities of a configuration. */
export const dropoutNames = (config: PretrainedConfig): string[] =>
  Object.entries(fieldsOf(config))
    .filter(([, { isDropout }]) => isDropout)
    .map(([name]) => name);

/** The sizes of a configuration of any family. */
export const sizesOf = (config: PretrainedConfig): CommonSizes => config as CommonSizes;

const fieldsOf = (config: PretrainedConfig): Fields => ({
  ...commonFields,
  ...(config.constructor as typeof PretrainedConfig).fields,
});

/** The values of a folder's config.json. @throws {@link GpugradError} when there is none */
export async function readConfigFile(folder: Folder, options?: HubOptions): Promise<Record<string, unknown>> {
  const own = await readJson(folder, "config.json");
  const over = own ? undefined : await overBase(folder, options);
  const values = own ?? (over && (await readJson(over, "config.json")));
  check(
    values,
    () => `${folder.name}: no config.json, so this is not the folder of a model. Did the model get saved there?`,
  );
  return values;
}

/** A configuration with a file's values, before which others come. Errors begin with the folder's name. */
export function configOf<C extends PretrainedConfig>(
  Config: ConfigClass<C>,
  folder: string,
  values: object,
  overrides: ConfigValues<C>,
): C {
  const fileLabels = overrides.id2label ? { label2id: undefined, num_labels: undefined } : {}; // not of these labels
  try {
    return new Config({ ...values, ...fileLabels, ...overrides });
  } catch (error) {
    if (error instanceof Error) error.message = `${folder}: ${error.message}`;
    throw error;
  }
}

function checkLabels({ id2label, label2id }: PretrainedConfig): void {
  check(
    isObject(id2label) && isObject(label2id),
    () => `config: id2label, label2id: expected objects, found ${JSON.stringify(id2label)?.slice(0, 60)}.`,
  );
  const ids = Object.keys(id2label);
  check(ids.length <= mostLabels, () => `config: id2label: ${ids.length} classes, of ${mostLabels} at most.`);
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

type Methods = "model_type" | "maxLength" | "toJSON" | "toString" | "savePretrained" | "validate" | typeof others;

/** Values of a configuration by name; `num_labels` is short for that many default labels. */
export type ConfigValues<C extends PretrainedConfig> = Partial<Omit<C, Methods>>;
