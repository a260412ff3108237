import { existsSync } from "node:fs";
import { dump } from "js-yaml";
import type { Task, TaskCard } from "../tasks/task.ts";
import type { Dataset } from "../data/dataset.ts";
import type { LogEntry, TrainerState } from "../trainer/trainer-state.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { version } from "../version.ts";

/** What a card says beside what the run knows itself. */
export interface CardInfo {
  /** The repository's name, or the folder's: its last part is the title. */
  name: string;
  /** What was fine-tuned: a repository of the Hub. */
  baseModel?: string | undefined;
  /** What was trained beside it, where that is an adapter, in words. */
  adapter?: string | undefined;
  /** By the Hub's names: `apache-2.0`, `mit`, … */
  license?: string | undefined;
  trainDataset?: Dataset | undefined;
  evalDataset?: Dataset | undefined;
  /** Metrics of the test set, `test_accuracy`, …. */
  tested?: LogEntry | undefined;
  /** How the task presents itself; undefined for one that the Hub has no name for. */
  task?: TaskCard | undefined;
  /** What the task has beside the arguments. */
  facts?: Task["facts"];
}

/** The first line of a card's text: a card without it was written by hand, and stays as it is. */
export const CARD_MARK = "<!-- Written by gpugrad's Trainer. Take this line out to keep what you write. -->";

/** What our metrics are called on the Hub. */
const METRIC_TYPES: Readonly<Record<string, string>> = {
  ...{ accuracy: "accuracy", precision: "precision", recall: "recall", f1: "f1", mcc: "matthews_correlation" },
  ...{ roc_auc: "roc_auc", mse: "mse", mae: "mae", pearson: "pearsonr", spearman: "spearmanr" },
};

/**
 * The model card of a run, `README.md`: metadata as the Hub's own Trainer-made cards have it, then results, hyperparameters, and a table of the
 * evaluations. `library_name` is `transformers`: the files are Transformers' own, so that the Hub's widget and its snippets work with them; an adapter's are PEFT's.
 * @see https://huggingface.co/docs/hub/model-cards
 */
