import { detectAnomaly, noGrad } from "@gpugrad/autograd";
import type { BertForSequenceClassification } from "@gpugrad/bert";
import {
  add,
  concat,
  defaultGenerator,
  GpugradError,
  mul,
  ones,
  scope,
  select,
  stack,
  zeros,
  type GeneratorState,
  type Tensor,
} from "@gpugrad/tensor";
import {
  evalKey,
  type CallbackContext,
  type TrainerCallback,
  type TrainerEvent,
  type UpdateEvent,
} from "./callbacks.ts";
import { loadWeights, readResumeState, writeResumeState, type Progress } from "../checkpoint/run-files.ts";
import type { Batch, DataLoader } from "../data/data-loader.ts";
import { GradScaler } from "../grad-scaler.ts";
import type { Loss } from "./loss.ts";
import { NonFiniteError } from "./non-finite.ts";
import { clipFactor } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { exists, readJson, writeJson, type OutputFolder } from "#platform";
import { flosPerToken } from "./prediction.ts";
import { inputsOf, RecordedSteps, type UpdateInputs } from "./recorded-steps.ts";
import { watchesMetric, type LrScheduler } from "../schedule.ts";
import { freshControl, freshState, stateFromJson, stateToJson, type LogEntry } from "./trainer-state.ts";
import type { TrainingArguments } from "./training-arguments.ts";

/** How many updates may be on their way to the device before we wait for the oldest: enough that neither side waits. */
const UPDATES_IN_FLIGHT = 2;

/** What training came to, under the Trainer's names. */
export interface TrainOutput {
  globalStep: number;
  /** Mean of the losses of all updates of this call. */
  trainingLoss: number;
  /** False when `stop()` or a callback ended it early. */
  completed: boolean;
  metrics: {
    train_runtime: number; // seconds
    train_samples_per_second: number;
    train_steps_per_second: number;
    total_flos: number;
    train_loss: number;
    epoch: number;
  };
}

/** What a run is given: all that outlives it. */
export interface RunParts {
  model: BertForSequenceClassification;
  args: TrainingArguments;
  loader: DataLoader;
  loss: Loss;
  createOptimizer(): Optimizer;
  createScheduler(totalSteps: number): LrScheduler;
  totalSteps: number;
  output: OutputFolder | undefined;
  callbacks: readonly TrainerCallback[];
  /** Writes model and tokenizer into a folder. */
  saveModel(folder: string): Promise<void>;
  emit(event: TrainerEvent, more?: Partial<CallbackContext>): Promise<void>;
  /** Calls those that look into updates, if there are any. */
  look?: (event: UpdateEvent) => void;
  evaluate(): Promise<Record<string, number>>;
  /** Adds an entry to the log. */
  log(entry: LogEntry): Promise<void>;
  /** Whether the user has asked to stop. */
  stopped(): boolean;
}

/** One update whose result is still to come. */
interface Pending {
  step: number;
  batches: readonly Batch[];
  learningRate: number;
  epoch: number;
  tokens: number;
  /** Where random numbers stood before it. */
  generator: GeneratorState;
}

/** An update that ends the run. */
interface Broken extends Pending {
  loss: number;
  gradNorm: number;
}

/**
 * One run of training, from the start or from a checkpoint: the loop, and the state that a checkpoint keeps.
 *
 * An update only records work; its loss is read up to two updates later, so host and device work at the same time. Before anything is
 * logged, evaluated or saved, all of it has been read.
 */
export class TrainingRun {
  state = freshState();
  readonly control = freshControl();
  readonly optimizer: Optimizer;
  readonly lrScheduler: LrScheduler;
  readonly #parts: RunParts;
  readonly #scaler: GradScaler;
  readonly #steps: RecordedSteps;
  readonly #updatesPerEpoch: number;
  readonly #flosPerToken: number;
  readonly #inFlight: Promise<void>[] = [];
  /** Of the update that was heard of last. */
  #gradNorm = 0;
  #learningRate = 0;
  #progress: Progress = { sinceLastLog: { loss: 0, steps: 0 }, skippedSteps: 0, scheduleWaits: 0 };
  /** Sum of losses of this call's updates. */
  #lossSum = 0;
  /** The newest checkpoint of this run, or the one that it began with. */
  lastCheckpoint: string | undefined;
  #firstStep = 0;
  #samples = 0;
  #tokens = 0;
  #startedAt = 0;
  /** The update whose loss or gradient was not finite, if that is to end the run. */
  #broken: Broken | undefined;

