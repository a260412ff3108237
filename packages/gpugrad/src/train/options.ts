import { readFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import {
  camelCase,
  optionHint,
  parseArgument,
  safeName,
  snakeCase,
  TRAINING_ARGUMENTS,
  trainingArguments,
  type Argument,
  type TrainingArguments,
} from "@gpugrad/train";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { load as parseYaml } from "js-yaml";
import { withHint } from "../hint.ts";
import { sayOnce, speaks } from "../ranks/say-once.ts";
import { dashed } from "../run-command.ts";
import { truncationOption, type TruncationOptions } from "../text/truncation.ts";
import { wholeNumber } from "../text/texts.ts";
import { addDataOptions } from "./data-options.ts";
import { addLoraOptions, wantsLora, type LoraFlags } from "./lora.ts";
import { TASK_NAMES, type TaskOptions } from "./kinds.ts";
import { addTaskOptions } from "./task-options.ts";

/** What `gpugrad train` takes beside the training arguments. */
export interface TrainOptions extends TaskOptions, TruncationOptions, LoraFlags {
  model: string;
  task?: string;
  dataset?: string;
  trainFile?: string;
  validationFile?: string;
  testFile?: string;
  maxTrainSamples?: number;
  maxEvalSamples?: number;
  trainIndices?: number[];
  evalIndices?: number[];
  folds?: number;
  fold?: number;
  fromScratch?: boolean;
  dropout?: number;
  doRegression?: boolean;
  numLabels?: number;
  ignoreMismatchedSizes?: boolean;
  initClassifier?: string;
  lossTrace?: string;
  earlyStoppingPatience?: number;
  earlyStoppingThreshold?: number;
  dryRun?: boolean;
  quiet?: boolean;
  json?: boolean;
}

/** A recipe with a name of its own: defaults, which a file or the command line override, and options beside the others. */
export interface TrainPreset {
  /** What the command is called, and what it says of itself. */
  name: string;
  description: string;
  /** Values in place of the defaults; they may depend on what else is asked for. */
  defaults: (options: Readonly<Record<string, unknown>>) => Partial<TrainOptions> & Partial<TrainingArguments>;
  /** Whether it brings model and data of its own, so that none have to be named. */
  bringsTask?: (options: Readonly<Record<string, unknown>>) => boolean;
  /** Whether the model is made by the command, in the folder `start` of the output: then none is named. */
  makesModel?: boolean;
  /** Options beside the others. */
  addOptions?: (command: Command) => void;
}

/** What a command line requests. */
export interface TrainRequest<Extra extends object = object> {
  options: TrainOptions & Partial<Extra>;
  /** All training arguments. */
  args: TrainingArguments;
  /** The length that was asked for; undefined where it is the default. */
  maxLength?: number | undefined;
}

type Values = Record<string, unknown>;

const probability = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= 0 && value < 1)) throw new InvalidArgumentError("It has to be at least 0 and below 1.");
  return value;
};

/** A number of at least 0. */
export const nonNegative = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= 0 && value < Infinity)) throw new InvalidArgumentError("It has to be a number of at least 0.");
  return value;
};