export function modelCard(args: TrainingArguments, state: TrainerState, info: CardInfo): string {
  const { name, baseModel, adapter, license, evalDataset, trainDataset, task } = info;
  const tested = info.tested && metricsOf(info.tested);
  const title = name.split("/").at(-1)!;
  const datasets = [trainDataset, evalDataset].flatMap((dataset) => (dataset ? (hubDataset(dataset) ?? []) : []));
  const ids = [...new Set(datasets.map(({ id }) => id))];
  const results = resultsOf(args, state);
  const measured = Object.entries(results ?? {}).flatMap(([metric, value]) => {
    const type = METRIC_TYPES[metric];
    return type && Number.isFinite(value) ? [{ name: titleOf(metric), type, value }] : [];
  });
  const evaluated = evalDataset && hubDataset(evalDataset);
  const modelIndex = task &&
    evaluated &&
    measured.length > 0 && [
      {
        name: title,
        results: [
          {
            task: { name: task.name, type: task.tag },
            dataset: { name: evaluated.id, type: evaluated.id, split: evaluated.split },
            metrics: measured,
          },
        ],
      },
    ];
  const metadata = {
    library_name: adapter ? "peft" : "transformers",
    ...(license && { license }),
    ...(baseModel && { base_model: baseModel }),
    ...(task && { pipeline_tag: task.tag }),
    tags: ["generated_from_trainer", "gpugrad", ...(adapter ? ["lora"] : [])],
    ...(ids.length > 0 && { datasets: ids }),
    ...(measured.length > 0 && { metrics: measured.map(({ type }) => type) }),
    ...(modelIndex && { "model-index": modelIndex }),
  };
  return `---\n${dump(metadata, { lineWidth: -1 })}---\n\n${CARD_MARK}\n\n${[
    `# ${plain(title)}`,
    introduction(info, ids),
    results && `On the evaluation set it has:\n\n${metricsList(results)}`,
    tested && `On the test set it has:\n\n${metricsList(tested)}`,
    task && `## How to use it\n\n\`\`\`python\n${task.usage(name)}\n\`\`\``,
    "## Model description\n\nMore information needed",
    "## Intended uses & limitations\n\nMore information needed",
    `## Training and evaluation data\n\n${dataOf(info)}`,
    "## Training procedure",
    `### Training hyperparameters\n\n${list(hyperparameters(args, info))}`,
    evaluationTable(state),
    `### Framework versions\n\n${list([
      ["gpugrad", version()],
      ["Node.js", process.versions.node],
    ])}`,
  ]
    .filter(Boolean)
    .join("\n\n")}\n`;
}

/** Metrics of the evaluation that speaks for the saved weights: the best one where these are kept, else the last. */
function resultsOf({ loadBestModelAtEnd }: TrainingArguments, state: TrainerState): LogEntry | undefined {
  const evaluations = state.logHistory.filter((entry) => "eval_loss" in entry);
  const isOver = state.logHistory.some((entry) => "train_runtime" in entry);
  const best = evaluations.find(({ step }) => step === state.bestGlobalStep);
  const chosen = (loadBestModelAtEnd && isOver && best) || evaluations.at(-1);
  return chosen && metricsOf(chosen);
}

const metricsList = (metrics: LogEntry): string =>
  list(Object.entries(metrics).map(([name, value]) => [plain(titleOf(name)), rounded(value)]));

/** An evaluation's metrics without prefix, and without how long it took. */
const metricsOf = (entry: LogEntry): LogEntry =>
  Object.fromEntries(
    Object.entries(entry).flatMap(([key, value]) => {
      const name = /^(?:eval|test)_(.*)$/s.exec(key)?.[1];
      return name === undefined || /^(runtime|(samples|steps)_per_second)$/.test(name) ? [] : [[name, value] as const];
    }),
  );

function introduction({ baseModel, adapter, trainDataset }: CardInfo, ids: readonly string[]): string {
  const base = baseModel && `[${baseModel}](https://huggingface.co/${baseModel})`;
  const from = adapter
    ? `is an adapter${base ? ` for ${base}` : ""} (${plain(adapter)}), trained`
    : base
      ? `is ${base}, fine-tuned`
      : "was trained";
  const names = ids.map((id) => `[${id}](https://huggingface.co/datasets/${id})`).join(" and ");
  const rows = trainDataset ? ` of ${trainDataset.length.toLocaleString("en")} rows` : "";
  return `This model ${from} on ${names || `a dataset${rows}`}.`;
}

/** Names of classes that are listed: more are in the configuration. */
const MOST_LABELS = 50;

function dataOf({ trainDataset, evalDataset, task }: CardInfo): string {
  const sets = Object.entries({ Training: trainDataset, Evaluation: evalDataset }).flatMap(([use, dataset]) => {
    if (!dataset) return [];
    const known = hubDataset(dataset);
    const where = known ? ` of ${known.id} (${known.split})` : "";
    return [[use, `${dataset.length.toLocaleString("en")} rows${where}`] as const];
  });
  const names = (task?.labels ?? []).map((name) => plain(String(name)));
  const more = names.length > MOST_LABELS ? ` and ${names.length - MOST_LABELS} more` : "";
  const labels = names.length > 0 ? [["Labels", `${names.slice(0, MOST_LABELS).join(", ")}${more}`] as const] : [];
  return sets.length + labels.length > 0 ? list([...sets, ...labels]) : "More information needed";
}

