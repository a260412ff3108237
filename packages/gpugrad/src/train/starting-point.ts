import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import {
  AutoConfig,
  AutoTokenizer,
  folderOf,
  openFolder,
  trainTokenizer,
  type Folder,
  type PretrainedConfig,
  type Tokenizer,
} from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { snakeCase, type Dataset } from "@gpugrad/train";
import { Option, type Command } from "commander";
import { wholeNumber } from "../text/texts.ts";
import { KINDS } from "./kinds.ts";
import { tablesOf } from "./open-kind.ts";
import type { TrainOptions } from "./options.ts";

/** The sizes of a model, by the names of options and of config.json. */
const SIZES = {
  hiddenSize: "hidden_size",
  numHiddenLayers: "num_hidden_layers",
  numAttentionHeads: "num_attention_heads",
  intermediateSize: "intermediate_size",
  maxPositionEmbeddings: "max_position_embeddings",
} as const;

/** What `gpugrad pretrain` takes beside the options of `gpugrad train`. */
export interface StartOptions extends Partial<Record<keyof typeof SIZES, number>> {
  modelType?: string;
  configName?: string;
  tokenizer?: string;
  vocabSize?: number;
  minFrequency?: number;
  cased?: boolean;
}

/** Tasks that need no labels. */
const TASKS = ["masked-lm", "pretraining"];

/** Families whose own tokenizers are byte-level BPE; others begin with WordPiece. */
const BYTE_LEVEL = ["roberta", "xlm-roberta", "camembert", "deberta", "modernbert"];

/** Adds the options of {@link StartOptions}. */
export function addStartOptions(command: Command): void {
  command
    .optionsGroup("The model and its vocabulary:")
    .option("--model-type <name>", "bert, roberta, … (default: that of --config_name, else bert)")
    .option("--config-name <id>", "a config.json, or a folder or hub id that has one; its weights are not used")
    .option("--hidden-size <n>", "width of the model", wholeNumber(1))
    .option("--num-hidden-layers <n>", "layers", wholeNumber(0))
    .option("--num-attention-heads <n>", "heads", wholeNumber(1))
    .option("--intermediate-size <n>", "width of the feed-forward layers", wholeNumber(1))
    .option("--max-position-embeddings <n>", "rows of the position embeddings", wholeNumber(1))
    .option(
      "--tokenizer <name>",
      "wordpiece or bpe (byte-level): learned from the texts to train on; or a folder or hub id that has one (default: what the family has)",
    )
    .option("--vocab-size <n>", "tokens to learn at most (default: 30000)", wholeNumber(1))
    .option("--min-frequency <n>", "how often pairs of tokens have to occur to become one (default: 2)", wholeNumber(1))
    .addOption(new Option("--cased", "WordPiece keeps capital letters and accents"));
}

/**
 * Writes a configuration and a tokenizer into a folder, from which a model of random weights can be made.
 *
 * @throws {@link GpugradError} for options that contradict each other, or a size that the family's configuration doesn't have
 */
export async function writeStartingPoint(
  folder: string,
  options: TrainOptions & StartOptions,
  note: (line: string) => void,
): Promise<void> {
  const values = await configValues(options);
  const family = typeof values["model_type"] === "string" ? values["model_type"] : "bert";
  const { tokenizer: named = BYTE_LEVEL.includes(family) ? "bpe" : "wordpiece" } = options;
  const isLearned = named === "wordpiece" || named === "bpe";
  for (const name of ["vocabSize", "minFrequency", "cased"] as const)
    if (options[name] !== undefined && (name === "cased" ? named !== "wordpiece" : !isLearned))
      throw new GpugradError(
        `pretrain: --${snakeCase(name)} is for a ${name === "cased" ? "WordPiece vocabulary" : "vocabulary"} that is learned, and the tokenizer is ${named}.`,
      );
  const configFor = (tokens: Partial<Tokenizer>): Promise<PretrainedConfig> =>
    AutoConfig.fromPretrained(
      folderOf({ "config.json": JSON.stringify(values) }, "pretrain"),
      tokensOf(tokens, values),
    );
  // How long texts may be depends on the padding token's id alone.
  const { maxLength } = await configFor({ padTokenId: named === "bpe" ? 1 : 0 });
  const tokenizer = isLearned ? await learned(named, options, maxLength, note) : await AutoTokenizer.fromPretrained(named); // prettier-ignore
  await (await configFor(tokenizer)).savePretrained(folder);
  await tokenizer.savePretrained(folder);
}

