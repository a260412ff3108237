import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { shareableDataset } from "../hub/shareable-arguments.ts";
import { memory } from "@gpugrad/tensor";
import { evalKey, type TrainerCallback } from "../trainer/callbacks.ts";
import { goesOnWithout, type TrackerOptions } from "../trackers/tracker.ts";
import type { TrainerState } from "../trainer/trainer-state.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Evaluation } from "./findings.ts";
import { factsOf } from "./facts.ts";
import { History } from "./history.ts";
import type { Report } from "./page.ts";

/** Milliseconds between two writes at least. */
const PAUSE = 5000;
/** And so many times what a write took: it may cost a run at most 2 %. */
const PAUSE_PER_WRITE = 50;

/** Plot and its document are loaded for a report, not with the package. */
const pages = () => import("./page.ts");

/** Updates over which tokens per second are measured: results may come two at a time. */
const RATE_UPDATES = { least: 4, most: 8 };

/**
 * Writes `report.html` into the output folder while a model trains: what it was told, how it went, what the model gets wrong. The page needs
 * nothing else, and an open one loads itself again until training ends. A resumed run goes on with the page that is there. Its title is
 * `runName`, or the folder's name.
 */
export function htmlReport({ outputDir, runName, warn = console.warn }: TrackerOptions): TrainerCallback {
  const file = join(outputDir, "report.html");
  const folder = basename(resolve(outputDir));
  const empty = (): Report => ({
    ...{ runName: runName ?? folder, outputDir: folder, status: "finished", step: 0, totalSteps: 0, epoch: 0 },
    ...{ totalEpochs: 0, hasModel: false, history: new History(), writtenAt: "" },
  });
  const stored = async (): Promise<Report> => {
    const html = await readFile(file, "utf8").catch(() => "");
    const { reportIn } = await pages();
    return { ...(reportIn(html) ?? empty()), runName: runName ?? folder, outputDir: folder };
  };
  const writer = pagesTo(file, warn);
  let report: Report | undefined;
  let training = false;
  /** When the last update's result came. */
  let heard = 0;
  /** Tokens of the last updates, and when their results came; it starts again after a pause for an evaluation or a checkpoint. */
  let recent: { at: number; tokens: number }[] = [];

  /** The report, brought up to what the state says. */
  const upTo = async (args: TrainingArguments, state: TrainerState): Promise<Report> => {
    report ??= await stored();
    const { bestMetric, bestGlobalStep, bestModelCheckpoint } = state;
    if (args.metricForBestModel !== null && bestMetric !== null && bestGlobalStep !== null)
      report.best = {
        ...{ metric: evalKey(args.metricForBestModel), value: bestMetric, step: bestGlobalStep },
        ...(bestModelCheckpoint !== null && { checkpoint: basename(bestModelCheckpoint) }),
      };
    const { evaluation, best } = report;
    if (args.loadBestModelAtEnd && evaluation && evaluation.step === best?.step) report.bestEvaluation = evaluation;
    return report;
  };
  const show = (): void => writer.offer(() => render(report!));
  const render = async (shown: Report): Promise<string> => {
    const { page } = await pages();
    shown.hasModel = existsSync(join(outputDir, "model.safetensors"));
    shown.writtenAt = new Date().toISOString();
    return page(shown);
  };

  return goesOnWithout("reportTo html", warn, {
    async onTrainBegin(args, state, _control, context) {
      report = state.globalStep > 0 ? resumed(await stored(), state) : empty();
      training = true;
      report.status = "training";
      report.step = state.globalStep;
      report.totalSteps = state.maxSteps;
      report.epoch = state.epoch;
      report.totalEpochs = state.numTrainEpochs;
      report.facts = factsOf(args, context);
      await upTo(args, state);
      heard = performance.now();
      recent = [];
      await writer.write(() => render(report!));
    },

    async onStepResult(args, state, _control, { result }) {
      const current = await upTo(args, state);
      const { step, loss, gradNorm, learningRate, lengths } = result!;
      const now = performance.now();
      const batches = inBatches(lengths, args.perDeviceTrainBatchSize);
      const paddedLength = args.padding === "max_length" ? args.maxLength : undefined;
      const tokens = batches.reduce((sum, rows) => sum + rows.length * (paddedLength ?? Math.max(0, ...rows)), 0);
      recent = [...recent.slice(-RATE_UPDATES.most), { at: now, tokens }];
      const since = now - recent[0]!.at;
      const tokensSince = recent.slice(1).reduce((sum, update) => sum + update.tokens, 0);

      current.history.add(step, {
        ...{ loss, gradNorm, learningRate },
        ...(recent.length > RATE_UPDATES.least && since > 0 && { tokensPerSecond: (1000 * tokensSince) / since }),
        ...memoryNow(),
      });
      current.history.addLengths(step, batches, paddedLength);
      current.history.seconds += (now - heard) / 1000;
      heard = now;
      current.step = step;
      current.epoch = result!.epoch;
      current.totalSteps = result!.totalSteps;
      current.tokensPerSecond = result!.tokensPerSecond;
      current.secondsLeft = result!.secondsLeft;
      if (result!.skippedSteps !== undefined) current.skippedSteps = result!.skippedSteps;
      show();
    },

    onPredictionStep: () => {
      if (training) show(); // a long evaluation is no silence
    },

    async onEvaluate(args, state, _control, { prediction, metrics, task }) {
      const current = await upTo(args, state);
      const last = Math.max(state.globalStep, current.step);
      const step = training ? state.globalStep : (current.bestEvaluation?.step ?? last); // training ends with the best model
      const about = { step, metrics: metrics ?? {}, dataset: shareableDataset(prediction?.dataset.name ?? "") };
      current.history.addEvaluation({ step, metrics: about.metrics }, current.best?.step);
      if (prediction) {
        const nothing = { rows: prediction.dataset.length, nonFinite: 0, mistakes: [], wrong: 0 };
        const findings = (await task.findings?.(prediction)) ?? nothing;
        current.evaluation = { ...about, ...findings } satisfies Evaluation;
      }
      recent = [];
      if (training) show();
      else await writer.write(() => render(current));
    },

    async onPredict(args, state, _control, { prediction, metrics }) {
      if (!prediction?.labels) return; // nothing was measured
      const current = await upTo(args, state);
      const { dataset } = prediction;
      current.test = { dataset: shareableDataset(dataset.name), rows: dataset.length, metrics: metrics ?? {} };
      if (training) show();
      else await writer.write(() => render(current));
    },

    async onSave(args, state, _control, { checkpoint }) {
      const current = await upTo(args, state);
      if (checkpoint !== undefined) current.checkpoint = basename(checkpoint);
      recent = [];
      await writer.write(() => render(current)); // a run that goes on from there finds all updates up to it
    },

    onSaveModel: () => report && writer.write(() => render(report!)),

    async onTrainEnd(args, state) {
      const current = await upTo(args, state);
      training = false;
      current.status = state.globalStep >= state.maxSteps ? "finished" : "stopped";
      if (current.bestEvaluation) current.evaluation = current.bestEvaluation;
      await writer.write(() => render(current));
    },

    async onTrainError(args, state) {
      const current = await upTo(args, state);
      training = false;
      current.status = "failed";
      await writer.write(() => render(current));
    },
  });
}

