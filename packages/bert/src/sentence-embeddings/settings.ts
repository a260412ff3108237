import {
  isObject,
  parseJson,
  readJson,
  readText,
  toFloat32,
  type Activation,
  type Folder,
  type Json,
} from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { openWeights } from "../weights/open-weights.ts";

/** How one vector is made of those of a text's tokens, and the switch for it in older files. */
export const poolingModes = {
  cls: "pooling_mode_cls_token",
  max: "pooling_mode_max_tokens",
  mean: "pooling_mode_mean_tokens",
  mean_sqrt_len_tokens: "pooling_mode_mean_sqrt_len_tokens",
  weightedmean: "pooling_mode_weightedmean_tokens",
  lasttoken: "pooling_mode_lasttoken",
};
export type PoolingMode = keyof typeof poolingModes;
const modeNames = Object.keys(poolingModes) as PoolingMode[];

/** A linear layer that follows the pooling. */
interface Dense {
  weight: { data: Float32Array; shape: readonly number[] };
  bias?: { data: Float32Array; shape: readonly number[] };
  act: Activation;
}

/** How a folder says that sentence embeddings are made. */
export interface SentenceSettings {
  /** Their vectors are put side by side. */
  modes: readonly PoolingMode[];
  dense: readonly Dense[];
  /** Whether vectors are scaled to length 1. */
  normalize: boolean;
  /** Tokens per text; undefined where the folder doesn't say. */
  maxLength: number | undefined;
  lowerCase: boolean;
  /** What goes before each text. */
  prompt: string;
  /** Whether the prompt's tokens are pooled too. */
  includePrompt: boolean;
}

/** The names of PyTorch's activations, and ours. */
const denseActs: Record<string, Activation> = { Identity: "linear", Tanh: "tanh", ReLU: "relu", GELU: "gelu", Sigmoid: "sigmoid", SiLU: "silu" }; // prettier-ignore

/**
 * Reads what sentence-transformers saves beside a model: modules.json and the folders that it names, sentence_bert_config.json and
 * config_sentence_transformers.json. A folder without modules.json gives the mean of the tokens, scaled to length 1.
 *
 * @throws {@link GpugradError} naming what is not supported
 * @see https://github.com/huggingface/sentence-transformers
 */
export async function readSentenceSettings(folder: Folder, hiddenSize: number): Promise<SentenceSettings> {
  const own = (await readJson(folder, "sentence_bert_config.json")) ?? {};
  const { max_seq_length: maxLength = null, do_lower_case: lowerCase = false } = own;
  const where = `${folder.name}/sentence_bert_config.json`;
  check(
    maxLength === null || (Number.isInteger(maxLength) && (maxLength as number) > 0),
    () => `${where}: max_seq_length: ${brief(maxLength)} is not a positive integer.`,
  );
  check(typeof lowerCase === "boolean", () => `${where}: do_lower_case: ${brief(lowerCase)} is not true or false.`);
  const settings: SentenceSettings = {
    ...{ modes: ["mean"], dense: [], normalize: true, includePrompt: true },
    ...{ maxLength: (maxLength as number | null) ?? undefined, lowerCase, prompt: await readPrompt(folder) },
  };
  const modules = await readModules(folder);
  return modules ? { ...settings, ...(await readPipeline(folder, modules, hiddenSize)) } : settings;
}

const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 60);

async function readPrompt(folder: Folder): Promise<string> {
  const config = (await readJson(folder, "config_sentence_transformers.json")) ?? {};
  const { prompts, default_prompt_name: name = null } = config;
  if (name === null) return "";
  const prompt =
    isObject(prompts) && typeof name === "string" && Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  check(
    typeof prompt === "string",
    () => `${folder.name}/config_sentence_transformers.json: prompts has no text named ${brief(name)}.`,
  );
  return prompt;
}

interface SentenceModule {
  kind: string;
  path: string;
}