const rowNumbers = (file: string): number[] => {
  if (/^\d+(,\d+)*$/.test(file)) return file.split(",").map(Number); // as train_config.json has them
  let rows: unknown;
  try {
    rows = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  if (!Array.isArray(rows) || !rows.every((row) => Number.isInteger(row) && row >= 0)) {
    throw new InvalidArgumentError("The file has to contain a JSON array of row numbers.");
  }
  return rows as number[];
};

const NAMES = Object.keys(TRAINING_ARGUMENTS) as (keyof TrainingArguments)[];
const written = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
const optionName = (name: string): string => snakeCase(name).replaceAll("_", "-");

/** The command with all options: those of {@link TrainOptions}, and one for each training argument, made from their table. */
function commandOf(preset: TrainPreset): Command {
  const defaults = preset.defaults({}) as Values;
  const command = new Command(preset.name)
    .description(`${preset.description} In the names of options, \`_\` and \`-\` are the same.`)
    .allowExcessArguments(false)
    .exitOverride()
    .option("--config <file>", "JSON or YAML file with any of these options; the command line overrides it")
    .option("--dry-run", "print what would be done, without doing it")
    .option("--quiet", "print only warnings and the final results")
    .option("--json", "print JSON lines on stdout, and nothing else")
    .optionsGroup("Model and data:");
  if (!preset.makesModel) command.option("--model <id>", "model: a hub id or a folder");
  command
    .addOption(new Option("--task <name>", "what is learned (default: what the data is for)").choices(TASK_NAMES))
    .option("--dataset <id>", "dataset: a hub id, a folder, or a file, of which a tenth is held out")
    .option("--train-file <file>", "file to train on, in place of a dataset")
    .option("--validation-file <file>", "file to evaluate on")
    .option("--test-file <file>", "file to test on at the end");
  addDataOptions(command)
    .option("--max-train-samples <n>", "train on n rows, picked by the seed", wholeNumber(1))
    .option("--max-eval-samples <n>", "evaluate on n rows, picked by the seed", wholeNumber(1))
    .option("--train-indices <file>", "JSON array of training rows, taken in that order", rowNumbers)
    .option("--eval-indices <file>", "JSON array of rows to evaluate, taken in that order", rowNumbers)
    .option(
      "--folds <k>",
      "cross-validation: train k times, each time with another part of the training rows to evaluate on",
      wholeNumber(2),
    )
    .option("--fold <n>", "of these, only the nth", wholeNumber(1))
    .option("--from-scratch", "fresh weights: only the configuration and tokenizer of the model are used")
    .option("--dropout <p>", "dropout probability, in place of the model's own", probability)
    .addOption(truncationOption())
    .option("--do-regression", "labels are numbers, not classes (fractional labels always are)")
    .option(
      "--num-labels <n>",
      "classes of the model, where the data has fewer (default: those of the data)",
      wholeNumber(2),
    )
    .option("--ignore-mismatched-sizes", "initialize parameters where the model's files have other shapes")
    .option("--init-classifier <file>", "safetensors file with the classifier.weight and classifier.bias to start from")
    .option("--loss-trace <file>", "write step, loss, grad_norm, learning_rate and epoch, one JSON line per step")
    .option(
      "--early-stopping-patience <n>",
      "stop once the metric of --metric_for_best_model (default: loss) has not improved for n evaluations in a row",
      wholeNumber(1),
    )
    .option("--early-stopping-threshold <x>", "by how much it has to improve (default: 0)", nonNegative);
  addTaskOptions(command);
  addLoraOptions(command, probability);
  preset.addOptions?.(command);
  for (const option of command.options) {
    const value = defaults[option.attributeName()];
    if (value !== undefined) option.description += ` (default: ${written(value)})`;
  }
  command.optionsGroup("Training arguments, as in Transformers:");
  for (const name of NAMES) addArgument(command, name, defaults[name]);
  return command;
}

const PLACEHOLDERS = {
  ...{ number: "<n>", string: "<text>", list: "<a,b>", object: "<json>", boolean: "[true|false]" },
} as const;

function addArgument(command: Command, name: keyof TrainingArguments, preset: unknown): void {
  const argument: Argument = TRAINING_ARGUMENTS[name];
  const { type, choices, help } = argument;
  const value = preset ?? argument.default;
  const shown = typeof value === "object" ? "" : ` (default: ${written(value)})`;
  const listed = choices && type === "string" ? `; one of ${choices.join(", ")}` : "";
  const placeholder = name === "resumeFromCheckpoint" ? "[folder|true]" : PLACEHOLDERS[type];
  const option = new Option(`--${optionName(name)} ${placeholder}`, `${help}${listed}${shown}`);
  option.negate = false; // the name noDecayGroups begins with "no", and denies nothing
  command.addOption(option);
  if (type === "boolean") command.addOption(new Option(`--no-${optionName(name)}`).hideHelp());
}

/** The words of a command line that say what a configuration file says. */
function wordsOf(config: Values): string[] {
  return Object.entries(config).flatMap(([name, value]) => {
    const option = `--${optionName(camelCase(name))}`;
    if (value === null) return [];
    if (value === true) return [option];
    if (value === false) return [`--no-${option.slice(2)}`];
    if (Array.isArray(value)) return [`${option}=${value.join(",")}`];
    return [`${option}=${written(value)}`];
  });
}

/** What a configuration file says. @throws for an unknown name, with the nearest */
function readConfig(file: string, preset: TrainPreset): Values {
  const text = readFileSync(file, "utf8");
  const config: unknown = extname(file) === ".json" ? JSON.parse(text) : parseYaml(text);
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw new Error("it has to contain names with values, such as learning_rate: 5e-5.");
  const known = commandOf(preset).options.flatMap((option) => [
    snakeCase(option.attributeName()),
    ...(option.short?.startsWith("--") ? [snakeCase(camelCase(option.short.slice(2)))] : []),
  ]);
  for (const name of Object.keys(config)) {
    if (!known.includes(snakeCase(camelCase(name)))) throw new Error(`there is no ${name}.${optionHint(name, known)}`);
  }
  return config as Values;
}

/** What `words` say, by the names of options in camelCase. @throws CommanderError or another, once stderr says what is wrong */
function read(
  preset: TrainPreset,
  words: readonly string[],
  reword: (text: string) => string = (text) => text,
): Values {
  const command = commandOf(preset).showSuggestionAfterError(false);
  command.configureOutput({
    writeOut: (text) => void (speaks() && process.stdout.write(text)),
    outputError: (text) => sayOnce(reword(withHint(text, command))),
  });
  command.parse(dashed(words), { from: "user" });
  const values = command.opts<Values>();
  for (const name of NAMES) if (typeof values[name] === "string") values[name] = parseArgument(name, values[name]);
  return values;
}

/** @throws where folds go with something that they don't go with */
function checkFolds({ folds, fold, trainIndices, evalIndices, pushToHub }: Values): void {
  if (fold !== undefined && !(Number(fold) <= Number(folds)))
    throw new Error(`--fold ${Number(fold)} needs --folds of at least as many.`);
  if (folds === undefined) return;
  if (trainIndices ?? evalIndices)
    throw new Error("--folds divides the rows itself: leave out --train_indices and --eval_indices.");
  if (pushToHub) throw new Error("--folds trains several models: push the one that you choose, without --folds.");
}

/** Options that messages of the libraries name by their names in programs. */
const NAMED = [...NAMES, "ignoreMismatchedSizes"].filter((name) => /[A-Z]/.test(name));
const NAMED_IN_MESSAGES = new RegExp(`\\b(${NAMED.join("|")})\\b:?`, "g");

/** A message of the trainer with arguments as a command line has them: `resumeFromCheckpoint: true` is `--resume_from_checkpoint true`. */
export const inTypedNames = (message: string): string =>
  message.replace(NAMED_IN_MESSAGES, (_, name: string) => `--${snakeCase(name)}`);

/**
 * Reads a command line, and the file that it may name with `--config`: what the line says comes first, then the file, then the preset, then
 * the defaults.
 * @returns the request, or the exit code where there is nothing to run: 0 after --help, 2 for wrong usage
 */
export function parseTrainOptions<Extra extends object = object>(
  words: readonly string[],
  preset: TrainPreset,
): TrainRequest<Extra> | number {
  let file: string | undefined;
  try {
    let given = read(preset, words);
    if (typeof given["config"] === "string") {
      file = given["config"];
      // Names in a file have no dashes before them.
      const reword = (text: string): string =>
        `${file}: ${text.replace(/--([\w-]+)/g, (_, name: string) => name.replaceAll("-", "_"))}`;
      const fromFile = read(preset, wordsOf(readConfig(file, preset)), reword);
      file = undefined;
      given = { ...fromFile, ...given };
    }
    if (given["dataset"] && given["trainFile"])
      throw new Error("--dataset and --train_file are given. Give one of the two.");
    const all: Values = { ...preset.defaults(given), ...given };
    if (given["trainFile"]) delete all["dataset"];
    const source = all["dataset"] ?? all["trainFile"];
    if (!preset.bringsTask?.(given)) {
      if (typeof all["model"] !== "string" && !preset.makesModel)
        throw new Error("no model: give --model ID_OR_FOLDER.");
      if (typeof source !== "string") throw new Error("no data to train on: give --dataset ID or --train_file FILE.");
      all["outputDir"] ??= `output/${safeName(basename(source, extname(source)))}`;
      if (preset.makesModel) all["model"] = join(all["outputDir"] as string, "start");
    }
    if (all["earlyStoppingPatience"] !== undefined) {
      all["metricForBestModel"] ??= "loss";
      if ((all["evalStrategy"] ?? "no") === "no")
        throw new Error("--early_stopping_patience watches evaluations: set --eval_strategy to steps or epoch.");
    } else if (all["earlyStoppingThreshold"] !== undefined)
      throw new Error("--early_stopping_threshold has no effect without --early_stopping_patience.");
    if (all["fromScratch"] && wantsLora(all))
      throw new Error("--lora and --from_scratch are given: an adapter is saved without the weights it was trained on. Leave one out."); // prettier-ignore
    checkFolds(all);
    const isArgument = (name: string): boolean => name in TRAINING_ARGUMENTS;
    const args = trainingArguments(Object.fromEntries(Object.entries(all).filter(([name]) => isArgument(name))));
    const options = Object.fromEntries(Object.entries(all).filter(([name]) => !isArgument(name) && name !== "config"));
    const maxLength = all["maxLength"] as number | undefined;
    return { options: options as unknown as TrainOptions & Partial<Extra>, args, maxLength };
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    sayOnce(`error: ${file ? `${file}: ` : ""}${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}
