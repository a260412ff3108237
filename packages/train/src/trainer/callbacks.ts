import { check, checkOptions, didYouMean, GpugradError, showValue } from "@gpugrad/tensor";
import { isBetter } from "../metrics/better.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import { checkRanges } from "../optim/check.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { PredictionOutput } from "../tasks/sequence-classification/predictions.ts";
import type { Task } from "../tasks/task.ts";
import type { PreTrainedModel } from "@gpugrad/bert";
import type { LrScheduler } from "../schedule/scheduler.ts";
import type { CallbackState, LogEntry, TrainerControl, TrainerState } from "./trainer-state.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

/** One update, once the device has said what came of it. */
export interface StepEvent {
  /** Counts from 1. */
  step: number;
  totalSteps: number;
  loss: number;
  /** Norm of all gradients together, without the loss scale and before clipping. */
  gradNorm: number;
  /** The rate that this update used. */
  learningRate: number;
  /** Finished batches per batches of an epoch. */
  epoch: number;
  /** Tokens of each row, without padding. */
  lengths: readonly number[];
  /** Tokens with padding, on average so far. */
  tokensPerSecond: number;
  /** Until the last update, at the pace so far. */
  secondsLeft: number;
  /** With `fp16`: what the loss was multiplied by. */
  lossScale?: number;
  /** Updates so far that were left out, since a gradient was infinite or NaN. */
  skippedSteps?: number;
}

/** One batch of an evaluation. */
export interface EvalEvent {
  batch: number;
  totalBatches: number;
}

/** What else callbacks are given: whatever exists at the time. */
export interface CallbackContext {
  model: PreTrainedModel;
  /** What is learned. */
  task: Task;
  tokenizer: BatchTokenizer;
  trainDataset?: Dataset;
  evalDataset?: Dataset;
  /** From `onTrainBegin` on. */
  optimizer?: Optimizer;
  lrScheduler?: LrScheduler;
  /** At `onStepResult`. */
  result?: StepEvent;
  /** At `onPredictionStep`. */
  evaluation?: EvalEvent;
  /** At `onLog`: the entry, which is also the last one of `state.logHistory`. */
  logs?: LogEntry;
  /** At `onEvaluate` and `onPredict`. */
  metrics?: Record<string, number>;
  /** At `onEvaluate` and `onPredict`: what the task makes of every row. */
  prediction?: PredictionOutput;
  /** At `onSave`: the folder of the checkpoint. */
  checkpoint?: string;
  /** At `onSaveModel`: where the model is. */
  folder?: string;
  /** At `onTrainError`. */
  error?: unknown;
  /** At `onWarning`: what is wrong, and what was done about it. */
  warning?: string;
}

type Handler = (
  args: TrainingArguments,
  state: TrainerState,
  control: TrainerControl,
  context: CallbackContext,
) => void | Promise<void>;

/**
 * Is called in the middle of an update, and can't be asynchronous; it may start to read a tensor (`parameter.grad!.data()`). A run with
 * such a callback records no updates, which costs host time (`recordSteps`). Plain functions are not called for these events.
 */
type InnerHandler = (...args: Parameters<Handler>) => void;

/**
 * Watches a run, and may change what it does next by the flags of `control`. A handler may be asynchronous: the run waits for it.
 *
 * `onStepEnd` comes when an update has been sent to the device, which is when Transformers' comes, too; `onStepResult`, once its loss
 * is known: up to two updates later, always in order.
 * @see https://huggingface.co/docs/transformers/main_classes/callback
 */
