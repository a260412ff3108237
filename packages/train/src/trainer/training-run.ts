import { detectAnomaly, noGrad } from "@gpugrad/autograd";
import { checkInputs, type BertForSequenceClassification } from "@gpugrad/bert";
import {
  add,
  concat,
  defaultGenerator,
  GpugradError,
  keep,
  manualSeed,
  mul,
  ones,
  scope,
  select,
  stack,
  zeros,
  type GeneratorState,
  type Tensor,
} from "@gpugrad/tensor";
import { isBetter } from "../metrics/better.ts";
import {
  evalKey,
  type CallbackContext,
  type TrainerCallback,
  type TrainerEvent,
  type UpdateEvent,
} from "./callbacks.ts";
import { loadWeights, readResumeState, writeResumeState, type Progress } from "../checkpoint/run-files.ts";
import { lengthsOf, type Batch } from "../data/batch.ts";
import type { DataLoader } from "../data/data-loader.ts";
import { GradScaler } from "../optim/grad-scaler.ts";
import type { Loss } from "./loss.ts";
import { NonFiniteError } from "./non-finite.ts";
import { clipFactor, factorOf, gradientsOf } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { exists, readJson, writeJson, type OutputFolder } from "#platform";
import { callbackStates, loadCallbackStates } from "./callback-states.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { inMode } from "./mode.ts";
import { flosPerToken } from "./prediction.ts";
import { RecordedSteps, type UpdateInputs } from "./recorded-steps.ts";
import { watchesMetric, type LrScheduler } from "../schedule/scheduler.ts";
import { freshControl, freshState, stateFromJson, stateToJson, type LogEntry } from "./trainer-state.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

/** How many updates may be on their way to the device before we wait for the oldest: enough that neither side waits. */
const UPDATES_IN_FLIGHT = 2;

