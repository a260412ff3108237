import { checkOptions, memory } from "@gpugrad/tensor";
import { checkRanges } from "../optim/check.ts";
import { evalKey, type CallbackContext, type StepEvent, type TrainerCallback } from "./callbacks.ts";
import { formatBytes, formatDuration, formatNumber, formatTable } from "../format.ts";
import { progressLine, type ProgressLine, type ProgressStream } from "../progress.ts";
import type { LogEntry, TrainerControl, TrainerState } from "./trainer-state.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

/** How {@link ProgressCallback} shows a run. */
export interface ProgressOptions {
  /** Default: stderr. */
  stream?: ProgressStream;
  /** Show only what is out of the ordinary. */
  quiet?: boolean;
  /** Where the stream is not a terminal: a line at least this often, between those at logging steps. Default 60. */
  everySeconds?: number;
}

/** Weight of the past in the loss of the live line. */
const SMOOTHING = 0.9;

/**
 * Shows how a run goes: on a terminal, one live line; elsewhere, a line at each logging step. Evaluations come as tables beside the
 * ones before; a loss that is not a number, an update left out and a checkpoint saved have lines of their own.
 * @see https://huggingface.co/docs/transformers/main_classes/callback#transformers.ProgressCallback
 */
export class ProgressCallback implements TrainerCallback {
  readonly #line: ProgressLine;
  readonly #isLive: boolean;
  readonly #quiet: boolean;
  readonly #everyMs: number;
  #smoothed = 0;
  #weight = 0;
  #latest: StepEvent | undefined;
  #skipped = 0;
  #shownAt = -Infinity;
  #shownStep: number | undefined;
  #isTraining = false;
  #evaluations: LogEntry[] = [];

  constructor(options: ProgressOptions = {}) {
    checkOptions("ProgressCallback", options, { stream: "object?", quiet: "boolean?", everySeconds: "number?" });
    checkRanges("ProgressCallback", options, { everySeconds: {} });
    const { stream = globalThis.process?.stderr, quiet = false, everySeconds = 60 } = options;
    this.#line = progressLine(stream, { everySeconds });
    this.#isLive = stream?.isTTY === true;
    this.#quiet = quiet;
    this.#everyMs = 1000 * everySeconds;
  }

  /** Writes a line above the live one. */
  print(text: string): void {
    this.#line.print(text);
  }

  /** Leaves the live line as it is: for a run that ended in an error. */
  done(): void {
    this.#line.done();
  }

  onTrainBegin(_: TrainingArguments, state: TrainerState): void {
    this.#isTraining = true;
    this.#evaluations = state.logHistory.filter((entry) => "eval_loss" in entry);
    if (state.globalStep > 0 && !this.#quiet) {
      this.print(`continuing after step ${state.globalStep} of ${state.maxSteps}`);
    }
  }

  onTrainEnd(): void {
    this.#isTraining = false;
    this.#line.done();
  }

