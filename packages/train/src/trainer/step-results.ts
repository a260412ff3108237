import { GpugradError, type GeneratorState } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Progress } from "../checkpoint/run-files.ts";
import { lengthsOf, type Batch } from "../data/batch.ts";
import type { StepEvent } from "./callbacks.ts";

/** One update whose result is still to come. */
export interface Pending {
  step: number;
  batches: readonly Batch[];
  /** Rows of all ranks. */
  rows: number;
  learningRate: number;
  epoch: number;
  tokens: number;
  /** The state of the random numbers before it. */
  generator: GeneratorState;
}

/** An update that ends the run. */
export interface Broken extends Pending {
  loss: number;
  gradNorm: number;
}

/** What the results of a run's updates add up to. */
export class StepResults {
  /** What a checkpoint keeps of it. */
  progress: Progress = { sinceLastLog: { loss: 0, steps: 0 }, skippedSteps: 0, scheduleWaits: 0 };
  /** Of the newest update whose result is known. */
  gradNorm = 0;
  learningRate = 0;
  /** Sum of losses of this call's updates. */
  lossSum = 0;
  samples = 0;
  /** The update whose loss or gradient was not finite, if that is to end the run. */
  broken: Broken | undefined;
  readonly #args: TrainingArguments;
  #tokens = 0;
  #startedAt = 0;
  #firstStep = 0;

  constructor(args: TrainingArguments) {
    this.#args = args;
  }

  /** Begins to count time and updates of this call. */
  begin(globalStep: number): void {
    this.#startedAt = performance.now();
    this.#firstStep = globalStep;
  }

  /** Continues with what a checkpoint has kept. */
  resume(progress: Progress): void {
    this.progress = progress;
    const { newest } = progress;
    if (newest) [this.gradNorm, this.learningRate] = [newest.gradNorm ?? NaN, newest.learningRate];
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** Updates of this call. */
  updatesOf(globalStep: number): number {
    return globalStep - this.#firstStep;
  }

  /** Counts what the device says of an update. @throws where its loss or a gradient is not finite, and that ends the run */
  add(pending: Pending, values: ArrayLike<number>, totalSteps: number): StepEvent {
    const { fp16, onNonFinite, loggingNanInfFilter } = this.#args;
    const { step, batches, rows, learningRate, epoch, tokens } = pending;
    const [loss, gradNorm, lossScale, foundInf] = Array.from(values) as [number, number, number, number];
    const isFinite = Number.isFinite(loss) && (fp16 || Number.isFinite(gradNorm));
    if (!isFinite && onNonFinite === "stop") {
      this.broken = { ...pending, loss, gradNorm };
      throw new GpugradError(`Trainer: update ${step} has loss ${loss} and gradient norm ${gradNorm}.`);
    }
    if (foundInf !== 0) {
      this.progress.skippedSteps++;
      this.progress.scheduleWaits++;
    }
    const since = this.progress.sinceLastLog;
    const counted = loggingNanInfFilter && !Number.isFinite(loss) ? since.loss / (1 + since.steps) : loss;
    this.progress.sinceLastLog = { loss: Math.fround(since.loss + Math.fround(counted)), steps: since.steps + 1 };
    this.lossSum += counted;
    this.gradNorm = gradNorm;
    this.learningRate = learningRate;
    this.#tokens += tokens;
    this.samples += rows;
    const { seconds } = this;
    const { skippedSteps } = this.progress;
    return {
      ...{ step, totalSteps, loss, gradNorm, learningRate, epoch },
      lengths: batches.flatMap(({ arrays }) => lengthsOf(arrays)),
      tokensPerSecond: this.#tokens / seconds,
      secondsLeft: (seconds / this.updatesOf(step)) * (totalSteps - step),
      ...(fp16 && { lossScale }),
      ...((fp16 || skippedSteps > 0) && { skippedSteps }),
    };
  }

  /** The entry of the log for the updates since the last one; undefined where there were none. */
  takeLog(): Record<"loss" | "grad_norm" | "learning_rate", number> | undefined {
    const { loss, steps } = this.progress.sinceLastLog;
    if (steps === 0) return undefined;
    this.progress.sinceLastLog = { loss: 0, steps: 0 };
    return { loss: loss / steps, grad_norm: this.gradNorm, learning_rate: this.learningRate };
  }
}