/** A report as it was at an update from which a run goes on; without one, the curves are those of the log. */
function resumed(report: Report, { globalStep, logHistory }: TrainerState): Report {
  const { history } = report;
  history.dropAfter(globalStep);
  const evaluations = logHistory.filter((entry) => Object.keys(entry).some((name) => name.startsWith("eval_")));
  history.evaluations = [];
  for (const { step, ...metrics } of evaluations) history.addEvaluation({ step: step!, metrics }, report.best?.step);
  for (const name of ["evaluation", "bestEvaluation"] as const)
    if (report[name] && report[name].step > globalStep) delete report[name];
  if (report.best && report.best.step > globalStep) delete report.best;
  delete report.test; // of other weights
  if (history.curves.loss.points.length > 0) return report;
  for (const { step, loss, grad_norm: gradNorm, learning_rate: learningRate } of logHistory)
    if (loss !== undefined)
      history.add(step!, { loss, ...(gradNorm !== undefined && { gradNorm }), ...(learningRate !== undefined && { learningRate }) }); // prettier-ignore
  return report;
}

/** Rows of an update, batch by batch. */
const inBatches = (lengths: readonly number[], size: number): number[][] =>
  Array.from({ length: Math.ceil(lengths.length / size) }, (_, i) => lengths.slice(i * size, (i + 1) * size));

function memoryNow(): { deviceBytes?: number; rssBytes: number } {
  const rssBytes = process.memoryUsage.rss();
  try {
    const { bytes, freeBytes } = memory();
    return { deviceBytes: bytes + freeBytes, rssBytes };
  } catch {
    return { rssBytes }; // the device was lost: the Trainer is about to say so
  }
}

/**
 * Writes pages to a file, each as a whole: aside, then renamed. What is offered is written when enough time has passed since the page before;
 * only the newest counts. A page that can't be written is no reason to end a run: it is said once.
 */
function pagesTo(
  file: string,
  warn: (message: string) => void,
): {
  offer: (render: () => Promise<string>) => void;
  write: (render: () => Promise<string>) => Promise<void>;
} {
  let waiting: NodeJS.Timeout | undefined;
  let notBefore = 0;
  let writing = Promise.resolve();
  let failed = false;
  const write = (render: () => Promise<string>): Promise<void> => {
    clearTimeout(waiting);
    waiting = undefined;
    writing = writing.then(async () => {
      const start = performance.now();
      try {
        const html = await render();
        const took = performance.now() - start;
        notBefore = start + Math.max(PAUSE, PAUSE_PER_WRITE * took);
        await mkdir(join(file, ".."), { recursive: true });
        await writeFile(`${file}.tmp`, html); // always one name: what a killed run leaves, the next writes over
        await rename(`${file}.tmp`, file);
      } catch (error) {
        if (!failed) warn(`${file}: the report can't be written: ${(error as Error).message}. The run continues.`);
        failed = true;
      }
    });
    return writing;
  };
  const offer = (render: () => Promise<string>): void => {
    if (waiting) return;
    waiting = setTimeout(() => void write(render), Math.max(0, notBefore - performance.now()));
    waiting.unref();
  };
  return { offer, write };
}