export interface TrainerCallback {
  /**
   * At the end of the Trainer's constructor. A constructor waits for nothing: `train()`, `evaluate()`, `predict()` and `saveModel()` wait for
   * what is asynchronous, and throw what a handler threw.
   */
  onInitEnd?: Handler;
  onTrainBegin?: Handler;
  onTrainEnd?: Handler;
  /** In place of `onTrainEnd`: training ended with an error, which `train()` is about to throw. */
  onTrainError?: Handler;
  onEpochBegin?: Handler;
  onEpochEnd?: Handler;
  /** Before the batches of an update. */
  onStepBegin?: Handler;
  /** After a batch of an update of several, but the last. */
  onSubstepEnd?: InnerHandler;
  /** The gradients of an update are there: not clipped yet, and with `fp16` times the loss scale. */
  onPreOptimizerStep?: InnerHandler;
  /** The optimizer has moved the parameters; the gradients are still there. */
  onOptimizerStep?: InnerHandler;
  /** After an update. */
  onStepEnd?: Handler;
  /** The loss and gradient norm of an update are known. */
  onStepResult?: Handler;
  onLog?: Handler;
  onEvaluate?: Handler;
  onPredict?: Handler;
  /** After a batch of an evaluation or prediction. */
  onPredictionStep?: Handler;
  /** A checkpoint has been saved. */
  onSave?: Handler;
  /** `saveModel()` has written the model, which is not uploaded yet. */
  onSaveModel?: Handler;
  /** Something is wrong that the run survives. Without any callback that listens, it goes to `console.warn`. */
  onWarning?: Handler;
  /** What it keeps in checkpoints. */
  state?(): CallbackState;
  /** Continues from what `state()` gave. */
  loadState?(state: CallbackState): void;
}

/** The moments inside of an update. */
export type UpdateEvent = "onSubstepEnd" | "onPreOptimizerStep" | "onOptimizerStep";

/** `onLog`, `onSave`, … */
export type TrainerEvent = Exclude<keyof TrainerCallback, UpdateEvent | "state" | "loadState">;

/** A callback as a plain function: called at every event, with its name. */
export type CallbackFunction = (event: TrainerEvent, ...args: Parameters<Handler>) => void | Promise<void>;

/** All events that a callback may handle, and the other methods that it may have. */
const HANDLERS: readonly (TrainerEvent | UpdateEvent)[] = [
  ...([
    "onInitEnd",
    "onTrainBegin",
    "onTrainEnd",
    "onTrainError",
    "onEpochBegin",
    "onEpochEnd",
    "onStepBegin",
  ] as const),
  ...([
    "onSubstepEnd",
    "onPreOptimizerStep",
    "onOptimizerStep",
    "onStepEnd",
    "onStepResult",
    "onLog",
    "onEvaluate",
  ] as const),
  ...(["onPredict", "onPredictionStep", "onSave", "onSaveModel", "onWarning"] as const),
];

/** @throws for what is not a callback, and for a handler of an unknown event, which would never be called */
export function checkCallback(callback: unknown): void {
  if (typeof callback === "function") return;
  if (typeof callback !== "object" || callback === null || Array.isArray(callback))
    throw new GpugradError(`Trainer: a callback is ${showValue(callback)}, not an object or a function.`);
  const names = new Set<string>();
  for (let own: object = callback; own !== Object.prototype && own !== null; own = Object.getPrototypeOf(own) as object)
    for (const name of Object.getOwnPropertyNames(own)) names.add(name);
  for (const name of names) {
    const value = (callback as Record<string, unknown>)[name];
    if (HANDLERS.includes(name as TrainerEvent)) {
      if (value === undefined || typeof value === "function") continue;
      throw new GpugradError(`Trainer: a callback's ${name} is ${showValue(value)}, not a function.`);
    }
    if (!/^on(_[a-z]|[A-Z])/.test(name) || typeof value !== "function") continue;
    throw new GpugradError(
      `Trainer: a callback has ${name}, but there is no such event.${didYouMean(name, HANDLERS)} There are ${HANDLERS.join(", ")}.`,
    );
  }
}

/** Calls each callback in turn. */
export async function callAll(
  callbacks: readonly (TrainerCallback | CallbackFunction)[],
  event: TrainerEvent,
  ...args: Parameters<Handler>
): Promise<void> {
  for (const callback of callbacks) {
    const answer = typeof callback === "function" ? callback(event, ...args) : callback[event]?.(...args);
    if (answer instanceof Promise) await answer;
  }
}

/** Whether a callback is called inside an update, between its batches or around the optimizer's step. */
export const isInner = (callback: TrainerCallback): boolean =>
  Boolean(callback.onSubstepEnd ?? callback.onPreOptimizerStep ?? callback.onOptimizerStep);

/** Calls each inner callback in turn. @throws where one answers with a promise: an update can't wait */
export function callInner(
  innerCallbacks: readonly TrainerCallback[],
  event: UpdateEvent,
  ...args: Parameters<Handler>
): void {
  for (const callback of innerCallbacks) {
    const answer: unknown = callback[event]?.(...args);
    check(
      !(answer instanceof Promise),
      () => `Trainer: ${event} is asynchronous, but an update can't wait for it. Use onStepEnd, which may be.`,
    );
  }
}