  constructor(parts: RunParts) {
    const { model, args, loader, totalSteps } = parts;
    this.#parts = parts;
    this.optimizer = parts.createOptimizer();
    this.lrScheduler = parts.createScheduler(totalSteps);
    this.#scaler = new GradScaler({ enabled: args.fp16 });
    const enabled = args.recordSteps && !parts.look;
    this.#steps = new RecordedSteps(model.config, (inputs) => this.#update(inputs), { enabled });
    this.#updatesPerEpoch = Math.ceil(loader.length / args.gradientAccumulationSteps);
    this.#flosPerToken = flosPerToken(model.namedParameters());
    const stepsOf = (steps: number): number => (steps < 1 ? Math.ceil(steps * totalSteps) : steps);
    this.state = {
      ...freshState(),
      maxSteps: totalSteps,
      numTrainEpochs: Math.ceil(totalSteps / this.#updatesPerEpoch),
      trainBatchSize: args.perDeviceTrainBatchSize,
      loggingSteps: stepsOf(args.loggingSteps),
      evalSteps: stepsOf(args.evalSteps ?? 500), // nothing is evaluated by steps without it
      saveSteps: stepsOf(args.saveSteps),
    };
  }

  /** Goes on where a checkpoint was saved. */
  async resume(folder: string): Promise<void> {
    const { model, args, callbacks } = this.#parts;
    await loadWeights(model, folder);
    const saved = (await readJson(folder, "trainer_state.json")) as Record<string, unknown>;
    const { maxSteps, numTrainEpochs } = this.state;
    const told = stateFromJson(saved, this.state);
    for (const name of ["loggingSteps", "evalSteps", "saveSteps", "trainBatchSize"] as const) {
      if (told[name] !== this.state[name])
        await this.#warn(
          `${name} is ${this.state[name]}, and was ${told[name]} when ${folder} was saved. It is ${this.state[name]} from here on.`,
        );
    }
    const { loggingSteps, evalSteps, saveSteps, trainBatchSize } = this.state;
    this.state = { ...told, maxSteps, numTrainEpochs, loggingSteps, evalSteps, saveSteps, trainBatchSize };
    if (this.state.bestModelCheckpoint !== null && !(await exists(this.state.bestModelCheckpoint))) {
      await this.#warn(`${this.state.bestModelCheckpoint}, the best checkpoint so far, is gone.`);
      this.state.bestModelCheckpoint = null;
    }
    for (const callback of callbacks) {
      const kept = this.state.statefulCallbacks[callback.constructor.name];
      if (kept) callback.loadState?.(kept);
    }
    await readResumeState(folder, async ({ optimizer, scheduler, generator, scaler, progress }) => {
      await this.optimizer.loadStateDict(optimizer);
      this.lrScheduler.loadStateDict(scheduler);
      if (scaler && args.fp16) this.#scaler.loadStateDict(scaler);
      defaultGenerator.setState(generator);
      this.#progress = progress;
    });
    this.lastCheckpoint = folder;
  }