/** modules.json: undefined where there is none. */
async function readModules(folder: Folder): Promise<SentenceModule[] | undefined> {
  const text = await readText(folder, "modules.json");
  if (text === undefined) return undefined;
  const where = `${folder.name}/modules.json`;
  const list = parseJson(text, where);
  check(Array.isArray(list) && list.length > 0, () => `${where}: expected a list of modules.`);
  return list.map((entry: unknown) => {
    const { type, path } = isObject(entry) ? entry : {};
    check(
      typeof type === "string" && typeof path === "string" && /^[\w-]*$/.test(path),
      () => `${where}: ${brief(entry)} is not a module with its type and a folder of its own.`,
    );
    return { kind: type.split(".").at(-1)!, path };
  });
}

/** What comes after the encoder: pooling, then layers, then at most one normalization. */
async function readPipeline(
  folder: Folder,
  [encoder, pooling, ...others]: SentenceModule[],
  hiddenSize: number,
): Promise<Pick<SentenceSettings, "modes" | "dense" | "normalize" | "includePrompt">> {
  const where = `${folder.name}/modules.json`;
  check(
    encoder?.kind === "Transformer" && encoder.path === "" && pooling?.kind === "Pooling",
    () =>
      `${where}: expected a Transformer in the folder itself, then Pooling, found ${encoder?.kind}, ${pooling?.kind}.`,
  );
  const { modes, includePrompt } = readPooling(
    await readModule(folder, pooling),
    `${folder.name}/${pooling.path}`,
    hiddenSize,
  );
  const dense: Dense[] = [];
  for (const [i, { kind, path }] of others.entries()) {
    if (kind === "Dense") dense.push(await readDense(folder, path));
    else
      check(
        kind === "Dropout" || (kind === "Normalize" && i === others.length - 1),
        () => `${where}: the module ${kind} after Pooling is not supported; Dense, and Normalize as the last one, are.`,
      );
  }
  return { modes, dense, includePrompt, normalize: others.at(-1)?.kind === "Normalize" };
}

async function readModule(folder: Folder, { path }: Pick<SentenceModule, "path">): Promise<Json> {
  const config = await readJson(folder, `${path}/config.json`);
  check(config, () => `${folder.name}: modules.json names ${path}, but there is no ${path}/config.json.`);
  return config;
}

function readPooling(
  config: Json,
  where: string,
  hiddenSize: number,
): { modes: PoolingMode[]; includePrompt: boolean } {
  const size = config["embedding_dimension"] ?? config["word_embedding_dimension"] ?? hiddenSize;
  check(
    size === hiddenSize,
    () => `${where}/config.json: pools vectors of ${brief(size)}, but the model's have ${hiddenSize}.`,
  );
  const switched = modeNames.filter((mode) => config[poolingModes[mode]] === true);
  const modes = config["pooling_mode"] ? [config["pooling_mode"]].flat() : switched.length > 0 ? switched : ["mean"];
  for (const mode of modes)
    check(
      modeNames.includes(mode as PoolingMode),
      () => `${where}/config.json: pooling_mode: ${brief(mode)} is not one of ${modeNames.join(", ")}.`,
    );
  return { modes: modes as PoolingMode[], includePrompt: config["include_prompt"] !== false };
}

async function readDense(folder: Folder, path: string): Promise<Dense> {
  const where = `${folder.name}/${path}`;
  const config = await readModule(folder, { path });
  const { activation_function: name = "torch.nn.modules.activation.Tanh", use_residual, module_input_name } = config;
  const act = typeof name === "string" ? name.split(".").at(-1)! : "";
  check(
    Object.hasOwn(denseActs, act),
    () =>
      `${where}/config.json: activation_function: ${brief(name)} is not one of ${Object.keys(denseActs).join(", ")}.`,
  );
  check(
    !use_residual && (module_input_name ?? "sentence_embedding") === "sentence_embedding",
    () => `${where}/config.json: use_residual, module_input_name: only a plain layer after the pooling is supported.`,
  );
  const weights = await openWeights({ name: where, open: (file) => folder.open(`${path}/${file}`) });
  try {
    const read = async (key: string) => {
      const { dtype, bytes, shape } = await weights.read(key);
      return { data: toFloat32(dtype, bytes), shape };
    };
    const weight = await read("linear.weight");
    return { weight, act: denseActs[act]!, ...(weights.has("linear.bias") && { bias: await read("linear.bias") }) };
  } finally {
    await weights.close();
  }
}