  onStepResult(_: TrainingArguments, __: TrainerState, ___: TrainerControl, { result }: CallbackContext): void {
    if (!result) return;
    const { step, loss, skippedSteps = 0, lossScale } = result;
    this.#latest = result;
    if (Number.isFinite(loss)) {
      this.#smoothed = SMOOTHING * this.#smoothed + (1 - SMOOTHING) * loss;
      this.#weight = SMOOTHING * this.#weight + (1 - SMOOTHING);
    } else {
      this.print(`step ${step}: the loss is ${loss}`);
    }
    if (skippedSteps > this.#skipped) {
      const scale = lossScale === undefined ? "" : `; the loss scale was ${lossScale}`;
      this.print(`step ${step}: left out, for a gradient was not finite${scale}`);
    }
    this.#skipped = skippedSteps;
    if (this.#quiet) return;
    const text = describeStep(result, this.#weight > 0 ? this.#smoothed / this.#weight : loss);
    if (this.#isLive) this.#line.update(text);
    else if (performance.now() - this.#shownAt >= this.#everyMs) this.#plain(text);
  }

  onLog(_: TrainingArguments, __: TrainerState, ___: TrainerControl, { logs }: CallbackContext): void {
    const loss = logs?.["loss"];
    if (this.#quiet || this.#isLive || !this.#latest || loss === undefined) return;
    if (this.#shownStep !== this.#latest.step) this.#plain(describeStep(this.#latest, loss));
  }

  onPredictionStep(_: TrainingArguments, __: TrainerState, ___: TrainerControl, { evaluation }: CallbackContext): void {
    if (!evaluation || this.#quiet) return;
    const { batch, totalBatches } = evaluation;
    const text = `evaluating · batch ${batch}/${totalBatches} · ${percent(batch, totalBatches)}`;
    if (this.#isLive) this.#line.update(text);
    else if (performance.now() - this.#shownAt >= this.#everyMs) this.#plain(text);
    if (batch === totalBatches && !this.#isTraining) this.#line.done();
  }

  onEvaluate(
    { metricForBestModel, greaterIsBetter }: TrainingArguments,
    { globalStep, maxSteps, epoch }: TrainerState,
    _: TrainerControl,
    { metrics }: CallbackContext,
  ): void {
    if (!metrics || !this.#isTraining) return;
    const watched = metricForBestModel === null ? undefined : evalKey(metricForBestModel);
    const isGreaterBetter = (name: string): boolean =>
      name === watched && greaterIsBetter !== null ? greaterIsBetter : !/(loss|error|mse|mae)$/.test(name);
    this.#evaluations.push({ ...metrics, step: globalStep });
    if (this.#quiet) return;
    const title = `evaluation at step ${globalStep} of ${maxSteps}, epoch ${epoch.toFixed(2)}`;
    this.print(`${title}\n${evaluationTable(this.#evaluations, isGreaterBetter)}`);
  }

  onSave(_: TrainingArguments, __: TrainerState, ___: TrainerControl, { checkpoint }: CallbackContext): void {
    if (checkpoint !== undefined && !this.#quiet) this.print(`saved ${checkpoint}`);
  }

  onWarning(_: TrainingArguments, __: TrainerState, ___: TrainerControl, { warning }: CallbackContext): void {
    if (warning !== undefined) this.print(`warning: ${warning}`);
  }

  #plain(text: string): void {
    this.#line.print(text);
    this.#shownAt = performance.now();
    this.#shownStep = this.#latest?.step;
  }
}

const percent = (part: number, whole: number): string => `${Math.floor((100 * part) / whole)} %`;

/** `step 12/131 · 9 % · loss 0.6931 · lr 4.90e-5 · 1234 tokens/s · 812 MiB · 5 min left`, and with fp16 `2 left out` */
function describeStep(event: StepEvent, loss: number): string {
  const { step, totalSteps, learningRate, tokensPerSecond, secondsLeft, skippedSteps } = event;
  return [
    `step ${step}/${totalSteps}`,
    percent(step, totalSteps),
    `loss ${loss.toFixed(4)}`,
    `lr ${learningRate.toExponential(2)}`,
    ...(skippedSteps ? [`${skippedSteps} left out`] : []),
    `${Math.round(tokensPerSecond)} tokens/s`,
    formatBytes(memory().bytes),
    `${formatDuration(secondsLeft)} left`,
  ].join(" · ");
}

/** The last evaluation beside the one before and the best; `*` marks what is the best so far. */
function evaluationTable(evaluations: readonly LogEntry[], isGreaterBetter: (name: string) => boolean): string {
  const now = evaluations.at(-1)!;
  const before = evaluations.at(-2);
  const cell = (value: number | undefined): string => (value === undefined ? "" : formatNumber(value));
  const names = Object.keys(now).filter((name) => name.startsWith("eval_") && !/(_runtime|_per_second)$/.test(name));
  const rows = names.map((name) => {
    const best = evaluations.reduce((a, b) => {
      const [x, y] = [a[name] ?? NaN, b[name] ?? NaN];
      return Number.isNaN(x) || (isGreaterBetter(name) ? y > x : y < x) ? b : a;
    });
    const mark = best === now ? "*" : " ";
    const earlier = before ? [cell(before[name]), `${cell(best[name])} at step ${best["step"]}`] : [];
    return [name.slice("eval_".length), `${cell(now[name])} ${mark}`, ...earlier];
  });
  return formatTable([["", "now  ", ...(before ? ["before", "best"] : [])], ...rows]);
}
