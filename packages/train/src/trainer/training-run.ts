import { defaultGenerator, GpugradError } from "@gpugrad/tensor";
import { readJson } from "#files";
import { loadWeights, placeOf, readResumeState, type ResumeState } from "../checkpoint/run-files.ts";
import type { Batch } from "../data/batch.ts";
import { isBetter } from "../metrics/better.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { shareUpdate } from "../parallel/share-update.ts";
import { watchesMetric, type LrScheduler } from "../schedule/scheduler.ts";
import { loadCallbackStates } from "./callback-states.ts";
import { evalKey, type CallbackContext, type TrainerEvent } from "./callbacks.ts";
import { noLabelError } from "./checks.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import type { RunView } from "./events.ts";
import { flosPerToken } from "./flos.ts";
import { sharesOf } from "./loss.ts";
import { explainNonFinite } from "./non-finite.ts";
import { RecordedSteps } from "./recorded-steps.ts";
import { trainMetrics, type RunParts, type TrainOutput } from "./run-parts.ts";
import { StepResults, type Broken, type Pending } from "./step-results.ts";
import { freshControl, freshState, startState, stateFromJson } from "./trainer-state.ts";
import { Update } from "./update.ts";
import { UpdateRandom } from "./update-random.ts";

/** How many updates may be on their way to the device before we wait for the oldest: enough that neither side waits. */
const UPDATES_IN_FLIGHT = 2;

/**
 * One run of training, from the start or from a checkpoint: the loop, and the state that a checkpoint keeps.
 *
 * An update only records work; its loss is read up to two updates later, so host and device work at the same time. Before anything is
 * logged, evaluated or saved, all of it has been read.
 */
export class TrainingRun implements RunView {
  state = freshState();
  readonly control = freshControl();
  readonly optimizer: Optimizer;
  readonly lrScheduler: LrScheduler;
  readonly #parts: RunParts;
  readonly #update: Update;
  readonly #steps: RecordedSteps;
  readonly #results: StepResults;
  readonly #checkpoints: CheckpointWriter;
  readonly #batchesPerUpdate: number;
  readonly #updatesPerEpoch: number;
  readonly #flosPerToken: number;
  readonly #inFlight: Promise<void>[] = [];
  /** Epochs that have ended, and updates that the next one has had. */
  #place = { epochs: 0, updates: 0 };
  #isResumed = false;
  /** Whether a rank was asked to stop, so that all do. */
  #allStop = false;
  readonly #random: UpdateRandom;
  /** The point of the run that was saved last. */
  #savedAt: string | undefined;

