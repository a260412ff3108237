import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { AutoModelForSequenceClassification, type Heads, type PreTrainedModel } from "@gpugrad/bert";
import {
  accuracyScore,
  Dataset,
  EarlyStoppingCallback,
  precisionRecallF1,
  snakeCase,
  Trainer,
  type BatchTokenizer,
  type TrainerCallback,
  type TrainingArguments,
} from "@gpugrad/train";
import { exists, join, readJson, valuesOf, withTensors } from "./files.ts";
import { compare, mismatch, same, type Check, type Tolerance } from "./tolerance.ts";

/** What run.json says of a run of transformers.Trainer. */
export interface Run {
  options: Record<string, unknown>;
  resolved: Record<string, unknown>;
  optimizer: { weight_decay_groups: { weight_decay: number; params: string[] }[] };
  files_in_output_dir: Record<string, number>;
  float64: {
    steps: { lr: number; clipped_grad_norm: number }[];
    log_history: Entry[];
    output: { global_step: number; training_loss: number; metrics: Entry };
    best: string | null;
    best_metric: number | null;
    evaluate_at_end?: Entry;
  };
}

export type Entry = Record<string, number>;

type Row = Record<"input_ids" | "attention_mask" | "token_type_ids", number[]> & { labels: number };

/** The folder's README: "losses 1e-5, grad_norm 1e-4 relative, weights 5e-5, key.bias not at all"; times differ on every run. */
const advised: [names: RegExp, tolerance: Tolerance][] = [
  [/loss$|^best_metric$|mse$|pearson$/, { rtol: 0, atol: 1e-5 }],
  [/grad_norm$/, { rtol: 1e-4, atol: 0 }],
  [/^learning_rate$|^lr$/, { rtol: 1e-12, atol: 1e-18 }],
  [/./, { rtol: 1e-12, atol: 0 }],
];
const WEIGHTS: Tolerance = { rtol: 0, atol: 5e-5 };
export const WALKS_ON_NOISE = /attention\.(self\.key|k_lin)\.bias$/;
const TIME = /runtime$|per_second$/;

/** How each kind of accumulation was made is code there, and an argument here. */
const ACCUMULATION: Record<string, string> = { "trainer-accumulation": "sum", "trainer-accumulation-mean": "mean" };

/** Numbers by name, each within what is advised for it; the names are the same. */
export function compareEntries(what: string, got: Entry | undefined, want: Entry): Check[] {
  const keys = (entry: Entry): string[] => Object.keys(entry).sort();
  if (!got) return [mismatch(what, "not there")];
  const checks = [same(`${what}: names`, keys(got), keys(want))];
  for (const [name, value] of Object.entries(want)) {
    if (TIME.test(name) || got[name] === undefined) continue;
    const [, tolerance] = advised.find(([names]) => names.test(name))!;
    checks.push(compare(`${what}: ${name}`, one(got[name]), one(value), tolerance));
  }
  return checks;
}

const one = (value: number): { data: number[]; shape: number[] } => ({ data: [value], shape: [] });

/** Rows of data.json as a dataset whose texts are their numbers, and what makes tokens of these. */
function rowsOf(dir: string): { train: Dataset; evaluation: Dataset; tokenizer: BatchTokenizer } {
  const data = readJson<{ train: Row[]; eval: Row[] }>(join(dir, "data.json"));
  const all = [...data.train, ...data.eval];
  const datasetOf = (rows: Row[], first: number, name: string): Dataset =>
    Dataset.fromRows(
      rows.map(({ labels }, i) => ({ text: String(first + i), label: labels })),
      { name, labelNames: [...new Set(all.map((row) => row.labels))].map(String) },
    );
  return {
    train: datasetOf(data.train, 0, "train"),
    evaluation: datasetOf(data.eval, data.train.length, "eval"),
    tokenizer: { modelMaxLength: Infinity, encodeBatch: (texts) => texts.map((text) => all[Number(text)]!) },
  };
}

/** The rate and the clipped norm of each step. */
type Steps = { lr: number; clipped_grad_norm: number }[];

interface Played {
  trainer: Trainer<Heads["sequenceClassification"]>;
  model: Heads["sequenceClassification"];
  steps: Steps;
}

/** A callback that notes each step. */
export const watching = (steps: Steps): TrainerCallback => ({
  onStepResult: ({ maxGradNorm }, _state, _control, { result }) => {
    const { learningRate: lr, gradNorm } = result!;
    steps.push({ lr, clipped_grad_norm: gradNorm * Math.min(1, maxGradNorm / (gradNorm + 1e-6)) });
  },
});

