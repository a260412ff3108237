import { isObject, readJson, type Folder } from "@gpugrad/nn";
import { check, didYouMean } from "@gpugrad/tensor";
import { withinTime } from "#time-limit";

/** Whether biases are trained: none, all of the model, or those of adapted layers. */
export type LoraBias = "none" | "all" | "lora_only";
/** What the model is for: decides which head is trained and saved whole. */
export type PeftTaskType =
  "SEQ_CLS" | "TOKEN_CLS" | "QUESTION_ANS" | "FEATURE_EXTRACTION" | "CAUSAL_LM" | "SEQ_2_SEQ_LM";

/** The heads that a task trains whole, by the names of their modules. */
const headsOf: Partial<Record<PeftTaskType, string[]>> = {
  SEQ_CLS: ["classifier", "score"],
  TOKEN_CLS: ["classifier", "score"],
  QUESTION_ANS: ["qa_outputs"],
};

/** What LoRA adapts, and how: PEFT's `LoraConfig`, under the names that adapter_config.json has. */
export interface LoraOptions {
  /** Rank of the update B · A. */
  r?: number;
  /** The update is multiplied with `lora_alpha / r`. */
  lora_alpha?: number;
  /** Dropout of what enters A. */
  lora_dropout?: number;
  /**
   * Which linear layers are adapted: names, or their last parts (`query`, `attention.self.query`); a regular expression that has to match
   * a whole name; or `all-linear`, all but the output layer.
   */
  target_modules?: string | string[] | null;
  /** Names or a regular expression of what is not adapted, though it is a target. */
  exclude_modules?: string | string[] | null;
  /** Parts that are trained and saved whole, such as a fresh classifier. */
  modules_to_save?: string[] | null;
  task_type?: PeftTaskType | null;
  bias?: LoraBias;
  /** Scales with `lora_alpha / √r`. @see https://arxiv.org/abs/2312.03732 */
  use_rslora?: boolean;
  /** Learns the length of each row of the weight apart from its direction. @see https://arxiv.org/abs/2402.09353 */
  use_dora?: boolean;
  /** Ranks of some layers, by the last parts of their names. */
  rank_pattern?: Record<string, number>;
  alpha_pattern?: Record<string, number>;
  /** Numbers of the layers that are adapted; all unless said otherwise. */
  layers_to_transform?: number | number[] | null;
  layers_pattern?: string | string[] | null;
  /** How A and B begin: `true`, A as a linear layer does and B with 0; `"gaussian"`, A with a deviation of 1/r; `false`, B not with 0 either. */
  init_lora_weights?: boolean | "gaussian";
  base_model_name_or_path?: string | null;
  inference_mode?: boolean;
}

const defaults: Required<LoraOptions> = {
  ...{ r: 8, lora_alpha: 8, lora_dropout: 0, target_modules: null, exclude_modules: null, modules_to_save: null },
  ...{ task_type: null, bias: "none", use_rslora: false, use_dora: false, rank_pattern: {}, alpha_pattern: {} },
  ...{ layers_to_transform: null, layers_pattern: null, init_lora_weights: true },
  ...{ base_model_name_or_path: null, inference_mode: false },
};

/** Keys of PEFT's files that change nothing here, whatever their value. */
const ignored = ["peft_type", "peft_version", "auto_mapping", "revision", "megatron_core", "qalora_group_size"]; // prettier-ignore

/** Keys that ask for what is not built here: only the values that ask for nothing are taken. */
const isNothing = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** How long the regular expressions of a file may take for one name. */
const MILLISECONDS = 1000;
const matches = (pattern: string, name: string): boolean => {
  let regex: RegExp;
  try {
    regex = new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    check(false, () => `adapter: ${JSON.stringify(pattern)} is not a regular expression: ${(error as Error).message}.`);
  }
  return withinTime(MILLISECONDS, () => regex.test(name));
};
/** PEFT's rule for names in lists: the whole of it, or its last parts. */
const endsWith = (name: string, part: string): boolean => name === part || name.endsWith(`.${part}`);

const isListOf = (value: unknown, type: "string" | "number"): value is never[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === type);
const isRate = (value: unknown): boolean => typeof value === "number" && value >= 0 && value < 1;
const isRank = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_536;
const isNames = (value: unknown): boolean => value === null || typeof value === "string" || isListOf(value, "string");
const isNumbers = (value: unknown): boolean => isObject(value) && Object.values(value).every((v) => Number.isFinite(v));

const problems: { [K in keyof LoraOptions]: [(value: unknown) => boolean, expected: string] } = {
  r: [isRank, "an integer from 1 to 65536"],
  lora_alpha: [Number.isFinite, "a number"],
  lora_dropout: [isRate, "a probability below 1"],
  target_modules: [isNames, "names of modules, or a regular expression"],
  exclude_modules: [isNames, "names of modules, or a regular expression"],
  modules_to_save: [(value) => value === null || isListOf(value, "string"), "names of modules"],
  bias: [(value) => ["none", "all", "lora_only"].includes(value as string), '"none", "all" or "lora_only"'],
  use_rslora: [(value) => typeof value === "boolean", "true or false"],
  use_dora: [(value) => typeof value === "boolean", "true or false"],
  rank_pattern: [(value) => isObject(value) && Object.values(value).every(isRank), "ranks by names"],
  alpha_pattern: [isNumbers, "numbers by names"],
  layers_to_transform: [(v) => v === null || Number.isInteger(v) || isListOf(v, "number"), "numbers of layers"],
  layers_pattern: [isNames, "names of lists of layers"],
  init_lora_weights: [(value) => typeof value === "boolean" || value === "gaussian", 'true, false or "gaussian"'],
};

