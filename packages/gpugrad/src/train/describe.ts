import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { sizesOf } from "@gpugrad/bert";
import type { AdapterInfo } from "@gpugrad/tensor";
import {
  adapterOf,
  createOptimizer,
  encodeRows,
  formatBytes,
  formatLabelCounts,
  formatNumber,
  formatTable,
  freeze,
  labelCounts,
  modelLike,
  paddingShare,
  shownText,
  shuffledIndices,
  snakeCase,
  stepMemory,
  TRAINING_ARGUMENTS,
  type Dataset,
  type Row,
  type Trainer,
  type TrainingArguments,
} from "@gpugrad/train";
import type { TrainOptions } from "./options.ts";
import type { Task } from "./task.ts";

/** Texts are tokenized to estimate their lengths: at this many random places … */
const SAMPLED_PLACES = 32;
/** … this many rows each. A large file is read block by block, and single rows would have as many blocks read. */
const ROWS_AT_A_PLACE = 16;

/** From here on, classes are called uneven. */
const UNEVEN = 3;

/** Of a longer list, only the beginning is printed. */
const LISTED = 16;

/** What the data is like, by the names that events have. */
export interface DataSummary {
  train_rows: number;
  eval_rows: number;
  test_rows?: number;
  /** Rows of each class by its name; of a regression, the range of the numbers. */
  classes?: Record<string, number>;
  labels?: { least: number; most: number };
  /** Rows that were left out, and what was wrong with the first of them. */
  bad_rows: number;
  bad_rows_first: readonly string[];
  /** Of a sample of rows: tokens of the median row, and of the longest but 5 %. */
  median_tokens: number;
  p95_tokens: number;
  /** Shares of rows that are longer than `max_length`, and of padding in a batch. */
  truncated: number;
  padding: number;
  /** Tokens of an epoch with padding, about. */
  tokens_per_epoch: number;
}

/** Counts classes, and tokenizes some rows. */
export async function summarize(
  { task, train, validation, test, tokenizer }: Task,
  { trainIndices }: TrainOptions,
  args: TrainingArguments,
  maxLength: number,
): Promise<DataSummary> {
  const rows = trainIndices ? train.select(trainIndices) : train;
  const read = await sampleOf(rows, args.seed);
  const encoded = task?.encode?.(read, tokenizer, Infinity) ?? encodeRows(tokenizer, read, Infinity);
  const lengths = encoded.map(({ input_ids }) => input_ids.length);
  const sorted = lengths.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  const order =
    args.trainSamplingStrategy === "group_by_length"
      ? [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]!)
      : shuffledIndices(lengths.length, args.seed);
  const batch = { batchSize: args.perDeviceTrainBatchSize, maxLength };
  const padding = paddingShare(lengths, order, batch, args.padding);
  const bad = [...new Set([train, validation, ...(test ? [test] : [])].map(({ badRows }) => badRows))]; // a table may be both
  const mean = lengths.reduce((sum, length) => sum + Math.min(length, maxLength), 0) / lengths.length;
  return {
    train_rows: rows.length,
    eval_rows: validation.length,
    ...(test && { test_rows: test.length }),
    ...(task === undefined && (await labelsOf(rows))),
    bad_rows: bad.reduce((sum, { count }) => sum + count, 0),
    bad_rows_first: bad.flatMap(({ first }) => first),
    median_tokens: at(0.5),
    p95_tokens: at(0.95),
    truncated: lengths.filter((length) => length > maxLength).length / lengths.length,
    padding,
    tokens_per_epoch: Math.round((rows.length * mean) / (1 - padding)),
  };
}

/** Rows of places at random; all rows where there are few. */
async function sampleOf(rows: Dataset, seed: number): Promise<Row[]> {
  const places = shuffledIndices(Math.ceil(rows.length / ROWS_AT_A_PLACE), seed).subarray(0, SAMPLED_PLACES);
  const sample: Row[] = [];
  for (const place of places) {
    const start = place * ROWS_AT_A_PLACE;
    const end = Math.min(start + ROWS_AT_A_PLACE, rows.length);
    for (let i = start; i < end; i++) sample.push(await rows.row(i));
  }
  return sample;
}

