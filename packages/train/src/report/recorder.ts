import { memory } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { shareableDataset } from "../hub/shareable-arguments.ts";
import { goesOnWithout } from "../trackers/tracker.ts";
import { evalKey, type TrainerCallback } from "../trainer/callbacks.ts";
import type { TrainerState } from "../trainer/trainer-state.ts";
import { factsOf, type Fact } from "./facts.ts";
import type { Evaluation } from "./findings.ts";
import { History } from "./history.ts";
import type { Report } from "./page.ts";

/** Plot and its document are loaded for a report, not with the package. */
const pages = () => import("./page.ts");

/** Updates over which tokens per second are measured: results may come two at a time. */
const RATE_UPDATES = { least: 4, most: 8 };

/** Where pages go, and what is known there: a folder, in Node. */
export interface ReportPlace {
  /** Its own name, without a path. */
  readonly folder: string;
  /** The page that is there; an empty text without one. */
  read(): Promise<string>;
  /** Writes a page at once, or when enough time has passed since the one before; then only the newest counts. */
  write(render: () => Promise<string>): Promise<void>;
  offer(render: () => Promise<string>): void;
  /** Whether the model lies there. */
  hasModel(): boolean;
  /** What the run is on. */
  environment(): Fact[];
  /** Memory of the process, where it is known. */
  rssBytes?(): number;
}

/**
 * Records a run for its report, in any runtime: how it went, what the model gets wrong. A resumed run continues with the page that is there.
 * @param runName the title; default the folder's name
 */
export function reportRecorder(
  place: ReportPlace,
  {
    runName,
    warn = console.warn,
  }: { runName?: string | null | undefined; warn?: ((message: string) => void) | undefined },
): TrainerCallback {
  const { folder } = place;
  const empty = (): Report => ({
    ...{ runName: runName ?? folder, outputDir: folder, status: "finished", step: 0, totalSteps: 0, epoch: 0 },
    ...{ totalEpochs: 0, hasModel: false, history: new History(), writtenAt: "" },
  });
  const stored = async (): Promise<Report> => {
    const { reportIn } = await pages();
    return { ...(reportIn(await place.read()) ?? empty()), runName: runName ?? folder, outputDir: folder };
  };
  let report: Report | undefined;
  let training = false;
  /** When the last update's result came. */
  let lastEvent = 0;
  /** Tokens of the last updates, and when their results came; it starts again after a pause for an evaluation or a checkpoint. */
  let recent: { at: number; tokens: number }[] = [];

  /** The report, brought up to what the state says. */
  const upTo = async (args: TrainingArguments, state: TrainerState): Promise<Report> => {
    report ??= await stored();
    const { bestMetric, bestGlobalStep, bestModelCheckpoint } = state;
    if (args.metricForBestModel !== null && bestMetric !== null && bestGlobalStep !== null)
      report.best = {
        ...{ metric: evalKey(args.metricForBestModel), value: bestMetric, step: bestGlobalStep },
        ...(bestModelCheckpoint !== null && { checkpoint: lastPart(bestModelCheckpoint) }),
      };
    const { evaluation, best } = report;
    if (args.loadBestModelAtEnd && evaluation && evaluation.step === best?.step) report.bestEvaluation = evaluation;
    return report;
  };
  const show = (): void => place.offer(() => render(report!));
  const render = async (shown: Report): Promise<string> => {
    const { page } = await pages();
    shown.hasModel = place.hasModel();
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
      report.facts = factsOf(args, context, place.environment());
      await upTo(args, state);
      lastEvent = performance.now();
      recent = [];
      await place.write(() => render(report!));
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
        ...memoryNow(place),
      });
      current.history.addLengths(step, batches, paddedLength);
      current.history.seconds += (now - lastEvent) / 1000;
      lastEvent = now;
      current.step = step;
      current.epoch = result!.epoch;
      current.totalSteps = result!.totalSteps;
      current.tokensPerSecond = result!.tokensPerSecond;
      current.secondsLeft = result!.secondsLeft;
      if (result!.skippedSteps !== undefined) current.skippedSteps = result!.skippedSteps;
      show();
    },

    onPredictionStep: () => {
      if (training) show(); // a long evaluation shows progress, too
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
      else await place.write(() => render(current));
    },

    async onPredict(args, state, _control, { prediction, metrics }) {
      if (!prediction?.labels) return; // nothing was measured
      const current = await upTo(args, state);
      const { dataset } = prediction;
      current.test = { dataset: shareableDataset(dataset.name), rows: dataset.length, metrics: metrics ?? {} };
      if (training) show();
      else await place.write(() => render(current));
    },

    async onSave(args, state, _control, { checkpoint }) {
      const current = await upTo(args, state);
      if (checkpoint !== undefined) current.checkpoint = lastPart(checkpoint);
      recent = [];
      await place.write(() => render(current)); // a run that continues from there finds all updates up to it
    },

    onSaveModel: () => report && place.write(() => render(report!)),

    async onTrainEnd(args, state) {
      const current = await upTo(args, state);
      training = false;
      current.status = state.globalStep >= state.maxSteps ? "finished" : "stopped";
      if (current.bestEvaluation) current.evaluation = current.bestEvaluation;
      await place.write(() => render(current));
    },

    async onTrainError(args, state) {
      const current = await upTo(args, state);
      training = false;
      current.status = "failed";
      await place.write(() => render(current));
    },
  });
}

/** A report as it was at an update from which a run continues; without one, the curves are those of the log. */
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

function memoryNow(place: ReportPlace): { deviceBytes?: number; rssBytes?: number } {
  const rss = place.rssBytes && { rssBytes: place.rssBytes() };
  try {
    const { bytes, freeBytes } = memory();
    return { deviceBytes: bytes + freeBytes, ...rss };
  } catch {
    return { ...rss }; // the device was lost: the Trainer is about to say so
  }
}

const lastPart = (path: string): string => path.split(/[\\/]/).at(-1)!;