/** The steps against those of the golden run. */
export const stepChecks = (got: Steps, want: Steps): Check[] => [
  same("number of steps", got.length, want.length),
  ...want.flatMap(({ lr, clipped_grad_norm }, i) => compareEntries(`step ${i + 1}`, got[i], { lr, clipped_grad_norm })),
];

/** A Trainer on the golden data, in a fresh output folder that goes with `dispose`. */
async function trainerFor(
  dir: string,
  args: Record<string, unknown>,
  {
    callbacks = [],
    evaluates = false,
    metrics = [],
  }: { callbacks?: TrainerCallback[]; evaluates?: boolean; metrics?: string[] } = {},
): Promise<Played> {
  const { train, evaluation, tokenizer } = rowsOf(dir);
  const model = await AutoModelForSequenceClassification.fromPretrained(join(dir, "model"), { dtype: "f32" });
  const steps: Steps = [];
  const trainer = new Trainer({
    ...{ model, tokenizer, trainDataset: train, callbacks: [watching(steps), ...callbacks] },
    ...(evaluates && { evalDataset: evaluation }),
    args: { ...args, train_sampling_strategy: "sequential" },
    computeMetrics: ({ labels, classes, numLabels }) => {
      const ofEachClass = [...Array(numLabels).keys()];
      const known: Entry = {
        accuracy: accuracyScore(labels, classes),
        macro_f1: precisionRecallF1(labels, classes, { average: "macro", labels: ofEachClass }).f1,
      };
      return Object.fromEntries(metrics.map((name) => [name, known[name]!]));
    },
  });
  return { trainer, model, steps };
}