async function labelsOf(rows: Dataset): Promise<Pick<DataSummary, "classes" | "labels">> {
  const counts = await labelCounts(rows);
  if (counts.length > 0) {
    return { classes: Object.fromEntries(counts.map((count, id) => [rows.labels.names?.[id] ?? String(id), count])) };
  }
  let [least, most] = [Infinity, -Infinity];
  for (let i = 0; i < rows.length; i++) {
    const label = (await rows.label(i)) ?? NaN;
    least = Math.min(least, label);
    most = Math.max(most, label);
  }
  return { labels: { least, most } };
}

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.01 ? 2 : 0)} %`;
const millions = (count: number): string => `${(count / 1e6).toFixed(2)} M`;

type Line = [name: string, text: string];

/** What will be done, in words: adapter, model, data, training and output, a line each. */
export function describeRun(
  { title, model }: Task,
  trainer: Trainer<Task["model"]>,
  data: DataSummary,
  adapter: AdapterInfo,
  { unit, maxLength, warnings, ranks }: { unit: string; maxLength: number; warnings: readonly string[]; ranks: number },
): string {
  const { args, totalSteps } = trainer;
  const { config } = model;
  const frozen = model.parameters().reduce((sum, p) => sum + (p.requiresGrad ? 0 : p.size), 0);
  const trained = model.parameters().reduce((sum, p) => sum + (p.requiresGrad ? p.size : 0), 0);
  const lora = adapterOf(model);
  const rowsPerUpdate = args.perDeviceTrainBatchSize * args.gradientAccumulationSteps * ranks;
  const counts = Object.values(data.classes ?? {});
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const warning =
    data.classes && fewest === 0
      ? "! a class has no row to learn from"
      : most / fewest >= UNEVEN
        ? `! uneven by ${(most / fewest).toFixed(1)}: --class_weights balanced makes up for it`
        : undefined;
  const rows: Line[] = [
    ...(trainer.task.name === "text-classification" ? [] : [["task", trainer.task.name] as Line]),
    ["adapter", `${adapter.description}${adapter.cpu ? ", which is the CPU: a GPU is far faster" : ""}`],
    [
      "model",
      `${sizesOf(config).num_hidden_layers} layers of ${sizesOf(config).hidden_size}, ${millions(model.numParameters())} parameters` +
        `${frozen > 0 ? ` (${millions(frozen)} of them frozen)` : ""}, ${trainer.task.output}`,
    ],
    ...(lora ? [["trained", `${lora}: ${trained.toLocaleString("en")} parameters`] as Line] : []),
    ...(trainer.task.facts ? [["learned", Object.entries(trainer.task.facts).map((fact) => fact.join(" ")).join(", ")] as Line] : []), // prettier-ignore
    [
      "data",
      `${data.train_rows} ${unit} to train on, ${data.eval_rows} to ${data.test_rows === undefined ? "test" : `evaluate, ${data.test_rows} to test`}, ` +
        `${maxLength} tokens at most`,
    ],
    ...(data.classes ? [["classes", formatLabelCounts(counts, Object.keys(data.classes))] as Line] : []),
    ...(warning ? [["", warning] as Line] : []),
    ...(data.labels
      ? [["labels", `numbers from ${formatNumber(data.labels.least)} to ${formatNumber(data.labels.most)}`] as Line]
      : []),
    ...(data.bad_rows > 0
      ? [["bad rows", [`${data.bad_rows} left out:`, ...data.bad_rows_first].join("\n             ")] as Line]
      : []),
    [
      "lengths",
      `median ${data.median_tokens} tokens, 95th percentile ${data.p95_tokens}; ` +
        `${percent(data.truncated)} of rows are cut, ${percent(data.padding)} of a batch is padding`,
    ],
    [
      "training",
      `${totalSteps} updates of ${rowsPerUpdate} ${unit}${ranks > 1 ? ` on ${ranks} ranks` : ""}; ${args.optim.startsWith("adamw") ? "AdamW" : args.optim} ${args.learningRate}, ` +
        `${args.lrSchedulerType}, weight decay ${args.weightDecay}, clip ${args.maxGradNorm}, seed ${args.seed}${args.fp16 ? ", fp16" : ""}`,
    ],
    ["output", args.outputDir!],
    ...warnings.map((text): Line => ["", `! ${text}`]),
  ];
  return [title, ...rows.map(([name, text]) => `  ${name.padEnd(9)}  ${text}`)].join("\n");
}

/** Updates and tokens of the whole run, and the device memory that it takes: weights, gradients and optimizer, and all of it. */
export interface Totals {
  updates: number;
  epochs: number;
  tokens: number;
  state_bytes: number;
  /** All that an update of the longest batch takes. */
  update_bytes: number;
}

export function totalsOf(
  { model }: Task,
  trainer: Trainer<Task["model"]>,
  data: DataSummary,
  maxLength: number,
): Totals {
  const { args, totalSteps } = trainer;
  const rowsPerUpdate = args.perDeviceTrainBatchSize * args.gradientAccumulationSteps;
  const epochs = args.maxSteps > 0 ? (args.maxSteps * rowsPerUpdate) / data.train_rows : args.numTrainEpochs;
  const trained = model.parameters().reduce((sum, p) => sum + (p.requiresGrad ? p.size : 0), 0);
  const moments = args.optim.startsWith("adamw") ? 2 : 0;
  const { bytes } = stepMemory({
    config: model.config,
    modelFor: modelLike(model),
    task: trainer.task,
    batchSize: args.perDeviceTrainBatchSize,
    length: maxLength,
    accumulation: args.gradientAccumulationSteps,
    gradientCheckpointing: args.gradientCheckpointing,
    fp16: args.fp16,
    optimizerFor: (twin) => {
      if (args.freeze.length > 0) freeze(twin, args.freeze);
      return createOptimizer(twin, args);
    },
  });
  return {
    updates: totalSteps,
    epochs,
    tokens: Math.round(data.tokens_per_epoch * epochs),
    state_bytes: 4 * (model.numParameters() + (1 + moments) * trained),
    update_bytes: bytes,
  };
}

/** What is better known before a run than after it. */
export async function warningsOf(
  task: Task,
  { args, totalSteps }: Trainer<Task["model"]>,
  { maxLength, askedLength }: { maxLength: number; askedLength: number | undefined },
): Promise<string[]> {
  const warnings = task.task ? [] : await unlearnt(task);
  if (askedLength !== undefined && askedLength > maxLength)
    warnings.push(`--max_length ${askedLength} is more than the model takes: texts are cut at ${maxLength} tokens`);
  const trained = task.model.parameters().reduce((sum, p) => sum + (p.requiresGrad ? p.size : 0), 0);
  const weights = 4 * (adapterOf(task.model) ? trained : task.model.numParameters());
  const checkpoint = weights + (args.saveOnlyModel || !args.optim.startsWith("adamw") ? 0 : 8 * trained);
  const { saveStrategy, saveSteps, saveTotalLimit, numTrainEpochs } = args;
  const every = saveSteps < 1 ? Math.ceil(saveSteps * totalSteps) : saveSteps;
  const saves = { no: 0, best: 1, epoch: Math.ceil(numTrainEpochs), steps: Math.ceil(totalSteps / every) }[
    saveStrategy
  ];
  // A new checkpoint is whole before the oldest one goes.
  const needed = weights + checkpoint * Math.min(saves, (saveTotalLimit ?? Infinity) + 1);
  const free = await freeBytes(args.outputDir!);
  if (needed > free)
    warnings.push(
      `checkpoints and model take about ${formatBytes(needed)}, and ${formatBytes(free)} are free there: see --save_total_limit`,
    );
  return warnings;
}

/** Where a row to evaluate or to test on is of a class that has no row to train on. */
async function unlearnt({ train, validation, test }: Task): Promise<string[]> {
  const counts = await labelCounts(train);
  const warnings: string[] = [];
  for (const rows of [validation, ...(test ? [test] : [])]) {
    const first = new Map<number, number>(); // a row by class
    for (let i = 0; counts.length > 0 && i < rows.length; i++) {
      const label = await rows.label(i);
      if (label !== undefined && !counts[label] && !first.has(label)) first.set(label, i);
    }
    const [found] = first;
    if (!found) continue;
    const [label, row] = found;
    const others = first.size > 1 ? ` (and ${first.size - 1} more ${first.size > 2 ? "classes" : "class"})` : "";
    const name = train.labels.names?.[label];
    warnings.push(
      `${rows.where(row)}: class ${name === undefined ? label : shownText(name)} has no row to learn from${others}`,
    );
  }
  return warnings;
}

/** Bytes that can still be written to a folder, or to where it will be. */
async function freeBytes(folder: string): Promise<number> {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = await statfs(there);
  return bavail * bsize;
}

/** The whole configuration by its names in snake_case: options first, then the training arguments. Tokens are left out. */
export function configurationOf(options: TrainOptions, args: TrainingArguments): Record<string, unknown> {
  const { dryRun: _, json: __, quiet: ___, ...others } = options;
  const named = Object.entries({ ...others, ...args }).map(([name, value]) => [snakeCase(name), value] as const);
  return Object.fromEntries(named.map(([name, value]) => [name, name === "hub_token" && value ? "…" : value]));
}

/** The configuration as two lists: what differs from the defaults, and what doesn't. */
export function describeConfiguration(configuration: Readonly<Record<string, unknown>>): string {
  const show = (value: unknown): string => {
    if (Array.isArray(value) && value.length > LISTED)
      return `[${value.slice(0, 3).join(", ")}, … ${value.length} in all]`;
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  const defaults = new Map<string, unknown>(
    Object.entries(TRAINING_ARGUMENTS).map(([name, argument]) => [snakeCase(name), argument.default]),
  );
  const entries = Object.entries(configuration).map(([name, value]) => ({ name, value: show(value) }));
  const differs = entries.filter(({ name, value }) => !defaults.has(name) || show(defaults.get(name)) !== value);
  const same = entries.filter((entry) => !differs.includes(entry));
  const list = (some: typeof entries, cells: (entry: (typeof entries)[number]) => string[]): string =>
    formatTable(some.map(cells), { align: "left" });
  return [
    "differs from the defaults:",
    list(differs, ({ name, value }) => {
      const byDefault = defaults.get(name);
      return [name, value, ...(defaults.has(name) && byDefault !== null ? [`(default: ${show(byDefault)})`] : [])];
    }),
    "as the defaults:",
    list(same, ({ name, value }) => [name, value]),
  ].join("\n");
}

export const describeTotals = ({ updates, epochs, tokens, state_bytes, update_bytes }: Totals): string =>
  `in all: ${updates} updates, ${Number(epochs.toFixed(2))} epochs, about ${tokens.toLocaleString("en-US")} tokens with padding; ` +
  `${formatBytes(update_bytes)} on the device at most, ${formatBytes(state_bytes)} of it for weights, gradients and optimizer`;