/** When to log, evaluate, save and stop, by the arguments: Transformers' DefaultFlowCallback. */
export const defaultFlow: TrainerCallback = {
  onStepEnd({ loggingStrategy, loggingFirstStep, evalStrategy, evalDelay, saveStrategy }, state, control) {
    const step = state.globalStep;
    const isLast = step >= state.maxSteps;
    const evaluates = evalStrategy === "steps" && step >= evalDelay;
    if (step === 1 && loggingFirstStep) control.shouldLog = true;
    if (loggingStrategy === "steps" && step % state.loggingSteps === 0) control.shouldLog = true;
    if (evaluates && (isLast || step % state.evalSteps === 0)) control.shouldEvaluate = true;
    if (saveStrategy === "steps" && (isLast || step % state.saveSteps === 0)) control.shouldSave = true;
    if (isLast) control.shouldTrainingStop = true;
  },
  onEpochEnd({ loggingStrategy, evalStrategy, evalDelay, saveStrategy }, state, control) {
    if (loggingStrategy === "epoch") control.shouldLog = true;
    if (evalStrategy === "epoch" && state.epoch >= evalDelay) control.shouldEvaluate = true;
    if (saveStrategy === "epoch") control.shouldSave = true;
  },
};

/**
 * Stops when the metric of the best model has not improved, by more than `earlyStoppingThreshold`, for
 * `earlyStoppingPatience` evaluations in a row.
 * @see https://huggingface.co/docs/transformers/main_classes/callback#transformers.EarlyStoppingCallback
 */
export class EarlyStoppingCallback implements TrainerCallback {
  readonly earlyStoppingPatience: number;
  readonly earlyStoppingThreshold: number;
  #evaluationsSinceBest = 0;

  constructor(options: { earlyStoppingPatience?: number; earlyStoppingThreshold?: number } = {}) {
    const takes = { earlyStoppingPatience: "number?", earlyStoppingThreshold: "number?" } as const;
    checkOptions("EarlyStoppingCallback", options, takes);
    checkRanges("EarlyStoppingCallback", options, { earlyStoppingPatience: {}, earlyStoppingThreshold: {} });
    const { earlyStoppingPatience = 1, earlyStoppingThreshold = 0 } = options;
    this.earlyStoppingPatience = earlyStoppingPatience;
    this.earlyStoppingThreshold = earlyStoppingThreshold;
  }

  onTrainBegin({ metricForBestModel, evalStrategy }: TrainingArguments): void {
    if (metricForBestModel === null || evalStrategy === "no") {
      throw new GpugradError(
        `EarlyStoppingCallback: metricForBestModel is ${metricForBestModel}, evalStrategy ${evalStrategy}. It needs both, to know what got better.`,
      );
    }
  }

  onEvaluate(
    { metricForBestModel, greaterIsBetter }: TrainingArguments,
    { bestMetric, logHistory }: TrainerState,
    control: TrainerControl,
    { metrics }: CallbackContext,
  ): void {
    const key = evalKey(metricForBestModel!);
    const value = metrics?.[key];
    if (value === undefined) return;
    const isFirst = logHistory.filter((entry) => key in entry).length < 2; // of which this one is the last
    const byEnough = bestMetric === null || Math.abs(value - bestMetric) > this.earlyStoppingThreshold;
    const better = isBetter(value, bestMetric, { greater: greaterIsBetter === true }) && byEnough;
    this.#evaluationsSinceBest = isFirst || better ? 0 : this.#evaluationsSinceBest + 1;
    if (this.#evaluationsSinceBest >= this.earlyStoppingPatience) control.shouldTrainingStop = true;
  }

  state(): CallbackState {
    return {
      args: {
        early_stopping_patience: this.earlyStoppingPatience,
        early_stopping_threshold: this.earlyStoppingThreshold,
      },
      attributes: { early_stopping_patience_counter: this.#evaluationsSinceBest },
    };
  }

  loadState({ attributes }: CallbackState): void {
    this.#evaluationsSinceBest = Number(attributes["early_stopping_patience_counter"]);
  }
}

/** A metric's name in the log: `loss` is `eval_loss`. */
export const evalKey = (metric: string): string => (metric.startsWith("eval_") ? metric : `eval_${metric}`);
