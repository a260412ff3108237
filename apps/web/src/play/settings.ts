import { SAMPLE_RECIPE, TRAINING_ARGUMENTS, camelCase } from "@gpugrad/train";

/** A field of the form, by Hugging Face's name where there is one. */
interface Field {
  readonly default: string | number;
  readonly help: string;
  readonly choices?: readonly string[];
  /** Shown only where another field has this value. */
  readonly when?: readonly [name: string, value: string];
  /** What is wrong with a value; undefined where nothing is. */
  readonly check?: (value: number | string) => string | undefined;
}

const count =
  (from: number, to: number) =>
  (value: number | string): string | undefined =>
    Number.isInteger(value) && Number(value) >= from && Number(value) <= to
      ? undefined
      : `it has to be a whole number from ${from} to ${to}`;

/** An argument of training, with the library's own help, choices and rule. */
function argument(name: string, byDefault?: number | string): Field {
  const { default: own, help, choices, brokenRule } = TRAINING_ARGUMENTS[camelCase(name) as "learningRate"];
  return { default: byDefault ?? own, help, ...(choices && { choices }), check: brokenRule };
}

const { model, args, trainRows, testRows } = SAMPLE_RECIPE;

/** All that a run is made of, in the order of the form. */
export const GROUPS = {
  Data: {
    data: { default: "reviews", choices: ["reviews", "files", "hub"], help: "made-up film reviews; files of yours, which stay on this machine; or a dataset of the Hub" }, // prettier-ignore
    train_rows: { default: trainRows, help: "how many reviews to train on", when: ["data", "reviews"], check: count(2, 100_000) }, // prettier-ignore
    eval_rows: { default: testRows, help: "how many reviews to evaluate on", when: ["data", "reviews"], check: count(2, 10_000) }, // prettier-ignore
    dataset: { default: "stanfordnlp/imdb", help: "a dataset of the Hub with a column of texts and one of labels", when: ["data", "hub"] }, // prettier-ignore
    max_train_samples: {
      default: 0,
      help: "train on this many rows, picked by the seed; 0: all",
      check: count(0, 1e9),
    },
    max_eval_samples: { default: 0, help: "evaluate on this many rows; 0: all", check: count(0, 1e9) },
  },
  Model: {
    model: { default: "small", choices: ["small", "hub", "folder"], help: "a small BERT from random weights, whose vocabulary is learned from the data; a model of the Hub; or a folder of yours" }, // prettier-ignore
    model_name_or_path: { default: "sentence-transformers/all-MiniLM-L6-v2", help: "a model of the Hub with model.safetensors and a tokenizer", when: ["model", "hub"] }, // prettier-ignore
    hidden_size: { default: model.hidden_size, help: "width of the model", when: ["model", "small"], check: count(2, 1024) }, // prettier-ignore
    num_hidden_layers: { default: model.num_hidden_layers, help: "layers", when: ["model", "small"], check: count(1, 24) }, // prettier-ignore
    num_attention_heads: { default: model.num_attention_heads, help: "heads of attention in each layer", when: ["model", "small"], check: count(1, 16) }, // prettier-ignore
    intermediate_size: { default: model.intermediate_size, help: "width of the feed-forward layers", when: ["model", "small"], check: count(1, 4096) }, // prettier-ignore
    vocab_size: { default: SAMPLE_RECIPE.vocabSize, help: "tokens to learn from the data", when: ["model", "small"], check: count(64, 30_000) }, // prettier-ignore
    endpoint: { default: "https://huggingface.co", help: "HF_ENDPOINT: where the Hub is, or a mirror of it" },
  },
  Training: {
    learning_rate: argument("learning_rate", args.learningRate),
    num_train_epochs: argument("num_train_epochs", args.numTrainEpochs),
    max_steps: argument("max_steps"),
    per_device_train_batch_size: argument("per_device_train_batch_size", args.perDeviceTrainBatchSize),
    seed: argument("seed"),
  },
  "More arguments": {
    per_device_eval_batch_size: argument("per_device_eval_batch_size", args.perDeviceEvalBatchSize),
    gradient_accumulation_steps: argument("gradient_accumulation_steps"),
    max_length: { default: args.maxLength, help: "tokens of a text at most", check: count(4, 8192) },
    optim: argument("optim"),
    lr_scheduler_type: argument("lr_scheduler_type", args.lrSchedulerType),
    warmup_steps: argument("warmup_steps", args.warmupSteps),
    weight_decay: argument("weight_decay", args.weightDecay),
    max_grad_norm: argument("max_grad_norm", args.maxGradNorm),
    label_smoothing_factor: argument("label_smoothing_factor"),
    dropout: { default: 0, help: "share of activations that are dropped in training, of a small model", when: ["model", "small"] }, // prettier-ignore
    eval_steps: { default: 50, help: "updates between evaluations", check: count(1, 1e9) },
    save_steps: { default: 100, help: "updates between checkpoints, which outlive the tab", check: count(1, 1e9) },
    look_steps: { default: 10, help: "updates between looks at your sentence; not an argument of the Trainer", check: count(1, 1e9) }, // prettier-ignore
  },
} as const satisfies Record<string, Record<string, Field>>;

type Groups = typeof GROUPS;
type UnionOfFields = { [G in keyof Groups]: keyof Groups[G] }[keyof Groups];
export type SettingName = UnionOfFields & string;

/** Values by the names of the form. */
export type Settings = Record<SettingName, string | number> & { sentence: string };

export const FIELDS = Object.assign({}, ...Object.values(GROUPS)) as Record<SettingName, Field>;
const NAMES = Object.keys(FIELDS) as SettingName[];

export const DEFAULTS: Settings = {
  ...(Object.fromEntries(NAMES.map((name) => [name, FIELDS[name].default])) as Record<SettingName, string | number>),
  sentence: "The story was predictable, but the film is a joy.",
};

/** A value as it was typed: a number where the field's default is one. */
export const valueOf = (name: SettingName, text: string): string | number =>
  typeof FIELDS[name].default === "number" ? (text.trim() === "" ? NaN : Number(text)) : text;

/** Whether a field counts, given the others. */
export const isUsed = (name: SettingName, settings: Settings): boolean => {
  const { when } = FIELDS[name];
  return !when || settings[when[0] as SettingName] === when[1];
};

/** What is wrong with a value; undefined where nothing is. */
export const problemOf = (name: SettingName, settings: Settings): string | undefined => {
  const { check, choices, default: byDefault } = FIELDS[name];
  const value = settings[name];
  if (!isUsed(name, settings)) return undefined;
  if (check) return check(value);
  if (typeof byDefault === "number") return Number.isFinite(value) ? undefined : "it has to be a number";
  return choices && !choices.includes(String(value)) ? `it has to be one of ${choices.join(", ")}` : undefined;
};

/** Settings as the part of an address after `#`: those that differ from the defaults. */
export function toHash(settings: Settings): string {
  const own = [...NAMES, "sentence" as const].filter(
    (name) => settings[name] !== DEFAULTS[name] && (name === "sentence" || isUsed(name, settings)),
  );
  return new URLSearchParams(own.map((name) => [name, String(settings[name])])).toString();
}

/** The settings of an address; what it doesn't say, and names that there aren't, are left as by default. */
export function fromHash(hash: string): Settings {
  const settings = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (name === "sentence") settings.sentence = text;
    else if (Object.hasOwn(FIELDS, name)) settings[name as SettingName] = valueOf(name as SettingName, text);
  }
  return settings;
}