/** A run of transformers.Trainer, played again: its arguments, each step, the log, the folders it leaves, the weights it ends with. */
export async function followTrainer(dir: string, path: string): Promise<Check[]> {
  const run = readJson<Run>(join(path, "run.json"));
  const name = path.split(/[\\/]/).at(-1)!;
  const states = readdirSync(path).filter((file) => file.endsWith(".trainer_state.json"));
  const golden = readJson<Record<string, unknown>>(join(path, states[0]!));
  const output = mkdtempSync(join(tmpdir(), "parity-trainer-"));
  try {
    const { trainer, model, steps } = await trainerFor(
      dir,
      {
        ...run.options,
        output_dir: output,
        ...(ACCUMULATION[name] && { gradient_accumulation_loss: ACCUMULATION[name] }),
      },
      {
        callbacks: callbacksOf(golden),
        evaluates: "eval_strategy" in run.options,
        metrics: metricsIn(run.float64.evaluate_at_end ?? {}),
      },
    );
    const result = await trainer.train();
    const { float64: want } = run;
    const atEnd = want.evaluate_at_end && (await trainer.evaluate()); // the log takes it in
    const checks = [...resolvedChecks(trainer, run.resolved)];
    checks.push(...stepChecks(steps, want.steps));
    checks.push(...logChecks(trainer.state.logHistory, want.log_history));
    checks.push(same("global_step", result.globalStep, want.output.global_step));
    checks.push(...compareEntries("output", result.metrics, want.output.metrics));
    checks.push(
      same("best checkpoint", trainer.state.bestModelCheckpoint?.replace(output, "output") ?? null, want.best),
    );
    if (want.best_metric !== null)
      checks.push(
        ...compareEntries("best", { best_metric: trainer.state.bestMetric! }, { best_metric: want.best_metric }),
      );
    const folders = (files: string[]): string[] => [...new Set(files.map((file) => file.split("/")[0]!))].sort();
    const left = readdirSync(output).filter((file) => file.startsWith("checkpoint-"));
    checks.push(same("checkpoints", folders(left), folders(Object.keys(run.files_in_output_dir))));
    checks.push(
      ...stateChecks(join(output, states[0]!.replace(".trainer_state.json", "/trainer_state.json")), golden, output),
    );
    checks.push(...(await weightChecks(model, join(path, "final.safetensors"))));
    if (want.evaluate_at_end)
      checks.push(...compareEntries("evaluate()", { ...atEnd, epoch: trainer.state.epoch }, want.evaluate_at_end));
    model.dispose();
    return checks;
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

/** The metrics of its own that a run computes. */
const metricsIn = (evaluation: Entry): string[] =>
  Object.keys(evaluation).flatMap((name) => (TIME.test(name) ? [] : (/^eval_(?!loss)(.*)/.exec(name)?.[1] ?? [])));

/** Callbacks that keep a state in checkpoints tell what they were made with. */
function callbacksOf(state: Record<string, unknown>): TrainerCallback[] {
  const kept = state["stateful_callbacks"] as Record<string, { args: Record<string, number> }>;
  const early = kept["EarlyStoppingCallback"]?.args;
  if (!early) return [];
  return [
    new EarlyStoppingCallback({
      earlyStoppingPatience: early["early_stopping_patience"]!,
      earlyStoppingThreshold: early["early_stopping_threshold"]!,
    }),
  ];
}

/** What the arguments come to; `optim` is the same optimizer under another name, and there is one device alone. */
export function resolvedChecks(trainer: { args: TrainingArguments }, want: Record<string, unknown>): Check[] {
  const got = Object.fromEntries(Object.entries(trainer.args).map(([name, value]) => [snakeCase(name), value]));
  return Object.entries(want)
    .filter(([name]) => !["optim", "average_tokens_across_devices", "label_names"].includes(name))
    .map(([name, value]) => same(`argument ${name}`, got[name], value));
}

export function logChecks(got: readonly Entry[], want: readonly Entry[]): Check[] {
  const checks = [same("entries of the log", got.length, want.length)];
  return checks.concat(want.flatMap((entry, i) => compareEntries(`log ${i} (step ${entry["step"]})`, got[i], entry)));
}

/** A checkpoint's trainer_state.json against Transformers' own. */
function stateChecks(file: string, golden: Record<string, unknown>, output: string): Check[] {
  if (!exists(file)) return [mismatch("trainer_state.json", "not there")];
  const got = JSON.parse(readFileSync(file, "utf8").replaceAll(output, "output")) as Record<string, unknown>;
  const { log_history: log, best_metric: best, ...rest } = golden;
  const checks = logChecks(got["log_history"] as Entry[], log as Entry[]);
  if (best !== null)
    checks.push(
      ...compareEntries(
        "trainer_state",
        { best_metric: got["best_metric"] as number },
        { best_metric: best as number },
      ),
    );
  checks.push(same("trainer_state: names", Object.keys(got).sort(), Object.keys(golden).sort()));
  for (const [name, value] of Object.entries(rest))
    checks.push(same(`trainer_state: ${name}`, sorted(got[name]), sorted(value)));
  return checks;
}

/** Keys in one order. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

export async function weightChecks(
  model: PreTrainedModel,
  file: string,
  excused = WALKS_ON_NOISE,
  keyInFile = (key: string) => key,
): Promise<Check[]> {
  const checks: Check[] = [];
  await withTensors(file, async (golden, keys) => {
    const got = new Map(Array.from(model.namedTensors(), ([key, parameter]) => [keyInFile(key), parameter]));
    for (const key of keys.filter((k) => !excused.test(k))) {
      const parameter = got.get(key);
      checks.push(compare(key, parameter && (await valuesOf(parameter)), (await golden(key))!, WEIGHTS));
    }
  });
  return checks;
}

interface Resumed {
  options: Record<string, unknown>;
  float32: { uninterrupted_log_history: Entry[] };
}

/** Twenty steps at once, and ten, a checkpoint in the middle of an epoch, and ten more: the same bytes, and PyTorch's numbers. */
export async function resumeTrainer(dir: string, path: string): Promise<Check[]> {
  const { options, float32 } = readJson<Resumed>(join(path, "run.json"));
  const output = mkdtempSync(join(tmpdir(), "parity-resume-"));
  const bytesOf = async (model: Heads["sequenceClassification"]): Promise<string[]> =>
    Promise.all(model.parameters().map(async (p) => Buffer.from(await p.bytes()).toString("base64")));
  try {
    const whole = await trainerFor(dir, { ...options, output_dir: join(output, "whole") });
    await whole.trainer.train();
    const checks = logChecks(whole.trainer.state.logHistory, float32.uninterrupted_log_history);
    checks.push(...(await weightChecks(whole.model, join(path, "final.safetensors"))));
    const resumed = await trainerFor(dir, { ...options, output_dir: join(output, "resumed") });
    await resumed.trainer.train({ resumeFromCheckpoint: join(output, "whole", "checkpoint-10") });
    checks.push(
      same("weights after a resume", (await bytesOf(resumed.model)).join(), (await bytesOf(whole.model)).join()),
    );
    const losses = ({ trainer }: Played): unknown =>
      trainer.state.logHistory.map(({ loss, grad_norm, step }) => ({ loss, grad_norm, step }));
    checks.push(same("log after a resume", losses(resumed), losses(whole)));
    whole.model.dispose();
    resumed.model.dispose();
    return checks;
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}
