import { readFileSync } from "node:fs";
import { trainingArguments, type TrainingArguments } from "@gpugrad/train";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";

/** What the command line asks for. */
export interface Options {
  sample: boolean;
  model: string;
  dataset: string;
  datasetConfigName?: string;
  textColumn?: string;
  labelColumn?: string;
  outputDir: string;
  json: boolean;
  cleanHtml: boolean;
  dropout?: number;
  maxTrainSamples?: number;
  maxEvalSamples?: number;
  trainIndices?: number[];
  evalIndices?: number[];
  initClassifier?: string;
  lossTrace?: string;
  /** The training arguments that were given; the rest is the recipe's. */
  given: Partial<TrainingArguments>;
}

const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It has to be a number.");
  return value;
};

const count = (text: string): number => {
  const value = number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("It has to be a whole number from 1 on.");
  return value;
};

const probability = (text: string): number => {
  const value = number(text);
  if (!(value >= 0 && value < 1)) throw new InvalidArgumentError("It has to be from 0 on, and below 1.");
  return value;
};

const rowNumbers = (file: string): number[] => {
  let rows: unknown;
  try {
    rows = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  if (!Array.isArray(rows) || !rows.every((row) => Number.isInteger(row) && row >= 0)) {
    throw new InvalidArgumentError("The file has to hold a JSON array of row numbers.");
  }
  return rows as number[];
};

/** The options, or the exit code where there is nothing to run: 0 after --help, 2 for wrong usage. */
export function parseOptions(argv: readonly string[]): Options | number {
  const command = new Command("train:imdb")
    .description("Fine-tunes BERT for sentiment on IMDB. In the names of options, `_` and `-` are the same.")
    .addOption(
      new Option("--sample", "a small model on made-up reviews: no download")
        .default(false)
        .conflicts(["model", "dataset"]),
    )
    .option("--model <id>", "model: a hub id or a folder", "google-bert/bert-base-uncased")
    .option(
      "--dataset <id>",
      "dataset: a hub id, a folder, or a file, of which a tenth is held out",
      "stanfordnlp/imdb",
    )
    .option("--dataset-config-name <name>", "which configuration of the dataset, where it has several")
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--label-column <name>", "the column that holds the labels (default: found by its usual names)")
    .option("--output-dir <folder>", "where model and tokenizer are saved (default: output/imdb, output/sample)")
    .option("--max-length <n>", "tokens per review (default: 256)", count)
    .addOption(
      new Option(
        "--padding <how>",
        "max_length: all batches of one length; longest: to the longest of the batch",
      ).choices(["max_length", "longest"]),
    )
    .option("--per-device-train-batch-size <n>", "reviews per update (default: 16)", count)
    .option("--per-device-eval-batch-size <n>", "reviews per batch of the evaluation (default: 32)", count)
    .option("--num-train-epochs <n>", "passes over the training set (default: 3)", number)
    .option("--max-steps <n>", "updates in all, instead of epochs", count)
    .option("--learning-rate <x>", "the rate the schedule starts from (default: 5e-5)", number)
    .option("--lr-scheduler-type <name>", "cosine, linear, constant, … (default: cosine)")
    .option("--warmup-steps <n>", "updates of warm-up; below 1, a share of all (default: 0)", number)
    .option("--weight-decay <x>", "decoupled weight decay (default: 0.01, as PyTorch's AdamW)", number)
    .option("--no-decay-groups", "no decay for biases and layer norms, as the Trainer does (default: decay all)")
    .option("--max-grad-norm <x>", "clip gradients to this norm; 0 leaves them (default: 1)", number)
    .option("--fp16", "mixed precision: products of f16 factors, and a loss scale")
    .option("--dropout <p>", "in place of the model's own", probability)
    .option("--seed <n>", "for the order of rows, dropout and the fresh classifier (default: 42)", number)
    .option("--clean-html", "replace <br /> and other tags by a space", false)
    .option("--max-train-samples <n>", "train on n rows, picked by the seed", count)
    .option("--max-eval-samples <n>", "test on n rows, picked by the seed", count)
    .option("--train-indices <file>", "JSON array of training rows, taken in that order", rowNumbers)
    .option("--eval-indices <file>", "JSON array of test rows, taken in that order", rowNumbers)
    .option("--init-classifier <file>", "safetensors with classifier.weight and classifier.bias to start from")
    .option("--loss-trace <file>", "write step, loss, grad_norm, learning_rate and epoch, a JSON line a step")
    .option("--json", "JSON lines on stdout, and nothing else", false)
    .allowExcessArguments(false)
    .exitOverride();
  try {
    const dashed = argv.map((arg) => arg.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-")));
    command.parse(dashed, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  const options = command.opts<Options & TrainingArguments & { decayGroups: boolean }>();
  const names = [
    "maxLength",
    "padding",
    "perDeviceTrainBatchSize",
    "perDeviceEvalBatchSize",
    "numTrainEpochs",
    "maxSteps",
    "learningRate",
    "lrSchedulerType",
    "warmupSteps",
    "weightDecay",
    "maxGradNorm",
    "fp16",
    "seed",
  ] as const;
  const given = Object.fromEntries(names.filter((n) => options[n] !== undefined).map((n) => [n, options[n]]));
  try {
    trainingArguments(given); // says what can't be, before anything is loaded
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  return {
    ...options,
    outputDir: options.outputDir ?? (options.sample ? "output/sample" : "output/imdb"),
    given: { ...given, ...(!options.decayGroups && { noDecayGroups: true }) },
  };
}