/** Under the names that the Hub's cards have. */
function hyperparameters(args: TrainingArguments, { trainDataset, facts = {} }: CardInfo): [string, string | number][] {
  const batch = args.perDeviceTrainBatchSize;
  const accumulation = args.gradientAccumulationSteps;
  const optimizer = args.optim.startsWith("adam")
    ? `${args.optim} with betas=(${args.adamBeta1},${args.adamBeta2}) and epsilon=${args.adamEpsilon}`
    : args.optim;
  return [
    ["learning_rate", args.learningRate],
    ["train_batch_size", batch],
    ["eval_batch_size", args.perDeviceEvalBatchSize],
    ["seed", args.seed],
    ...when(accumulation > 1, "gradient_accumulation_steps", accumulation),
    ...when(accumulation > 1, "total_train_batch_size", batch * accumulation),
    ["optimizer", optimizer],
    ...when(args.weightDecay > 0, "weight_decay", args.weightDecay),
    ["lr_scheduler_type", args.lrSchedulerType],
    ...when(args.warmupSteps > 0, "lr_scheduler_warmup_steps", args.warmupSteps),
    args.maxSteps > 0 ? ["training_steps", args.maxSteps] : ["num_epochs", args.numTrainEpochs],
    ["max_length", args.maxLength],
    ...when(args.fp16, "mixed_precision_training", "fp16"),
    ...when(args.labelSmoothingFactor > 0, "label_smoothing_factor", args.labelSmoothingFactor),
    ...when(args.classWeights !== null, "class_weights", String(args.classWeights)),
    ...Object.entries(facts).map(([name, value]): [string, string] => [name, plain(value)]),
    ...(trainDataset?.changes ?? []).map((change): [string, string] => [change, "true"]),
    ["eval_strategy", args.evalStrategy === "steps" ? `steps, every ${args.evalSteps}` : args.evalStrategy],
    ...when(
      args.metricForBestModel !== null,
      "metric_for_best_model",
      `${plain(args.metricForBestModel ?? "")}, ${args.greaterIsBetter ? "greater" : "lower"} is better`,
    ),
    ...when(args.loadBestModelAtEnd, "load_best_model_at_end", "true"),
  ];
}

const when = <T>(isSo: boolean, name: string, value: T): [string, T][] => (isSo ? [[name, value]] : []);

/** A row for each evaluation of the run, with the training loss that was logged last before it. */
function evaluationTable({ logHistory }: TrainerState): string | undefined {
  const end = logHistory.findIndex((entry) => "train_runtime" in entry);
  const entries = end < 0 ? logHistory : logHistory.slice(0, end);
  const rows: Record<string, string>[] = [];
  let training = "No log";
  for (const entry of entries) {
    if (entry["loss"] !== undefined) training = rounded(entry["loss"]);
    if (entry["eval_loss"] === undefined) continue;
    const { loss, ...metrics } = metricsOf(entry);
    rows.push({
      "Training Loss": training,
      Epoch: rounded(entry["epoch"]!),
      Step: String(entry["step"]),
      "Validation Loss": rounded(loss!),
      ...Object.fromEntries(Object.entries(metrics).map(([name, value]) => [plain(titleOf(name)), rounded(value)])),
    });
  }
  if (rows.length === 0) return undefined;
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return `### Training results\n\n${[
    line(columns),
    `|${columns.map(() => ":---:|").join("")}`,
    ...rows.map((row) => line(columns.map((column) => row[column] ?? ""))),
  ].join("\n")}`;
}

/** Where a dataset lies on the Hub, by its name, `stanfordnlp/imdb (train)`; undefined for a local one. */
function hubDataset({ name }: Dataset): { id: string; split: string } | undefined {
  const [, id, split] = /^([\w-][\w.-]*\/[\w-][\w.-]*) \(([\w.-]+)\)$/.exec(name) ?? [];
  return id === undefined || existsSync(id) ? undefined : { id, split: split! };
}

const list = (entries: readonly (readonly [string, string | number])[]): string =>
  entries.map(([name, value]) => `- ${name}: ${value}`).join("\n");

/** `roc_auc` → `Roc Auc`, as the Hub's cards write it. */
const titleOf = (name: string): string =>
  name.split("_").map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(" "); // prettier-ignore

/** A number, or what a log that was read back has for NaN. */
const rounded = (value: number | null): string => (value === null ? "NaN" : String(Number(value.toFixed(4))));

/** A name from outside as Markdown shows it: neither markup nor a line of its own. */
const plain = (name: string): string =>
  name
    .slice(0, 200)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ")
    .replace(/[\\`*_[\]<>|&!~#$]/g, "\\$&");
