/**
 * Fine-tunes BERT on film reviews, without Python.
 *
 *   pnpm train:imdb             bert-base-uncased on stanfordnlp/imdb, three epochs (wants a GPU)
 *   pnpm train:imdb --sample    a small model on made-up reviews: no download, a minute on any machine
 *   pnpm train:imdb --help      all options
 *
 * Results go to stdout, progress and notes to stderr; with --json, stdout is one JSON object per line.
 */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { destroy, init, manualSeed, memory, type AdapterInfo } from "@gpugrad/tensor";
import {
  classificationReport,
  Dataset,
  formatBytes,
  formatDuration,
  progressLine,
  Trainer,
  type PredictionOutput,
  type StepEvent,
  type TrainOutput,
} from "@gpugrad/train";
import { parseOptions, type Options } from "./train-imdb/options.ts";
import { sampleTask } from "./train-imdb/sample.ts";
import { hubTask, startFrom, type Task } from "./train-imdb/task.ts";

const note = (line: string): void => void process.stderr.write(`${line}\n`);
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const options = parseOptions(process.argv.slice(2));
process.exitCode = typeof options === "number" ? options : await main(options);

async function main(options: Options): Promise<number> {
  try {
    const { adapter } = await init();
    const seed = options.given.seed ?? 42;
    manualSeed(seed); // before the model is made: it decides the fresh classifier
    const task = options.sample ? sampleTask(options) : await hubTask(options, seed, note);
    if (options.initClassifier) await startFrom(task.model, options.initClassifier);
    return await fineTune(task, options, adapter);
  } catch (error) {
    note(`train:imdb: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await destroy();
  }
}

/** Trains, evaluates, saves, and predicts with what was saved. Returns the exit code. */
async function fineTune(task: Task, options: Options, adapter: AdapterInfo): Promise<number> {
  const emit = (event: object): void => void (options.json && process.stdout.write(`${JSON.stringify(event)}\n`));
  const print = (text: string): void => void (options.json || process.stdout.write(text));
  const line = progressLine();
  const trace = options.lossTrace === undefined ? undefined : openSync(options.lossTrace, "w");
  const { model, tokenizer } = task;
  const trainer = new Trainer({
    model,
    tokenizer,
    args: { ...task.recipe, ...options.given },
    trainDataset: task.train,
    evalDataset: task.test,
    ...(options.trainIndices && { trainIndices: options.trainIndices }),
    callbacks: {
      onStep: (event) => {
        const { step, loss, gradNorm: grad_norm, learningRate: learning_rate, epoch } = event;
        const { lossScale: loss_scale, skippedSteps: skipped_steps } = event;
        const entry = {
          step,
          loss,
          grad_norm,
          learning_rate,
          epoch,
          ...(trainer.args.fp16 && { loss_scale, skipped_steps }),
        };
        if (trace !== undefined) writeSync(trace, `${JSON.stringify(entry)}\n`);
        if (options.json) {
          emit({ event: "step", ...entry, device_bytes: memory().bytes, rss_bytes: process.memoryUsage.rss() });
        }
        line.update(describeStep(event));
      },
      onEvalBatch: ({ batch, totalBatches }) => line.update(`evaluating: batch ${batch}/${totalBatches}`),
    },
  });

  mkdirSync(options.outputDir, { recursive: true }); // where it can't be made, that is said before the training
  const missing = options.evalIndices?.find((row) => row >= task.test.length);
  if (missing !== undefined) {
    throw new Error(`--eval_indices: no row ${missing}: there are ${task.test.length} rows to test on, from 0 on.`);
  }
  const perStep = await announce(task, trainer, options, adapter);
  emit({ event: "start", steps: trainer.totalSteps, seconds_per_step: perStep, adapter: adapter.description });
  const { result, stopped } = await interruptible(trainer, () => trainer.train());
  line.done();
  if (trace !== undefined) closeSync(trace);
  note(
    `trained ${result.globalStep} updates in ${formatDuration(result.metrics.train_runtime)}: mean loss ` +
      `${result.trainingLoss.toFixed(4)}, ${result.metrics.train_samples_per_second.toFixed(1)} reviews/s, ` +
      `at most ${formatBytes(memory().peakBytes)} on the device`,
  );
  await model.savePretrained(options.outputDir);
  await tokenizer.savePretrained(options.outputDir);
  note(`saved the model and its tokenizer in ${options.outputDir}`);
  if (stopped) {
    note(`That is the model after ${result.globalStep} of ${trainer.totalSteps} updates; it was not evaluated.`);
    emit({ event: "stopped", steps: result.globalStep, output_dir: options.outputDir });
    return 130;
  }

  const evaluation = await trainer.evaluate(options.evalIndices && { indices: options.evalIndices });
  line.done();
  print(report(evaluation, Object.values(model.config.id2label)));
  if (task.baseline) print(`\n${task.baseline()}\n`);
  print("\n");
  for (const { text, label, score } of await predictWithSaved(options.outputDir, task.texts)) {
    print(`${label.padEnd(8)} ${score.toFixed(3)}  ${text}\n`);
    emit({ event: "predict", text, label, score });
  }
  emit(endEvent(result, evaluation, options, adapter));
  return 0;
}

/** Says what will be done, and how long it will take by a timed step. Returns the seconds a step takes. */
async function announce(task: Task, trainer: Trainer, options: Options, adapter: AdapterInfo): Promise<number> {
  const { args, totalSteps } = trainer;
  const { config } = task.model;
  note(task.title);
  note(`  adapter    ${adapter.description}${adapter.cpu ? ", which is the CPU: a GPU is far faster" : ""}`);
  note(
    `  model      ${config.num_hidden_layers} layers of ${config.hidden_size}, ` +
      `${(task.model.numParameters() / 1e6).toFixed(2)} M parameters, ${config.num_labels} labels`,
  );
  note(
    `  data       ${options.trainIndices?.length ?? task.train.length} reviews to train on, ` +
      `${options.evalIndices?.length ?? task.test.length} to test, ${args.maxLength} tokens at most`,
  );
  note(
    `  training   ${totalSteps} updates of ${args.perDeviceTrainBatchSize} reviews; AdamW ${args.learningRate}, ` +
      `${args.lrSchedulerType}, weight decay ${args.weightDecay}, clip ${args.maxGradNorm}, seed ${args.seed}${args.fp16 ? ", fp16" : ""}`,
  );
  note(`  output     ${options.outputDir}`);
  const perStep = await trainer.measureStep();
  note(`  estimated  ${formatDuration(perStep * totalSteps)}: ${perStep.toFixed(2)} s an update, measured`);
  return perStep;
}

/** Ctrl-C ends training after the step under way; a second one ends the process. */
async function interruptible<T>(trainer: Trainer, work: () => Promise<T>): Promise<{ result: T; stopped: boolean }> {
  let stopped = false;
  const onInterrupt = (): void => {
    if (stopped) process.kill(process.pid, "SIGKILL");
    stopped = true;
    note("\nStopping after this step. Ctrl-C again ends at once and saves nothing.");
    trainer.stop();
  };
  process.on("SIGINT", onInterrupt);
  try {
    return { result: await work(), stopped };
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

/** `step 12/131 · loss 0.6931 · lr 4.90e-5 · 1234 tokens/s · 812 MiB · 5 min left`, with fp16 also `2 skipped` */
function describeStep(event: StepEvent): string {
  const { step, totalSteps, loss, learningRate, tokensPerSecond, secondsLeft, skippedSteps } = event;
  return [
    `step ${step}/${totalSteps}`,
    `loss ${loss.toFixed(4)}`,
    `lr ${learningRate.toExponential(2)}`,
    ...(skippedSteps ? [`${skippedSteps} skipped`] : []),
    `${Math.round(tokensPerSecond)} tokens/s`,
    formatBytes(memory().bytes),
    `${formatDuration(secondsLeft)} left`,
  ].join(" · ");
}

/** Accuracy, and precision, recall and F1 by class. */
function report({ metrics, labels, classes }: PredictionOutput, targetNames: string[]): string {
  const table = classificationReport(labels!, classes, {
    labels: targetNames.map((_, i) => i),
    targetNames,
    digits: 4,
  });
  return `accuracy ${percent(metrics.eval_accuracy!)} on ${labels!.length} reviews\n\n${table}`;
}

/** Opens the saved folder, as anybody would who uses the model, and predicts a few texts. */
async function predictWithSaved(
  folder: string,
  texts: string[],
): Promise<{ text: string; label: string; score: number }[]> {
  const model = await AutoModelForSequenceClassification.fromPretrained(folder);
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const { classes, scores } = await new Trainer({ model, tokenizer }).predict(
    Dataset.fromRows(texts.map((text) => ({ text }))),
  );
  return texts.map((text, i) => ({ text, label: model.config.id2label[classes[i]!]!, score: scores[i]! }));
}

/** The last line of --json. */
function endEvent(result: TrainOutput, { metrics }: PredictionOutput, options: Options, adapter: AdapterInfo): object {
  return {
    event: "end",
    steps: result.globalStep,
    train_loss: result.trainingLoss,
    eval: { accuracy: metrics.eval_accuracy, loss: metrics.eval_loss, runtime: metrics.eval_runtime },
    output_dir: options.outputDir,
    train_runtime: result.metrics.train_runtime,
    train_samples_per_second: result.metrics.train_samples_per_second,
    peak_device_bytes: memory().peakBytes,
    peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    adapter: adapter.description,
  };
}