/** A LoRA configuration, checked: how a model is adapted. */
export class LoraConfig {
  readonly values: Required<LoraOptions>;

  /** @throws {@link GpugradError} for an option that is unknown or impossible, naming it */
  constructor(options: LoraOptions = {}) {
    for (const [key, value] of Object.entries(options)) {
      if (ignored.includes(key)) continue;
      check(key in defaults || isNothing(value), () => {
        const hint = didYouMean(key, Object.keys(defaults));
        return `LoraConfig: ${key}: ${JSON.stringify(value).slice(0, 60)} is not supported.${hint ? ` ${hint}` : ""}`;
      });
    }
    const given = Object.entries(options).filter(([key, value]) => key in defaults && value !== undefined);
    this.values = { ...defaults, ...(Object.fromEntries(given) as LoraOptions) };
    for (const [key, [isRight, expected]] of Object.entries(problems)) {
      const value = this.values[key as keyof LoraOptions];
      check(isRight(value), () => `LoraConfig: ${key}: ${JSON.stringify(value)} is not ${expected}.`);
    }
    const heads = headsOf[this.values.task_type!] ?? [];
    if (heads.length > 0)
      this.values.modules_to_save = [...new Set([...(this.values.modules_to_save ?? []), ...heads])];
  }

  /** Reads adapter_config.json. @throws {@link GpugradError} when there is none, or it is not LoRA's */
  static async fromPretrained(folder: Folder): Promise<LoraConfig> {
    const json = await readJson(folder, "adapter_config.json");
    check(json, () => `${folder.name}: no adapter_config.json, so this is not the folder of an adapter.`);
    check(
      json["peft_type"] === "LORA",
      () => `${folder.name}: peft_type is ${JSON.stringify(json["peft_type"])}; only "LORA" is read here.`,
    );
    const start = json["init_lora_weights"];
    check(
      !(typeof start === "string" && /^(pissa|corda|olora|loftq)/i.test(start)),
      () =>
        `${folder.name}: init_lora_weights ${JSON.stringify(start)} changed the base model's weights, which this folder doesn't hold. ` +
        "Let PEFT convert it: model.save_pretrained(folder, path_initial_model_for_weight_conversion=…).",
    );
    try {
      return new LoraConfig({ ...json, init_lora_weights: true });
    } catch (error) {
      if (error instanceof Error) error.message = `${folder.name}/adapter_config.json: ${error.message}`;
      throw error;
    }
  }

  /** What B · A is multiplied with in the layer of this name. */
  scalingOf(name: string): number {
    const alpha = this.#ofPattern(this.values.alpha_pattern, name) ?? this.values.lora_alpha;
    const r = this.rankOf(name);
    return alpha / (this.values.use_rslora ? Math.sqrt(r) : r);
  }

  rankOf(name: string): number {
    return this.#ofPattern(this.values.rank_pattern, name) ?? this.values.r;
  }

  #ofPattern(pattern: Record<string, number>, name: string): number | undefined {
    return Object.entries(pattern).find(([key]) => matches(`(.*\\.)?(${key})`, name))?.[1];
  }

  /** Whether the layer of this name is adapted; what `all-linear` means is the model's to say. */
  isTarget(name: string): boolean {
    const { target_modules: targets, exclude_modules: excluded, layers_to_transform } = this.values;
    if (typeof excluded === "string" ? matches(excluded, name) : excluded?.some((part) => endsWith(name, part)))
      return false;
    if (this.values.modules_to_save?.some((part) => `.${name}.`.includes(`.${part}.`))) return false;
    if (typeof targets === "string") return targets === "all-linear" || matches(targets, name);
    const found = targets?.find((part) => endsWith(name, part));
    if (found === undefined || found === name || layers_to_transform === null) return found !== undefined;
    const layer = this.#layerOf(name);
    return layer !== undefined && [layers_to_transform].flat().includes(layer);
  }

  /** The number of the layer that a module of this name is in. */
  #layerOf(name: string): number | undefined {
    const patterns = [this.values.layers_pattern ?? []].flat();
    const lists = patterns.length > 0 ? patterns : ["[^.]*"];
    for (const list of lists) {
      const found = withinTime(MILLISECONDS, () => new RegExp(`^(?:|.*?\\.)${list}\\.(\\d+)\\.`).exec(name));
      if (found) return Number(found[1]);
    }
    return undefined;
  }

  /** Whether the part of this name is trained and saved whole. */
  isSavedWhole(name: string): boolean {
    return this.values.modules_to_save?.some((part) => endsWith(name, part)) ?? false;
  }

  /** The text of adapter_config.json. */
  toString(): string {
    const json = {
      ...this.values,
      peft_type: "LORA",
      inference_mode: true,
      fan_in_fan_out: false,
    };
    const sorted = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
  }
}
