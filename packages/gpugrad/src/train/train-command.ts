import { existsSync } from "node:fs";
import { join } from "node:path";
import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { destroy, GpugradError, init, manualSeed, memory, type AdapterInfo } from "@gpugrad/tensor";
import {
  checkOutputFolder,
  Dataset,
  EarlyStoppingCallback,
  formatBytes,
  formatDuration,
  formatNumber,
  freeze,
  plainMetrics,
  ProgressCallback,
  type SaveError,
  Trainer,
  TRAINING_ARGUMENTS,
  type PredictionOutput,
  type Predictions,
  type TrainingArguments,
  type TrainOutput,
  type Task as TrainerTask,
} from "@gpugrad/train";
import { asTyped } from "./called-as.ts";
import {
  configurationOf,
  describeConfiguration,
  describeRun,
  describeTotals,
  summarize,
  totalsOf,
  warningsOf,
  type DataSummary,
} from "./describe.ts";
import { eventCallback } from "./events.ts";
import { inTypedNames, parseTrainOptions, type TrainOptions, type TrainPreset, type TrainRequest } from "./options.ts";
import { crossValidate } from "./folds.ts";
import { keepConfiguration, keepEvaluation, lossTrace, pauseAfter, type EvaluationKeeper } from "./run-callbacks.ts";
import { saveModel } from "./save-model.ts";
import { summaryOf } from "./summary.ts";
import { whereEverythingIs } from "./where-everything-is.ts";
import { outputGone, writeError, writeOutput } from "../output.ts";
import { exitCodeOf, onStopSignal, StoppedError, unlessStopped } from "../stop-signal.ts";
import { joinRanks } from "../ranks/session.ts";
import { stoppable } from "./signals.ts";
import { openTask } from "./open-task.ts";
import type { Task } from "./task.ts";

export type { Task, TrainOptions, TrainPreset, TrainRequest };

/** A command that fine-tunes, beside what its options are. */
export interface TrainCommand<Extra extends object = object> extends TrainPreset {
  /** What rows are called. */
  unit?: string;
  /** In place of the model and data that the options name. */
  makeTask?: (request: TrainRequest<Extra>, note: (line: string) => void) => Task | Promise<Task> | undefined;
  /** What has to be there before model and data are opened. */
  prepare?: (request: TrainRequest<Extra>, note: (line: string) => void) => Promise<void>;
  /** Texts to label at the end with the model that was saved. */
  texts?: (options: Partial<Extra>) => readonly string[];
  /** One of several runs: it prints no results, and may be paused. */
  trial?: Trial;
  /** A last word on the result. */
  epilogue?: (task: Task, options: Partial<Extra>, result: Result) => Promise<string> | undefined;
}

/** What a last word may go by. */
export interface Result {
  args: TrainingArguments;
  /** Of the evaluation set. */
  metrics: Readonly<Record<string, number>>;
  /** Prints an event for programs, with --json. */
  emit: (event: object) => void;
}

/** A run that is one of several. */
export interface Trial {
  /** The share of its updates after which it stops, with a checkpoint that it continues from. */
  until: number;
  /** Called with what went wrong. */
  failed: (message: string) => void;
}