/** The values of config.json that options give. */
async function configValues(options: StartOptions): Promise<Record<string, unknown>> {
  const { configName, modelType } = options;
  const known = configName === undefined ? undefined : await AutoConfig.fromPretrained(await configFolder(configName));
  if (known && modelType !== undefined && known.model_type !== modelType)
    throw new GpugradError(`pretrain: --model_type is ${modelType}, but ${configName} is the configuration of a ${known.model_type}.`); // prettier-ignore
  const values: Record<string, unknown> = { ...known?.toJSON(), model_type: known?.model_type ?? modelType ?? "bert" };
  delete values["architectures"];
  const defaults = await AutoConfig.fromPretrained(folderOf({ "config.json": JSON.stringify(values) }, "pretrain"));
  for (const [option, name] of Object.entries(SIZES)) {
    const size = options[option as keyof typeof SIZES];
    if (size === undefined) continue;
    if (!(name in defaults))
      throw new GpugradError(`pretrain: the configuration of ${defaults.model_type} has no ${name}. Give all sizes in a file: --config_name.`); // prettier-ignore
    values[name] = size;
  }
  return values;
}

/** A folder that has the configuration: also that of a file. */
async function configFolder(name: string): Promise<Folder> {
  const isFile = statSync(name, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? folderOf({ "config.json": await readFile(name, "utf8") }, name) : openFolder(name);
}

/** What a configuration says of its tokens, by the names it has in this family. */
function tokensOf(tokenizer: Partial<Tokenizer>, values: Record<string, unknown>): Record<string, unknown> {
  const { vocabSize, padTokenId, bosTokenId, eosTokenId, clsTokenId, sepTokenId } = tokenizer;
  const isModern = values["model_type"] === "modernbert";
  return {
    ...(vocabSize !== undefined && { vocab_size: vocabSize }),
    pad_token_id: padTokenId ?? null,
    ...{ bos_token_id: bosTokenId ?? null, eos_token_id: eosTokenId ?? null },
    ...(isModern && { cls_token_id: clsTokenId ?? null, sep_token_id: sepTokenId ?? null }),
  };
}

/** A tokenizer whose vocabulary is that of the texts to train on. */
async function learned(
  model: "wordpiece" | "bpe",
  options: TrainOptions & StartOptions,
  maxLength: number,
  note: (line: string) => void,
): Promise<Tokenizer> {
  const kind = KINDS.find(({ name }) => name === options.task)!;
  const rows = await kind.read(await (await tablesOf(options, kind.textFiles)).open("train"), options, undefined);
  const { vocabSize, minFrequency, cased = false } = options;
  const tokenizer = await trainTokenizer(textsOf(rows), { model, vocabSize, minFrequency, lowercase: !cased, maxLength }); // prettier-ignore
  note(`vocabulary: ${tokenizer.vocabSize} tokens of ${model === "bpe" ? "byte-level BPE" : "WordPiece"}, learned from ${rows.name}`); // prettier-ignore
  return tokenizer;
}

async function* textsOf(rows: Dataset): AsyncGenerator<string> {
  for await (const { text, sentences } of rows) {
    if (Array.isArray(sentences)) yield* sentences as string[];
    else yield text;
  }
}

/** @throws {@link GpugradError} for a task that needs labels */
export function checkStartTask(task: string | undefined): void {
  if (!TASKS.includes(task ?? ""))
    throw new GpugradError(`pretrain: the task is ${task}; it has to be one of ${TASKS.join(", ")}. gpugrad train is for the others.`); // prettier-ignore
}