/** What training came to, under the Trainer's names. */
export interface TrainOutput {
  globalStep: number;
  /** Updates of this call: fewer than `globalStep` where it continued from a checkpoint. */
  updates: number;
  /** Mean of the losses of all updates of this call; NaN where there were none. */
  trainingLoss: number;
  /** False when `stop()` or a callback ended it early. */
  completed: boolean;
  /** Of this call, but `total_flos` and `epoch`, which count from the start. */
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
  /** Those there are now: more may be added while the run is under way. */
  callbacks: () => readonly TrainerCallback[];
  /** Writes model and tokenizer into a folder. */
  saveModel(folder: string): Promise<void>;
  emit(event: TrainerEvent, more?: Partial<CallbackContext>): Promise<void>;
  /** Whether a callback looks into updates. */
  looks: () => boolean;
  /** Calls those that look into updates. */
  look: (event: UpdateEvent) => void;
  evaluate(): Promise<Record<string, number>>;
  /** Adds an entry to the log. */
  log(entry: LogEntry): Promise<void>;
  /** Whether the user has asked to stop. */
  stopped: () => boolean;
  /** Waits for work that reads the weights, such as an evaluation that a callback doesn't await. */
  settled: () => Promise<void>;
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
  /** 1 once a loss or gradient was not finite, where that ends the run: the updates that are sent after it are left out, too. */
  readonly #halted: Tensor;
  readonly #steps: RecordedSteps;
  readonly #updatesPerEpoch: number;
  readonly #flosPerToken: number;
  readonly #inFlight: Promise<void>[] = [];
  /** Of the update that was heard of last. */
  #gradNorm = 0;
  #learningRate = 0;
  #progress: Progress = { sinceLastLog: { loss: 0, steps: 0 }, skippedSteps: 0, scheduleWaits: 0 };
  /** Epochs that have ended, and updates that the next one has had. */
  #place = { epochs: 0, updates: 0 };
  #isResumed = false;
  /** Where the random numbers of the updates are: the run's own, so that nothing else that draws changes them. */
  #generator: GeneratorState;
  /** Sum of losses of this call's updates. */
  #lossSum = 0;
  /** The point of the run that was saved last. */
  #savedAt: string | undefined;
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
    manualSeed(args.seed);
    this.optimizer = parts.createOptimizer();
    this.lrScheduler = parts.createScheduler(totalSteps);
    this.#generator = defaultGenerator.state;
    this.#scaler = new GradScaler({ enabled: args.fp16 });
    this.#halted = keep(zeros([]));
    this.#steps = new RecordedSteps(
      ({ input_ids, token_type_ids, labels }) =>
        checkInputs(model.config, {
          ids: input_ids.data,
          types: token_type_ids?.data,
          classes: labels?.dtype === "i32" ? labels.data : undefined,
        }),
      (inputs) => this.#update(inputs),
      () => this.#dependsOn(),
    );
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
    const { model, args, output, callbacks } = this.#parts;
    const saved = await readJson(folder, "trainer_state.json");
    const { maxSteps, numTrainEpochs } = this.state;
    const told = stateFromJson(saved, this.state, `${folder}/trainer_state.json`);
    await loadWeights(model, folder);
    for (const name of ["loggingSteps", "evalSteps", "saveSteps", "trainBatchSize"] as const) {
      if (told[name] !== this.state[name])
        await this.#warn(
          `${name} is ${this.state[name]}, and was ${told[name]} when ${folder} was saved. It is ${this.state[name]} from here on.`,
        );
    }
    const { loggingSteps, evalSteps, saveSteps, trainBatchSize } = this.state;
    this.state = { ...told, maxSteps, numTrainEpochs, loggingSteps, evalSteps, saveSteps, trainBatchSize };
    const { bestModelCheckpoint: best } = this.state;
    if (best !== null) {
      this.state.bestModelCheckpoint = (await output?.findBest(best, folder)) ?? null;
      if (this.state.bestModelCheckpoint === null) await this.#warn(`${best}, the best checkpoint so far, is gone.`);
    }
    loadCallbackStates(callbacks(), this.state.statefulCallbacks);
    await readResumeState(folder, async ({ optimizer, scheduler, generator, scaler, progress }) => {
      await this.optimizer.loadStateDict(optimizer);
      this.lrScheduler.loadStateDict(scheduler);
      if (scaler && args.fp16) this.#scaler.loadStateDict(scaler);
      this.#generator = generator;
      this.#progress = progress;
    });
    const { newest } = this.#progress;
    if (newest) [this.#gradNorm, this.#learningRate] = [newest.gradNorm ?? NaN, newest.learningRate];
    this.#place = this.#placeOf(this.#progress);
    this.#isResumed = true;
    if (output?.checkpoint(this.state.globalStep) === folder) this.#savedAt = this.#here();
    this.lastCheckpoint = folder;
  }

  /** Where a checkpoint was saved; from the updates alone, as in Transformers, if an epoch had another number of them, or an older version saved it. */
  #placeOf({ place }: Progress): { epochs: number; updates: number } {
    if (place?.updatesPerEpoch === this.#updatesPerEpoch) return { epochs: place.epochs, updates: place.updates };
    const { globalStep } = this.state;
    return {
      epochs: Math.floor(globalStep / this.#updatesPerEpoch),
      updates: globalStep % this.#updatesPerEpoch,
    };
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
    const { model, args, output, stopped, settled } = this.#parts;
    await settled();
    model.train();
    model.zeroGrad();
    this.optimizer.zeroGrad();
    this.#startedAt = performance.now();
    this.#firstStep = this.state.globalStep;
    await this.#emit("onTrainBegin");
    if (args.evalOnStart && !this.#isResumed) await this.#evaluate({ isAtStart: true });
    const place = this.#place;
    while (place.epochs < this.state.numTrainEpochs && !stopped() && (place.updates > 0 || !this.#isOver())) {
      this.control.shouldEpochStop = false;
      await this.#emit("onEpochBegin");
      if (!(await this.#epoch())) break;
      place.epochs++;
      place.updates = 0;
      await this.#emit("onEpochEnd");
      await this.#logEvaluateSave();
    }
    await this.#drain();
    if (stopped() && output && !this.#isCompleted() && this.#savedAt !== this.#here()) await this.#save();
    await settled();
    return this.#finish();
  }

  /** Whether no update is left. */
  #isOver(): boolean {
    return this.state.globalStep >= this.state.maxSteps || this.control.shouldTrainingStop;
  }

  /** Whether all updates have been made, and the last epoch has ended. */
  #isCompleted(): boolean {
    return this.state.globalStep >= this.state.maxSteps && this.#place.updates === 0;
  }

  /** The updates of an epoch that are left. False if `stop()` ended it before the last of them: then it has not ended. */
  async #epoch(): Promise<boolean> {
    const { loader, args, stopped } = this.#parts;
    const { epochs, updates } = this.#place;
    let batchesDone = Math.min(updates * args.gradientAccumulationSteps, loader.length);
    let batches: Batch[] = [];
    if (this.#isOver()) return true;
    for await (const batch of loader.epoch(epochs, { skip: batchesDone })) {
      if (stopped()) return false;
      if (!batch.arrays["labels"]) throw await this.#noLabel(batch);
      batches.push(batch);
      batchesDone++;
      const isFull = batches.length === args.gradientAccumulationSteps || batchesDone === loader.length;
      if (!isFull) continue;
      await this.#step(batches, epochs + batchesDone / loader.length);
      batches = [];
      if (this.control.shouldEpochStop || this.#isOver()) return true;
    }
    return true;
  }

  async #noLabel({ rows }: Batch): Promise<Error> {
    const { dataset } = this.#parts.loader;
    const read = await Promise.all(rows.map((row) => dataset.row(row)));
    const missing = rows.filter((_, i) => read[i]!.label === undefined);
    return new GpugradError(`Trainer: ${dataset.where(missing[0] ?? rows[0]!)} has no label to train on.`);
  }

  async #step(batches: readonly Batch[], epoch: number): Promise<void> {
    const { state, lrScheduler } = this;
    const { args, loss, looks } = this.#parts;
    await this.#emit("onStepBegin");
    await this.#parts.settled();
    const tokens = batches.reduce((sum, { arrays }) => sum + arrays.input_ids.data.length, 0);
    const pending: Pending = {
      step: ++state.globalStep,
      ...{ batches, epoch, tokens, learningRate: lrScheduler.lr, generator: this.#generator },
    };
    this.#place.updates++;
    state.epoch = epoch;
    state.totalFlos += tokens * this.#flosPerToken;
    this.optimizer.lr = lrScheduler.lr;
    const records = args.recordSteps && !looks() && loss.dependsOn() !== undefined;
    const result = this.#drawing(() => {
      const arrays = batches.map((batch) => batch.arrays);
      return this.#steps.run(arrays, this.#sharesOf(batches), { records });
    });
    const before = this.#inFlight.at(-1);
    const read = Promise.all([result, before]).then(([values]) => this.#takeIn(pending, values));
    read.catch(() => undefined); // it is awaited later
    this.#inFlight.push(read);
    if (this.#inFlight.length >= UPDATES_IN_FLIGHT) await this.#inFlight.shift();
    this.#moveSchedule();
    await this.#emit("onStepEnd");
    await this.#logEvaluateSave();
  }

  /** Does work that draws from the run's own random numbers. */
  #drawing<T>(work: () => T): T {
    const outside = defaultGenerator.state;
    defaultGenerator.setState(this.#generator);
    try {
      return work();
    } finally {
      this.#generator = defaultGenerator.state;
      defaultGenerator.setState(outside);
    }
  }

  /** What decides on the host what an update does. The rate, and what the optimizer has counted, a recording asks for anew. */
  #dependsOn(): string {
    const { model, args, loss } = this.#parts;
    const { lr: _, ...options } = this.optimizer.options;
    const own = [args.maxGradNorm, args.onNonFinite, args.gradientAccumulationLoss, loss.dependsOn(), options];
    return JSON.stringify(own) + fingerprintOf(model);
  }

  /** By steps; those that were left out don't count, which is known an update later. */
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
      const losses = inMode(model, true, () =>
        batches.map((inputs, i) =>
          scope(() => {
            const mean = lossFunction.forward(model, inputs).loss!; // there are labels: the loader sees to it
            const loss = shares ? mul(mean, select(shares, 0, i)) : mean;
            this.#scaler.scale(loss).backward();
            if (i < batches.length - 1) look("onSubstepEnd");
            return loss;
          }),
        ),
      );
      look("onPreOptimizerStep");
      const loss = noGrad(() => losses.reduce((a, b) => add(a, b)));
      const unless = args.onNonFinite === "ignore" ? undefined : this.#isBad(loss);
      if (args.fp16) {
        const norm = this.#scaler.step(this.optimizer, { maxNorm, ...(unless && { unless }) });
        look("onOptimizerStep");
        this.#zeroGrad();
        const read = noGrad(() => concat([stack([loss, norm]), this.#scaler.report()]));
        this.#scaler.update();
        return read;
      }
      const { parameters } = this.optimizer;
      const by = unless
        ? factorOf(gradientsOf(parameters), { maxNorm, scale: ones([]), found: unless, staysFound: true })
        : { ...clipFactor(parameters, maxNorm), found: zeros([]) };
      this.optimizer.step(by);
      look("onOptimizerStep");
      this.#zeroGrad();
      return noGrad(() => stack([loss, by.norm, ones([]), by.found!]));
    });
  }

  /** A scalar on the device that is 1 where the loss is infinite or NaN; where a bad update ends the run, also after one. */
  #isBad(loss: Tensor): Tensor {
    const found = this.#parts.args.onNonFinite === "stop" ? this.#halted : zeros([]);
    factorOf([loss], { maxNorm: Infinity, scale: ones([]), found });
    return found;
  }

  /** Also of parameters that the optimizer doesn't have, which came to need a gradient after it was made. */
  #zeroGrad(): void {
    this.optimizer.zeroGrad();
    this.#parts.model.zeroGrad();
  }

  /** Takes in what the device says of an update. */
  async #takeIn(pending: Pending, { 0: loss, 1: norm, 2: lossScale, 3: foundInf }: ArrayLike<number>): Promise<void> {
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
    this.#samples += batches.reduce((sum, { rows }) => sum + rows.length, 0);
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    const stepsDone = step - this.#firstStep;
    await this.#emit("onStepResult", {
      result: {
        ...{ step, totalSteps: this.state.maxSteps, loss: loss!, gradNorm: norm!, learningRate, epoch },
        lengths: batches.flatMap(({ arrays }) => lengthsOf(arrays)),
        tokensPerSecond: this.#tokens / elapsed,
        secondsLeft: (elapsed / stepsDone) * (this.state.maxSteps - step),
        ...(args.fp16 && { lossScale: lossScale! }),
        ...((args.fp16 || this.#progress.skippedSteps > 0) && { skippedSteps: this.#progress.skippedSteps }),
      },
    });
  }

  /** Does a broken update's forward and backward again, with the weights from before it, to say which op is the first that isn't finite. */
  async #explain({ step, batches, loss, gradNorm, generator }: Broken): Promise<Error> {
    const { model, loss: lossFunction } = this.#parts;
    const { dataset } = this.#parts.loader;
    const rows = batches.flatMap((batch) => batch.rows);
    defaultGenerator.setState(generator);
    let found: string | undefined;
    for (const batch of batches) {
      const { firstBad } = await detectAnomaly(
        () => inMode(model, true, () => scope(() => lossFunction.forward(model, batch.arrays).loss!.backward())),
        { parameters: model.namedParameters() },
      );
      found ??= firstBad?.message;
    }
    this.#zeroGrad();
    this.state.globalStep = step - 1;
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
    if (control.shouldEvaluate) await this.#evaluate();
    if (control.shouldSave) await this.#save();
    control.shouldSave = false;
  }

  async #logLoss(): Promise<void> {
    const { loss, steps } = this.#progress.sinceLastLog;
    this.#progress.sinceLastLog = { loss: 0, steps: 0 };
    await this.#parts.log({ loss: loss / steps, grad_norm: this.#gradNorm, learning_rate: this.#learningRate });
  }

  /** Evaluates. As in Transformers, an evaluation before the first update is neither the best nor does it move the schedule. */
  async #evaluate({ isAtStart = false } = {}): Promise<void> {
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
    if (isAtStart) return;
    if (watchesMetric(args.lrSchedulerType)) this.lrScheduler.step(metric);
    if (!isBetter(metric, this.state.bestMetric, { greater: args.greaterIsBetter === true })) return;
    this.state.bestMetric = metric;
    if (args.saveStrategy !== "no") this.state.bestGlobalStep = this.state.globalStep;
    if (args.saveStrategy === "best") this.control.shouldSave = true;
  }

  /** The point of the run that it is at, as a text. */
  #here(): string {
    return [this.state.globalStep, this.#place.epochs, this.#place.updates].join();
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
    Object.assign(state.statefulCallbacks, callbackStates(callbacks()));
    const fill = async (aside: string): Promise<void> => {
      await this.#parts.saveModel(aside);
      if (!args.saveOnlyModel) {
        await writeResumeState(aside, {
          optimizer: this.optimizer.stateDict(),
          scheduler: this.lrScheduler.stateDict(),
          generator: this.#generator,
          ...(args.fp16 && { scaler: await this.#scaler.stateDict() }),
          progress: {
            ...this.#progress,
            newest: { gradNorm: this.#gradNorm, learningRate: this.#learningRate },
            place: { ...this.#place, updatesPerEpoch: this.#updatesPerEpoch },
          },
        });
      }
      await writeJson(aside, "trainer_state.json", stateToJson(state, this.control));
    };
    try {
      await output.save(state.globalStep, fill);
    } catch (error) {
      if (!isDiskProblem(error)) throw error;
      state.bestModelCheckpoint = bestBefore;
      const problem = `${path} couldn't be saved: ${(error as Error).message}.`;
      const copy = this.#parts.stopped() ? await output.saveElsewhere(state.globalStep, fill) : undefined;
      if (copy === undefined)
        await this.#warn(`${problem} The run goes on, and will try again at the next checkpoint.`);
      else
        await this.#warn(`${problem} It is in ${copy} instead: resume from there (resumeFromCheckpoint), or move it.`);
      return;
    }
    this.lastCheckpoint = path;
    this.#savedAt = this.#here();
    const kept = [path, ...(state.bestModelCheckpoint === null ? [] : [state.bestModelCheckpoint])];
    await output.rotate({ limit: args.saveTotalLimit ?? undefined, keep: kept }).catch((error: unknown) => {
      if (!isDiskProblem(error)) throw error;
      return this.#warn(`An older checkpoint couldn't be deleted: ${(error as Error).message}. The run goes on.`);
    });
    await this.#emit("onSave", { checkpoint: path });
  }

  /** The last entry of the log and what `train()` returns: all of this call's own updates, except what counts from the start. */
  async #finish(): Promise<TrainOutput> {
    const { args, model } = this.#parts;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const { globalStep, totalFlos } = this.state;
    const updates = globalStep - this.#firstStep;
    const trainingLoss = updates > 0 ? this.#lossSum / updates : NaN;
    const metrics = {
      train_runtime: round(seconds, 4),
      train_samples_per_second: round(this.#samples / seconds, 3),
      train_steps_per_second: round(updates / seconds, 3),
      total_flos: totalFlos,
      train_loss: trainingLoss,
    };
    if (updates > 0) await this.#parts.log(metrics);
    if (args.loadBestModelAtEnd && this.state.bestModelCheckpoint !== null)
      await loadWeights(model, this.state.bestModelCheckpoint);
    defaultGenerator.setState(this.#generator);
    await this.#emit("onTrainEnd");
    const completed = this.#isCompleted();
    return { ...{ globalStep, updates, trainingLoss, completed }, metrics: { ...metrics, epoch: this.state.epoch } };
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
    if (!this.#halted.disposed) this.#halted.dispose();
    this.#parts.model.eval();
  }
}

/** A disk that is full, read-only or gone. */
const isDiskProblem = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENOENT"].includes(
    String((error as NodeJS.ErrnoException).code),
  );

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