/** What the steps of a run share. */
interface Run {
  task: Task;
  trainer: Trainer<Task["model"]>;
  options: TrainOptions;
  args: TrainingArguments;
  adapter: AdapterInfo;
  unit: string;
  /** Whether it is the one rank that prints, and writes. */
  isFirst: boolean;
  /** Prints a line for people. */
  note: (line: string) => void;
  /** Prints a result for people: on stdout, unless that is for programs (--json). */
  print: (text: string) => void;
  /** Prints what is wrong, even with --quiet. */
  warn: (line: string) => void;
  /** Prints an event for programs, with --json. */
  emit: (event: object) => void;
  /** Work that a signal ends before it is done. */
  unlessAsked: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Reads a command line and does what it asks for. Gives the exit code. */
export async function trainCommand<Extra extends object = object>(
  words: readonly string[],
  command: TrainCommand<Extra>,
): Promise<number> {
  const request = parseTrainOptions<Extra>(words, command);
  if (typeof request === "number") return request;
  const launched = await joinRanks().catch((error: unknown) => {
    writeError(`${command.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  });
  if (!launched) return 1;
  const { options } = request;
  let { args } = request;
  if (options.folds !== undefined && options.fold === undefined && !options.dryRun) {
    const run = (more: readonly string[]): Promise<number> => trainCommand([...words, ...more], command);
    return crossValidate(request, run).catch((error: unknown) => {
      writeError(`${command.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    });
  }
  const { isFirst } = launched;
  const progress = new ProgressCallback({ quiet: options.json === true || options.quiet === true || !isFirst });
  const warn = (line: string): void => void (isFirst && progress.print(line));
  const note = (line: string): void => void (options.quiet || warn(line));
  const stop = new AbortController();
  const stopListening = onStopSignal((signal) => stop.abort(new StoppedError(signal)));
  const readerLeft = (): void => warn(`${command.name}: the reader of standard output has gone; the run continues.`);
  outputGone.addEventListener("abort", readerLeft);
  /** Work that a signal ends before it is done. */
  const unlessAsked = <T>(work: () => Promise<T>): Promise<T> => unlessStopped(stop.signal, work);
  try {
    launched.done(); // what goes wrong is reported below
    if (args.outputDir !== null && isFirst) await checkOutputFolder(args.outputDir, args);
    const trace = options.lossTrace === undefined || !isFirst ? undefined : lossTrace(options.lossTrace);
    const { adapter } = await init();
    for (const problem of await launched.problems(adapter)) note(`! ${problem}`);
    manualSeed(args.seed); // before the model is made: it decides the fresh classifier
    if (options.folds !== undefined && command.bringsTask?.({ ...options }))
      throw new GpugradError("--folds needs --dataset or --train_file: this data has a split of its own.");
    const prepare = async (): Promise<void> => command.prepare?.(request, note);
    await unlessAsked(() => launched.ranks.lead("preparing the model", prepare));
    const open = async (): Promise<Task> =>
      (await command.makeTask?.(request, note)) ?? openTask(options, args.seed, note, request.maxLength);
    const task = await unlessAsked(() => launched.inTurn(open));
    if (task.maxLength !== undefined) args = { ...args, maxLength: task.maxLength };
    if (args.freeze.length > 0) freeze(task.model, args.freeze);
    const print = (text: string): void => void (options.json || command.trial || !isFirst || writeOutput(text));
    const emit = (event: object): void => void (options.json && isFirst && writeOutput(`${JSON.stringify(event)}\n`));
    const evaluated = keepEvaluation();
    const { earlyStoppingPatience, earlyStoppingThreshold = 0 } = options;
    const trainer: Trainer<Task["model"]> = new Trainer({
      ...{ model: task.model, tokenizer: task.tokenizer, args },
      ...(task.task && { task: task.task as unknown as TrainerTask<Predictions> }),
      ...{ trainDataset: task.train, evalDataset: task.validation },
      ...(launched.communicator && { services: { communicator: launched.communicator } }),
      ...(options.trainIndices && { trainIndices: options.trainIndices }),
      callbacks: [
        ...(isFirst ? [progress] : [{ onWarning: () => undefined }]), // rank 0 has the same warnings
        evaluated,
        ...(isFirst ? [keepConfiguration(options, args)] : []),
        ...(earlyStoppingPatience === undefined
          ? []
          : [new EarlyStoppingCallback({ earlyStoppingPatience, earlyStoppingThreshold })]),
        ...(trace ? [trace] : []),
        ...(command.trial ? [pauseAfter(command.trial.until, () => trainer.stop())] : []),
        ...(options.json ? [eventCallback(emit)] : []),
      ],
    });
    const unit = command.unit ?? "rows";
    const run: Run = { task, trainer, options, args, adapter, unit, isFirst, note, print, warn, emit, unlessAsked };

    const maxLength = maxLengthOf(task, args);
    const data = await unlessAsked(() => summarize(task, options, args, maxLength));
    const askedLength = request.maxLength === TRAINING_ARGUMENTS.maxLength.default ? undefined : request.maxLength;
    const warnings = await warningsOf(task, trainer, { maxLength, askedLength });
    note(describeRun(task, trainer, data, adapter, { unit, maxLength, warnings, ranks: launched.ranks.size }));
    if (options.dryRun) return dryRun(run, data);
    await start(run, data);
    const { result, signal } = await stoppable(trainer, warn, () => trainer.train());
    if (signal && !result.completed) return stopped(run, result, signal);
    const evaluation = await finish(run, result, evaluated);
    const { unsaved } = evaluation;
    if (unsaved) {
      emit(endEvent(run, result, evaluation));
      throw unsaved; // said last, so that it is seen
    }
    const labelled = await unlessAsked(() => labelWithSaved(run, command.texts?.(options) ?? []));
    const { metrics } = evaluation.eval;
    const epilogue = isFirst
      ? await unlessAsked(async () => command.epilogue?.(task, options, { args, emit, metrics }))
      : undefined;
    if (epilogue) print(`\n${epilogue}\n`);
    if (labelled.length > 0) print("\n");
    for (const { text, label, score } of labelled) {
      print(`${label.padEnd(8)} ${score.toFixed(3)}  ${text}\n`);
      emit({ event: "predict", text, label, score });
    }
    emit(endEvent(run, result, evaluation));
    if (!command.trial) warn(whereEverythingIs(run));
    return 0;
  } catch (error) {
    progress.done();
    const message = inTypedNames(error instanceof Error ? error.message : String(error));
    warn(`${command.name}: ${message}`);
    await launched.fail(error, args.outputDir);
    command.trial?.failed(message);
    return error instanceof StoppedError ? exitCodeOf(error.signal) : 1;
  } finally {
    stopListening();
    outputGone.removeEventListener("abort", readerLeft);
    await destroy();
  }
}

/** Tokens per row at most: what was asked for, and no more than model and tokenizer take. */
const maxLengthOf = ({ model, tokenizer }: Task, args: TrainingArguments): number =>
  Math.min(args.maxLength, tokenizer.modelMaxLength, model.config.maxLength);

/** Prints the whole configuration and what follows from it. */
function dryRun({ task, trainer, options, args, print, emit }: Run, data: DataSummary): number {
  const configuration = configurationOf(options, args);
  const totals = totalsOf(task, trainer, data, maxLengthOf(task, args));
  print(`${describeConfiguration(configuration)}\n${describeTotals(totals)}\n`);
  emit({ event: "dry_run", configuration, data, totals });
  return 0;
}

/** Says how long it will take, by a timed step. */
async function start({ trainer, args, adapter, note, emit, unlessAsked }: Run, data: DataSummary): Promise<void> {
  const perStep = await unlessAsked(() => trainer.measureStep());
  note(`  estimated  ${formatDuration(perStep * trainer.totalSteps)}: ${formatNumber(perStep)} s an update, measured`);
  emit({
    event: "start",
    ...{ steps: trainer.totalSteps, seconds_per_step: perStep, adapter: adapter.description },
    ...{ output_dir: args.outputDir, data },
  });
}

/** After a signal: says what is there and how to continue. */
function stopped({ trainer, args, isFirst, emit }: Run, result: TrainOutput, signal: NodeJS.Signals): number {
  const { globalStep } = result;
  if (!isFirst) return exitCodeOf(signal);
  const checkpoint = join(args.outputDir!, `checkpoint-${globalStep}`);
  const isSaved = existsSync(checkpoint);
  writeError(
    `Stopped after ${globalStep} of ${trainer.totalSteps} updates; ${isSaved ? `all is saved in ${checkpoint}` : `nothing could be saved in ${args.outputDir}`}.\n` +
      (isSaved ? `Continue with\n  ${asTyped(["--resume_from_checkpoint", "true"])}\n` : ""),
  );
  emit({ event: "stopped", steps: globalStep, output_dir: args.outputDir, ...(isSaved && { checkpoint }), signal });
  return exitCodeOf(signal);
}

interface Evaluation {
  /** Of the evaluation set, and of the test set if there is another one. */
  eval: PredictionOutput;
  test: PredictionOutput | undefined;
  /** Why the model isn't where it should be. */
  unsaved?: SaveError;
}

/** Saves the model, evaluates it, and reports. */
async function finish(run: Run, result: TrainOutput, evaluated: EvaluationKeeper): Promise<Evaluation> {
  const { task, trainer, args, unit, note, print, unlessAsked } = run;
  const { train_runtime: seconds, train_samples_per_second: rate } = result.metrics;
  note(
    result.updates === 0
      ? `trained 0 updates: all ${result.globalStep} had been made before`
      : `trained ${result.updates} updates in ${formatDuration(seconds)}: mean loss ${result.trainingLoss.toFixed(4)}, ` +
          `${rate.toFixed(1)} ${unit}/s, at most ${formatBytes(memory().peakBytes)} on the device`,
  );
  const unsaved = await saveModel(run);
  if (!unsaved) note(`saved the model and its tokenizer in ${args.outputDir}`);
  const { bestModelCheckpoint, bestGlobalStep } = trainer.state;
  const hasBest = args.loadBestModelAtEnd && bestModelCheckpoint !== null;
  // The model may be the one that was evaluated last: its numbers would be the same.
  if (evaluated.step !== (hasBest ? bestGlobalStep : result.globalStep)) await unlessAsked(() => trainer.evaluate());
  const last = evaluated.prediction!;
  const { test: testRows } = task;
  const test = testRows && (await unlessAsked(() => trainer.predict(testRows)));
  await keepResults(run, result, { eval: last, test });
  if (args.pushToHub && !unsaved) await trainer.pushToHub("Results");
  print(summaryOf(trainer, last, unit));
  if (test) print(`\ntest\n\n${summaryOf(trainer, test, unit)}`);
  return { eval: last, test, ...(unsaved && { unsaved }) };
}

/** Writes the metrics into files, with how many rows they are of. A disk that is full takes nothing away from what is printed. */
async function keepResults({ task, trainer, note }: Run, result: TrainOutput, evaluation: Evaluation): Promise<void> {
  const { eval: last, test } = evaluation;
  const { epoch } = result.metrics;
  try {
    await trainer.saveMetrics("train", { ...result.metrics, train_samples: task.train.length });
    await trainer.saveMetrics("eval", { ...last.metrics, epoch, eval_samples: last.dataset.length });
    if (test) await trainer.saveMetrics("test", { ...test.metrics, test_samples: test.dataset.length });
  } catch (error) {
    note(`the results couldn't be written: ${(error as Error).message}`);
  }
}

/** Opens the saved folder as any user of the model would, and labels a few texts. */
async function labelWithSaved(
  { args, isFirst }: Run,
  texts: readonly string[],
): Promise<{ text: string; label: string; score: number }[]> {
  if (texts.length === 0 || !isFirst) return [];
  const model = await AutoModelForSequenceClassification.fromPretrained(args.outputDir!);
  const tokenizer = await AutoTokenizer.fromPretrained(args.outputDir!);
  const rows = Dataset.fromRows(texts.map((text) => ({ text })));
  const { classes, scores } = await new Trainer({ model, tokenizer }).predict(rows);
  return texts.map((text, i) => ({ text, label: model.config.id2label[classes[i]!]!, score: scores[i]! }));
}

/** The last line of --json. */
function endEvent({ args, adapter, trainer }: Run, result: TrainOutput, evaluation: Evaluation): object {
  const { bestMetric, bestModelCheckpoint } = trainer.state;
  return {
    event: "end",
    steps: result.globalStep,
    train_loss: result.trainingLoss,
    eval: plainMetrics(evaluation.eval.metrics),
    ...(evaluation.test && { test: plainMetrics(evaluation.test.metrics) }),
    ...(bestModelCheckpoint !== null && { best_model_checkpoint: bestModelCheckpoint, best_metric: bestMetric }),
    output_dir: args.outputDir,
    ...(evaluation.unsaved && { saved_in: evaluation.unsaved.savedIn }),
    train_runtime: result.metrics.train_runtime,
    train_samples_per_second: result.metrics.train_samples_per_second,
    peak_device_bytes: memory().peakBytes,
    peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    adapter: adapter.description,
  };
}