  /** Trains to the end, or until it is told to stop. @throws {@link NonFiniteError} where `onNonFinite` is stop */
  async train(): Promise<TrainOutput> {
    try {
      return await this.#train();
    } catch (error) {
      await Promise.allSettled(this.#inFlight);
      throw this.#broken ? await this.#explain(this.#broken) : error;
    }
  }

  async #train(): Promise<TrainOutput> {
    const { model, args } = this.#parts;
    model.train();
    this.#startedAt = performance.now();
    this.#firstStep = this.state.globalStep;
    await this.#emit("onTrainBegin");
    if (args.evalOnStart && this.state.globalStep === 0) await this.#evaluate({ movesSchedule: false });
    const done = this.state.globalStep;
    let skip = (done % this.#updatesPerEpoch) * args.gradientAccumulationSteps;
    for (
      let epoch = Math.floor(done / this.#updatesPerEpoch);
      epoch < this.state.numTrainEpochs &&
      this.state.globalStep < this.state.maxSteps &&
      !this.control.shouldTrainingStop;
      epoch++, skip = 0
    ) {
      this.control.shouldEpochStop = false;
      await this.#emit("onEpochBegin");
      await this.#epoch(epoch, skip);
      await this.#emit("onEpochEnd");
      if (!this.#parts.stopped()) await this.#logEvaluateSave();
    }
    await this.#drain();
    return this.#finish();
  }

  /** The updates of an epoch, from batch `skip` on. */
  async #epoch(epoch: number, skip: number): Promise<void> {
    const { loader, args } = this.#parts;
    let batchesDone = skip;
    let batches: Batch[] = [];
    for await (const batch of loader.epoch(epoch, { skip })) {
      if (!batch.labels)
        throw new GpugradError(`Trainer: ${loader.dataset.where(batch.rows[0]!)} has no label to train on.`);
      batches.push(batch);
      batchesDone++;
      const isFull = batches.length === args.gradientAccumulationSteps || batchesDone === loader.length;
      if (!isFull) continue;
      await this.#step(batches, epoch + batchesDone / loader.length);
      batches = [];
      if (this.control.shouldEpochStop || this.control.shouldTrainingStop) return;
    }
  }

  async #step(batches: readonly Batch[], epoch: number): Promise<void> {
    const { control, state, lrScheduler } = this;
    control.shouldLog = control.shouldEvaluate = control.shouldSave = false;
    await this.#emit("onStepBegin");
    const tokens = batches.reduce((sum, { shape: [B, T] }) => sum + B * T, 0);
    const pending: Pending = {
      step: ++state.globalStep,
      ...{ batches, epoch, tokens, learningRate: lrScheduler.lr, generator: defaultGenerator.state },
    };
    state.epoch = epoch;
    state.totalFlos += tokens * this.#flosPerToken;
    this.optimizer.lr = lrScheduler.lr;
    const result = this.#steps.run(batches, this.#sharesOf(batches));
    const before = this.#inFlight.at(-1);
    const heard = Promise.all([result, before]).then(([told]) => this.#hear(pending, told));
    heard.catch(() => undefined); // it is awaited later
    this.#inFlight.push(heard);
    if (this.#inFlight.length >= UPDATES_IN_FLIGHT) await this.#inFlight.shift();
    this.#moveSchedule();
    await this.#emit("onStepEnd");
    if (this.#parts.stopped()) {
      control.shouldTrainingStop = true;
      control.shouldSave = this.#parts.output !== undefined;
    }
    await this.#logEvaluateSave();
  }

  /** By steps; those that were left out don't count, which is heard an update later. */
  #moveSchedule(): void {
    if (watchesMetric(this.#parts.args.lrSchedulerType)) return;
    if (this.#progress.scheduleWaits > 0) this.#progress.scheduleWaits--;
    else this.lrScheduler.step();
  }

  /** What part of the update's loss each batch has. */
  #sharesOf(batches: readonly Batch[]): number[] {
    const { args, loss } = this.#parts;
    if (args.gradientAccumulationLoss === "sum") return batches.map(() => 1);
    if (args.gradientAccumulationLoss === "mean") return batches.map(() => 1 / batches.length);
    const weights = batches.map((batch) => loss.weightOf(batch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  }

  /** One update on the device: gives its loss, its gradient norm, the loss scale, and 1 if it was left out. */
  #update({ batches, shares }: UpdateInputs): Tensor {
    const { args, model, loss: lossFunction, look } = this.#parts;
    const maxNorm = args.maxGradNorm || Infinity;
    return scope(() => {
      const losses = batches.map((inputs, i) =>
        scope(() => {
          const mean = lossFunction.forward(model, inputs).loss!; // there are labels: the loader sees to it
          const loss = shares ? mul(mean, select(shares, 0, i)) : mean;
          this.#scaler.scale(loss).backward();
          if (i < batches.length - 1) look?.("onSubstepEnd");
          return loss;
        }),
      );
      look?.("onPreOptimizerStep");
      const loss = noGrad(() => losses.reduce((a, b) => add(a, b)));
      if (args.fp16) {
        const norm = this.#scaler.step(this.optimizer, { maxNorm });
        look?.("onOptimizerStep");
        this.optimizer.zeroGrad();
        const told = noGrad(() => concat([stack([loss, norm]), this.#scaler.report()]));
        this.#scaler.update();
        return told;
      }
      const { parameters } = this.optimizer;
      const goesOn = args.onNonFinite === "ignore";
      const by = goesOn
        ? { ...clipFactor(parameters, maxNorm), found: zeros([]) }
        : clipFactor(parameters, maxNorm, { skipNonFinite: true });
      this.optimizer.step(by);
      look?.("onOptimizerStep");
      this.optimizer.zeroGrad();
      return noGrad(() => stack([loss, by.norm, ones([]), by.found]));
    });
  }

  /** Takes in what the device says of an update. */
  async #hear(pending: Pending, { 0: loss, 1: norm, 2: lossScale, 3: foundInf }: ArrayLike<number>): Promise<void> {
    const { args } = this.#parts;
    const { step, batches, learningRate, epoch, tokens } = pending;
    const isFinite = Number.isFinite(loss) && (args.fp16 || Number.isFinite(norm));
    if (!isFinite && args.onNonFinite === "stop") {
      this.#broken = { ...pending, loss: loss!, gradNorm: norm! };
      throw new GpugradError(`Trainer: update ${step} has loss ${loss} and gradient norm ${norm}.`);
    }
    if (foundInf !== 0) {
      this.#progress.skippedSteps++;
      this.#progress.scheduleWaits++;
    }
    const since = this.#progress.sinceLastLog;
    const counted = args.loggingNanInfFilter && !Number.isFinite(loss) ? since.loss / (1 + since.steps) : loss!;
    this.#progress.sinceLastLog = { loss: Math.fround(since.loss + Math.fround(counted)), steps: since.steps + 1 };
    this.#lossSum += counted;
    this.#gradNorm = norm!;
    this.#learningRate = learningRate;
    this.#tokens += tokens;
    this.#samples += batches.reduce((sum, { shape: [B] }) => sum + B, 0);
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    const stepsDone = step - this.#firstStep;
    await this.#emit("onStepResult", {
      result: {
        ...{ step, totalSteps: this.state.maxSteps, loss: loss!, gradNorm: norm!, learningRate, epoch },
        lengths: batches.flatMap(lengthsOf),
        tokensPerSecond: this.#tokens / elapsed,
        secondsLeft: (elapsed / stepsDone) * (this.state.maxSteps - step),
        ...(args.fp16 && { lossScale: lossScale! }),
        ...((args.fp16 || this.#progress.skippedSteps > 0) && { skippedSteps: this.#progress.skippedSteps }),
      },
    });
  }

  /** Does a broken update's forward and backward again, with weights that it has not changed, to say which op is the first that isn't finite. */
  async #explain({ step, batches, loss, gradNorm, generator }: Broken): Promise<Error> {
    const { model, loss: lossFunction } = this.#parts;
    const { dataset } = this.#parts.loader;
    const rows = batches.flatMap((batch) => batch.rows);
    defaultGenerator.setState(generator);
    let found: string | undefined;
    for (const batch of batches) {
      const { firstBad } = await detectAnomaly(
        () => scope(() => lossFunction.forward(model, inputsOf(batch)).loss!.backward()),
        { parameters: model.namedParameters() },
      );
      found ??= firstBad?.message;
    }
    model.zeroGrad();
    return new NonFiniteError(
      step,
      rows,
      `Trainer: update ${step} has loss ${loss} and gradient norm ${gradNorm}; it was left out, and training stopped. ` +
        `${found ?? "Computed again, all is finite"}. Its rows: ${rows.map((row) => dataset.where(row)).join("; ")}. Look at them, ` +
        'lower learningRate, or go on without such updates: onNonFinite: "skip".',
    );
  }

  /** Waits until the device has said what came of all updates. */
  async #drain(): Promise<void> {
    while (this.#inFlight.length > 0) await this.#inFlight.shift();
  }

  async #logEvaluateSave(): Promise<void> {
    const { control } = this;
    if (!control.shouldLog && !control.shouldEvaluate && !control.shouldSave) return;
    await this.#drain();
    if (control.shouldLog && this.#progress.sinceLastLog.steps > 0) await this.#logLoss();
    control.shouldLog = false;
    if (control.shouldEvaluate) await this.#evaluate({ movesSchedule: true });
    if (control.shouldSave) await this.#save();
    control.shouldSave = false;
  }

  async #logLoss(): Promise<void> {
    const { loss, steps } = this.#progress.sinceLastLog;
    this.#progress.sinceLastLog = { loss: 0, steps: 0 };
    await this.#parts.log({ loss: loss / steps, grad_norm: this.#gradNorm, learning_rate: this.#learningRate });
  }

  async #evaluate({ movesSchedule }: { movesSchedule: boolean }): Promise<void> {
    const { args } = this.#parts;
    const metrics = await this.#parts.evaluate();
    this.control.shouldEvaluate = false;
    if (args.metricForBestModel === null) return;
    const metric = metrics[evalKey(args.metricForBestModel)];
    if (metric === undefined) {
      throw new GpugradError(
        `Trainer: metricForBestModel is ${args.metricForBestModel}, but evaluation gives ${Object.keys(metrics).join(", ")}.`,
      );
    }
    if (movesSchedule && watchesMetric(args.lrSchedulerType)) this.lrScheduler.step(metric);
    const { bestMetric } = this.state;
    const isBetter = bestMetric === null || (args.greaterIsBetter ? metric > bestMetric : metric < bestMetric);
    if (isBetter) {
      this.state.bestMetric = metric;
      if (args.saveStrategy !== "no") this.state.bestGlobalStep = this.state.globalStep;
    }
    if (args.saveStrategy === "best") this.control.shouldSave = isBetter;
  }

  /** Saves a checkpoint. A disk that is full ends no run: the next one may find room. */
  async #save(): Promise<void> {
    const { args, output, callbacks } = this.#parts;
    if (!output) return;
    const { state } = this;
    const path = output.checkpoint(state.globalStep);
    const { bestGlobalStep } = state;
    const bestBefore = state.bestModelCheckpoint;
    if (bestGlobalStep !== null) {
      const best = output.checkpoint(bestGlobalStep);
      if (best === path || (await exists(best))) state.bestModelCheckpoint = best;
    }
    for (const callback of callbacks)
      if (callback.state) state.statefulCallbacks[callback.constructor.name] = callback.state();
    try {
      await output.save(state.globalStep, async (aside) => {
        await this.#parts.saveModel(aside);
        if (!args.saveOnlyModel) {
          await writeResumeState(aside, {
            optimizer: this.optimizer.stateDict(),
            scheduler: this.lrScheduler.stateDict(),
            generator: defaultGenerator.state,
            ...(args.fp16 && { scaler: await this.#scaler.stateDict() }),
            progress: this.#progress,
          });
        }
        await writeJson(aside, "trainer_state.json", stateToJson(state, this.control));
      });
    } catch (error) {
      if (!isDiskProblem(error)) throw error;
      state.bestModelCheckpoint = bestBefore;
      await this.#warn(
        `${path} couldn't be saved: ${(error as Error).message}. The run goes on, and will try again at the next checkpoint.`,
      );
      return;
    }
    this.lastCheckpoint = path;
    const keep = [path, ...(state.bestModelCheckpoint === null ? [] : [state.bestModelCheckpoint])];
    await output.rotate({ limit: args.saveTotalLimit ?? undefined, keep }).catch((error: unknown) => {
      if (!isDiskProblem(error)) throw error;
      return this.#warn(`An older checkpoint couldn't be deleted: ${(error as Error).message}. The run goes on.`);
    });
    await this.#emit("onSave", { checkpoint: path });
  }

  async #finish(): Promise<TrainOutput> {
    const { args, model } = this.#parts;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const { globalStep, maxSteps, totalFlos } = this.state;
    const steps = globalStep - this.#firstStep;
    const trainingLoss = steps > 0 ? this.#lossSum / steps : 0;
    const metrics = {
      train_runtime: round(seconds, 4),
      train_samples_per_second: round(this.#samples / seconds, 3),
      train_steps_per_second: round(steps / seconds, 3),
      total_flos: totalFlos,
      train_loss: trainingLoss,
    };
    await this.#parts.log(metrics);
    if (args.loadBestModelAtEnd && this.state.bestModelCheckpoint !== null)
      await loadWeights(model, this.state.bestModelCheckpoint);
    await this.#emit("onTrainEnd");
    return {
      ...{ globalStep, trainingLoss, completed: globalStep >= maxSteps },
      metrics: { ...metrics, epoch: this.state.epoch },
    };
  }

  #emit(event: TrainerEvent, more: Partial<CallbackContext> = {}): Promise<void> {
    return this.#parts.emit(event, more);
  }

  #warn(warning: string): Promise<void> {
    return this.#emit("onWarning", { warning });
  }

  /** Gives back what it holds on the device; nothing where the device is gone. */
  async dispose(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    this.#steps.dispose();
    this.optimizer.zeroGrad();
    this.optimizer.dispose();
    this.#scaler.dispose();
    this.#parts.model.eval();
  }
}

/** Tokens of each row of a batch, without padding. */
function lengthsOf({ attention_mask, shape: [B, T] }: Batch): number[] {
  return Array.from({ length: B }, (_, b) => attention_mask.subarray(b * T, (b + 1) * T).reduce((a, m) => a + m, 0));
}

/** A disk that is full, read-only or gone. */
const isDiskProblem = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENOENT"].includes(
    String((error as NodeJS.ErrnoException).code),
  );

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