  /** The random numbers of its updates begin where the default generator is. */
  constructor(parts: RunParts) {
    const { model, args, loader, totalSteps, batchSize } = parts;
    this.#parts = parts;
    this.optimizer = parts.optimizer;
    this.lrScheduler = parts.lrScheduler;
    this.#random = new UpdateRandom(parts.ranks);
    this.#update = new Update(parts);
    this.#steps = new RecordedSteps(this.#update);
    this.#results = new StepResults(args);
    this.#checkpoints = new CheckpointWriter(parts);
    this.#batchesPerUpdate = args.gradientAccumulationSteps * loader.pieces;
    this.#updatesPerEpoch = Math.ceil(loader.length / this.#batchesPerUpdate);
    this.#flosPerToken = flosPerToken(model.namedParameters());
    this.state = startState(
      { ...args, perDeviceTrainBatchSize: batchSize },
      totalSteps,
      Math.ceil(totalSteps / this.#updatesPerEpoch),
    );
  }

  /** The newest checkpoint of this run, or the one that it began with. */
  get lastCheckpoint(): string | undefined {
    return this.#checkpoints.last;
  }

  /** Continues where a checkpoint was saved. */
  async resume(folder: string): Promise<void> {
    const { model, args, output, events, ranks } = this.#parts;
    const saved = await readJson(folder, "trainer_state.json");
    const { maxSteps, numTrainEpochs } = this.state;
    const kept = stateFromJson(saved, this.state, `${folder}/trainer_state.json`);
    await loadWeights(model, folder);
    for (const name of ["loggingSteps", "evalSteps", "saveSteps", "trainBatchSize"] as const) {
      if (kept[name] !== this.state[name])
        await events.warn(
          `${name} is ${this.state[name]}, and was ${kept[name]} when ${folder} was saved. It is ${this.state[name]} from here on.`,
        );
    }
    const { loggingSteps, evalSteps, saveSteps, trainBatchSize } = this.state;
    this.state = { ...kept, maxSteps, numTrainEpochs, loggingSteps, evalSteps, saveSteps, trainBatchSize };
    const { bestModelCheckpoint: best } = this.state;
    if (best !== null) {
      this.state.bestModelCheckpoint =
        (await ranks.lead("looking for the best checkpoint", () => output?.findBest(best, folder))) ?? null;
      if (this.state.bestModelCheckpoint === null) await events.warn(`${best}, the best checkpoint so far, is gone.`);
    }
    loadCallbackStates(events.objects, this.state.statefulCallbacks);
    await readResumeState(folder, async ({ optimizer, scheduler, generator, scaler, outer, progress }) => {
      await this.optimizer.loadStateDict(optimizer);
      if (outer) await this.#parts.diloco?.load(outer);
      this.lrScheduler.loadStateDict(scheduler);
      if (scaler && args.fp16) this.#update.scaler.loadStateDict(scaler);
      this.#random.state = generator;
      this.#results.resume(progress);
    });
    this.#place = placeOf(this.#results.progress, this.state.globalStep, this.#updatesPerEpoch);
    this.#isResumed = true;
    const isHere = await ranks.lead("resuming", () => output?.checkpoint(this.state.globalStep) === folder);
    if (isHere) this.#savedAt = this.#here();
    this.#checkpoints.last = folder;
  }

  /** Trains to the end, or until it is asked to stop. @throws {@link NonFiniteError} where `onNonFinite` is stop */
  async train(): Promise<TrainOutput> {
    try {
      return await this.#train();
    } catch (error) {
      await Promise.allSettled(this.#inFlight);
      const { broken } = this.#results;
      throw broken ? await this.#explain(broken) : error;
    }
  }

  async #train(): Promise<TrainOutput> {
    const { model, args, use, diloco } = this.#parts;
    await use.settled();
    model.train();
    model.zeroGrad();
    this.optimizer.zeroGrad();
    this.#results.begin(this.state.globalStep);
    await diloco?.begin();
    await this.#emit("onTrainBegin");
    if (args.evalOnStart && !this.#isResumed) await this.#evaluate({ isAtStart: true });
    const place = this.#place;
    while (place.epochs < this.state.numTrainEpochs && !this.#isStopped && (place.updates > 0 || !this.#isOver())) {
      this.control.shouldEpochStop = false;
      await this.#emit("onEpochBegin");
      if (!(await this.#epoch())) break;
      place.epochs++;
      place.updates = 0;
      await this.#emit("onEpochEnd");
      await this.#logEvaluateSave();
    }
    await this.#drain();
    await diloco?.endRound();
    if (this.#isStopped && args.outputDir !== null && !this.#isCompleted() && this.#savedAt !== this.#here())
      await this.#save();
    await use.settled();
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
    const { loader } = this.#parts;
    const { labelNames = ["labels"] } = this.#parts.task;
    const { epochs, updates } = this.#place;
    let batchesDone = Math.min(updates * this.#batchesPerUpdate, loader.length);
    let batches: Batch[] = [];
    if (this.#isOver()) return true;
    for await (const batch of loader.epoch(epochs, { skip: batchesDone })) {
      if (this.#isStopped) return false;
      if (labelNames.some((name) => !batch.arrays[name])) throw await noLabelError(batch, loader.dataset);
      batches.push(batch);
      batchesDone++;
      const isFull = batches.length === this.#batchesPerUpdate || batchesDone === loader.length;
      if (!isFull) continue;
      await this.#step(batches, epochs + batchesDone / loader.length);
      if (this.#allStop) return false;
      batches = [];
      if (this.control.shouldEpochStop || this.#isOver()) return true;
    }
    return true;
  }

  async #step(batches: readonly Batch[], epoch: number): Promise<void> {
    const { state, lrScheduler } = this;
    const { args, loss, loader, events, use, ranks, signal, diloco } = this.#parts;
    const shared = await shareUpdate(ranks, state.globalStep + 1, {
      ...{ batches, weightOf: (batch) => loss.shareOf(batch), stops: signal.aborted },
    });
    if (ranks.size > 1) this.#allStop = shared.stops;
    if (this.#allStop) return;
    await this.#emit("onStepBegin");
    await use.settled();
    const { rows, tokens } = shared;
    const step = ++state.globalStep;
    const generator = this.#random.of(step);
    const pending: Pending = { step, batches, rows, epoch, tokens, learningRate: lrScheduler.lr, generator };
    this.#place.updates++;
    state.epoch = epoch;
    state.totalFlos += tokens * this.#flosPerToken;
    this.optimizer.lr = lrScheduler.lr;
    const isRecordable = ranks.mayRecord && events.innerCallbacks.length === 0 && loss.dependsOn() !== undefined;
    const records = args.recordSteps && isRecordable;
    const arrays = batches.map((batch) => batch.arrays);
    const own = shared.weights[ranks.rank]!;
    const those = diloco ? { all: [own], rank: 0 } : { all: shared.weights, rank: ranks.rank };
    const counts = !diloco || own.some((weight) => weight > 0); // the last batch may have no row for a rank
    const shares = counts ? sharesOf({ ...those, pieces: loader.pieces }, args) : own;
    const { values, sent } = this.#random.drawing(generator, () => this.#steps.run(arrays, shares, { records }));
    const before = this.#inFlight.at(-1);
    const read = Promise.all([values, before]).then(([result]) => this.#takeIn(pending, result));
    read.catch(() => undefined); // it is awaited later
    this.#inFlight.push(read);
    await sent;
    if (this.#inFlight.length >= UPDATES_IN_FLIGHT) await this.#inFlight.shift();
    this.#moveSchedule();
    await diloco?.updated();
    await this.#emit("onStepEnd");
    await this.#logEvaluateSave();
  }

  /** Whether it was asked to stop; where several ranks train, before the same update on all of them. */
  get #isStopped(): boolean {
    const { ranks, signal } = this.#parts;
    return ranks.size > 1 ? this.#allStop : signal.aborted;
  }

  /** By steps; those that were left out don't count, which is known an update later. */
  #moveSchedule(): void {
    if (watchesMetric(this.#parts.args.lrSchedulerType)) return;
    const { progress } = this.#results;
    if (progress.scheduleWaits > 0) progress.scheduleWaits--;
    else this.lrScheduler.step();
  }

  /** Takes in what the device says of an update. */
  async #takeIn(pending: Pending, values: ArrayLike<number>): Promise<void> {
    await this.#emit("onStepResult", { result: this.#results.add(pending, values, this.state.maxSteps) });
  }

  /** Why an update was not finite, with the weights from before it. */
  async #explain(broken: Broken): Promise<Error> {
    const { model, loss, loader } = this.#parts;
    const error = await explainNonFinite(broken, { model, loss, dataset: loader.dataset });
    this.#update.zeroGrad();
    this.state.globalStep = broken.step - 1;
    return error;
  }

  /** Waits until the device has said what came of all updates. */
  async #drain(): Promise<void> {
    while (this.#inFlight.length > 0) await this.#inFlight.shift();
  }

  async #logEvaluateSave(): Promise<void> {
    const { control } = this;
    await this.#follow();
    if (!control.shouldLog && !control.shouldEvaluate && !control.shouldSave) return;
    await this.#drain();
    const log = control.shouldLog && this.#results.takeLog();
    if (log) await this.#parts.events.log(log);
    control.shouldLog = false;
    if (control.shouldEvaluate || control.shouldSave) await this.#parts.diloco?.endRound();
    if (control.shouldEvaluate) await this.#evaluate();
    if (control.shouldSave) await this.#save();
    control.shouldSave = false;
  }

  /** What the callbacks of rank 0 want done, all do. */
  async #follow(): Promise<void> {
    const { ranks } = this.#parts;
    if (ranks.size > 1) Object.assign(this.control, await ranks.lead("what to do next", () => ({ ...this.control })));
  }

  /** Evaluates. As in Transformers, an evaluation before the first update is neither the best nor does it move the schedule. */
  async #evaluate({ isAtStart = false } = {}): Promise<void> {
    const { args } = this.#parts;
    const metrics = await this.#parts.evaluations.evaluate();
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

  /** Rank 0 saves, and the others know of it. */
  async #save(): Promise<void> {
    const { state, control } = this;
    const { saved, last, best } = await this.#parts.ranks.lead("saving a checkpoint", async () => {
      const saved = await this.#checkpoints.save(state, control, () => this.#resumeState());
      return { saved, last: this.#checkpoints.last, best: state.bestModelCheckpoint };
    });
    this.#checkpoints.last = last;
    state.bestModelCheckpoint = best;
    if (!saved) return;
    this.#savedAt = this.#here();
    await this.#emit("onSave", { checkpoint: this.lastCheckpoint! });
  }

  /** What resuming needs beside weights and state. */
  async #resumeState(): Promise<ResumeState> {
    const { progress, gradNorm, learningRate } = this.#results;
    const { args, ranks, diloco } = this.#parts;
    return {
      ...(diloco && { outer: diloco.state() }),
      optimizer: this.optimizer.stateDict(),
      scheduler: this.lrScheduler.stateDict(),
      generator: this.#random.state,
      ...(args.fp16 && { scaler: await this.#update.scaler.stateDict() }),
      progress: {
        ...progress,
        newest: { gradNorm, learningRate },
        place: { ...this.#place, updatesPerEpoch: this.#updatesPerEpoch },
        ...(ranks.size > 1 && { perDeviceBatchSize: args.perDeviceTrainBatchSize }),
      },
    };
  }

  /** The last entry of the log and what `train()` returns: all of this call's own updates, except what counts from the start. */
  async #finish(): Promise<TrainOutput> {
    const { args, model, events } = this.#parts;
    const { seconds, samples, lossSum } = this.#results;
    const { globalStep, totalFlos } = this.state;
    const updates = this.#results.updatesOf(globalStep);
    const trainingLoss = updates > 0 ? lossSum / updates : NaN;
    const metrics = trainMetrics({ seconds, samples, updates, totalFlos, trainingLoss });
    if (updates > 0) await events.log(metrics);
    if (args.loadBestModelAtEnd && this.state.bestModelCheckpoint !== null)
      await loadWeights(model, this.state.bestModelCheckpoint);
    defaultGenerator.setState(this.#random.state);
    await this.#emit("onTrainEnd");
    const completed = this.#isCompleted();
    return { ...{ globalStep, updates, trainingLoss, completed }, metrics: { ...metrics, epoch: this.state.epoch } };
  }

  #emit(event: TrainerEvent, more: Partial<CallbackContext> = {}): Promise<void> {
    return this.#parts.events.emit(event, more);
  }

  /** Gives back what it holds on the device; nothing where the device is gone. */
  async dispose(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    this.#steps.dispose();
    this.optimizer.zeroGrad();
    this.optimizer.dispose();
    this.#update.dispose();
    this.#parts.model.eval();
  }
}
