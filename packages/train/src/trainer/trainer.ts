import { noGrad } from "@gpugrad/autograd";
import type { BertForSequenceClassification, PushResult } from "@gpugrad/bert";
import {
  checkOptions,
  defaultGenerator,
  device,
  DeviceLostError,
  didYouMean,
  GpugradError,
  init,
  OutOfMemoryError,
  scope,
  showValue,
} from "@gpugrad/tensor";
import {
  hubCallback,
  modelCardCallback,
  OutputFolder,
  reporters,
  saveElsewhere,
  saveMetrics,
  writeJson,
} from "#platform";
import {
  callAll,
  callInside,
  checkCallback,
  defaultFlow,
  looksInside,
  type CallbackContext,
  type CallbackFunction,
  type TrainerCallback,
  type TrainerEvent,
} from "./callbacks.ts";
import { classWeights, labelCounts } from "../data/class-weights.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import { DataLoader } from "../data/data-loader.ts";
import { Dataset } from "../data/dataset.ts";
import { tokenizeDataset, type TokenizedDataset } from "../data/tokenize-dataset.ts";
import type { HubCallback } from "../hub/hub-callback.ts";
import { SaveError } from "../checkpoint/save-error.ts";
import { withMemoryAdvice } from "../diagnostics/memory-advice.ts";
import { restore, snapshot } from "../diagnostics/snapshot.ts";
import { callbackStates, loadCallbackStates } from "./callback-states.ts";
import { lossOf, type ComputeLoss, type Loss } from "./loss.ts";
import { inMode } from "./mode.ts";
import { ModelUse } from "./model-use.ts";
import { createOptimizer } from "../optim/create-optimizer.ts";
import { freeze } from "../optim/layers.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import {
  defaultMetricNames,
  defaultMetrics,
  nonFiniteRows,
  predictionsOf,
  type ComputeMetrics,
  type PredictionOutput,
} from "./prediction.ts";
import { getScheduler } from "../schedule/get-scheduler.ts";
import { watchesMetric, type LrScheduler } from "../schedule/scheduler.ts";
import { freshControl, freshState, type LogEntry, type TrainerControl, type TrainerState } from "./trainer-state.ts";
import { argumentsToJson, trainingArguments, type TrainingArguments } from "../arguments/training-arguments.ts";
import { TrainingRun, type TrainOutput } from "./training-run.ts";

export interface TrainerOptions {
  model: BertForSequenceClassification;
  /** Names in camelCase or snake_case. */
  args?: Partial<TrainingArguments> | Readonly<Record<string, unknown>>;
  tokenizer: BatchTokenizer;
  trainDataset?: Dataset;
  evalDataset?: Dataset;
  /** Rows of the training set in the order to take them; then nothing is shuffled. */
  trainIndices?: ArrayLike<number>;
  callbacks?: readonly (TrainerCallback | CallbackFunction)[];
  /** Metrics of an evaluation, in place of the usual ones. */
  computeMetrics?: ComputeMetrics;
  /** The loss of a batch, in place of the model's. */
  computeLoss?: ComputeLoss;
  /** An optimizer of one's own, made anew when a run goes on after the loss of a device. */
  createOptimizer?: (model: BertForSequenceClassification, args: TrainingArguments) => Optimizer;
}

/** How many batches of an evaluation may be on their way to the device. */
const BATCHES_IN_FLIGHT = 2;

/** How often a lost device is replaced before the run gives up: one that is lost again and again is broken. */
const MOST_DEVICES = 5;

/**
 * Trains and evaluates a classifier, or a regression, as Hugging Face's Trainer does: the same arguments, the same numbers, the same files.
 *
 * ```ts
 * const trainer = new Trainer({ model, tokenizer, trainDataset, evalDataset, args: { outputDir: "output", numTrainEpochs: 1 } });
 * await trainer.train();
 * await trainer.evaluate(); // { eval_loss: …, eval_accuracy: …, … }
 * await trainer.saveModel();
 * ```
 * @see https://huggingface.co/docs/transformers/main_classes/trainer
 */
export class Trainer {
  readonly model: BertForSequenceClassification;
  readonly args: TrainingArguments;
  readonly #options: TrainerOptions;
  readonly #callbacks: (TrainerCallback | CallbackFunction)[];
  readonly #hub: HubCallback | undefined;
  #run: TrainingRun | undefined;
  #state = freshState();
  /** The newest checkpoint of the run that ended last. */
  #lastCheckpoint: string | undefined;
  #stopped = false;
  /** The weights of "balanced" classes. */
  #balanced: Promise<readonly number[]> | undefined;
  /** What callbacks keep before the first run: where one from the start begins. */
  #callbackStates: TrainerState["statefulCallbacks"] | undefined;
  /** Tokens that are made ahead, while a run is under way. */
  readonly #tokens = new Map<Dataset, Promise<TokenizedDataset>>();
  /** Warnings that nobody could wait for where they arose. */
  readonly #warnings: Promise<void>[] = [];
  readonly #use: ModelUse;
  /** Whether a warning of logits that aren't finite was given. */
  #hasWarned = false;
  /** Until the callbacks are done with `onInitEnd`. */
  readonly #ready: Promise<void>;

  constructor(options: TrainerOptions) {
    checkOptions("Trainer", options, {
      ...{ model: "object", args: "object?", tokenizer: "object", trainDataset: "object?", evalDataset: "object?" },
      ...{ trainIndices: "any", callbacks: "list?", computeMetrics: "function?", computeLoss: "function?" },
      ...{ createOptimizer: "function?" },
    });
    for (const callback of options.callbacks ?? []) checkCallback(callback);
    this.model = options.model;
    this.#use = ModelUse.of(options.model);
    this.args = trainingArguments(options.args);
    this.#options = options;
    const { args, model } = this;
    this.#callbacks = [defaultFlow, ...(options.callbacks ?? []), ...this.#reporters()];
    if (args.outputDir !== null && args.pushToHub) {
      this.#hub = hubCallback({ args, outputDir: args.outputDir, warn: (warning) => this.#warn(warning) });
      this.#callbacks.push(this.#hub);
    }
    const refuse = (problem: string): never => {
      throw new GpugradError(`Trainer: ${problem}.`);
    };
    const wrong = model.parameters().find((p) => p.dtype !== "f32");
    if (wrong) refuse(`a parameter is ${wrong.dtype}; training needs f32: fromPretrained(…, { dtype: "f32" })`);
    if (args.evalStrategy !== "no" && options.trainDataset && !options.evalDataset)
      refuse(`evalStrategy is ${args.evalStrategy}, but there is no evalDataset`);
    const { num_labels: numLabels } = model.config;
    this.#createScheduler(1); // refuses keywords of the schedule
    if (!options.computeMetrics) checkMetric(args, numLabels);
    if (numLabels === 1 && (args.labelSmoothingFactor > 0 || args.classWeights !== null))
      refuse("labelSmoothingFactor and classWeights are for classes, but the model has one label: a regression");
    if (Array.isArray(args.classWeights) && args.classWeights.length !== numLabels)
      refuse(`there are ${args.classWeights.length} classWeights, but the model has ${numLabels} labels`);
    this.#ready = this.#emit("onInitEnd");
    this.#ready.catch(() => undefined); // it is awaited later
  }

  /** How far training has come. */
  get state(): TrainerState {
    return this.#run?.state ?? this.#state;
  }

  /** Adds a callback, after those there are. */
  addCallback(callback: TrainerCallback | CallbackFunction): void {
    checkCallback(callback);
    this.#callbacks.push(callback);
  }

  /** Ends training after the update under way; if there is an output folder, with a checkpoint. */
  stop(): void {
    this.#stopped = true;
  }

  /** Updates in all. */
  get totalSteps(): number {
    const { maxSteps, numTrainEpochs, gradientAccumulationSteps } = this.args;
    if (maxSteps > 0) return maxSteps;
    return Math.ceil(Math.ceil(this.#batchesPerEpoch() / gradientAccumulationSteps) * numTrainEpochs);
  }

  /**
   * Seconds that an update takes, from a timed forward and backward on the first batch that change nothing: a first one compiles
   * the kernels, a second is timed.
   */
  async measureStep(): Promise<number> {
    const batch = await firstOf((await this.#trainLoader()).epoch(0));
    const loss = await this.#loss();
    let seconds = 0;
    try {
      for (let i = 0; i < 2; i++) {
        const start = performance.now();
        const generator = defaultGenerator.state;
        inMode(this.model, true, () => scope(() => loss.forward(this.model, batch.arrays).loss!.backward()));
        defaultGenerator.setState(generator);
        this.model.zeroGrad();
        await device().finish();
        seconds = (performance.now() - start) / 1000;
      }
    } finally {
      loss.dispose();
    }
    return seconds * this.args.gradientAccumulationSteps;
  }

  /**
   * Trains, from the start or from a checkpoint. When the device is lost, a new one is made, and training continues from the newest
   * checkpoint, or begins again. Evaluations and the like that callbacks begin are waited for, also those that they don't await.
   * @param options.resumeFromCheckpoint in place of the argument of that name
   * @throws while the same model is being trained
   */
  async train(options: { resumeFromCheckpoint?: string | boolean | null } = {}): Promise<TrainOutput> {
    checkOptions("Trainer.train", options, { resumeFromCheckpoint: "any" });
    const { resumeFromCheckpoint = this.args.resumeFromCheckpoint } = options;
    if (
      typeof resumeFromCheckpoint === "object"
        ? resumeFromCheckpoint !== null
        : !/^(string|boolean)$/.test(typeof resumeFromCheckpoint)
    )
      throw new GpugradError(
        `Trainer.train: resumeFromCheckpoint is ${showValue(resumeFromCheckpoint)}; it has to be a folder, true, false or null.`,
      );
    return this.#use.training(() => this.#train(resumeFromCheckpoint));
  }

  async #train(resumeFromCheckpoint: string | boolean | null): Promise<TrainOutput> {
    const { args, model } = this;
    this.#stopped = false;
    this.#lastCheckpoint = undefined;
    await this.#ready;
    this.#callbackStates ??= callbackStates(this.#objects());
    const output = args.outputDir === null ? undefined : await OutputFolder.open(args.outputDir);
    try {
      let from: string | undefined;
      const skipped = (path: string, problem: string): Promise<void> =>
        this.#emit("onWarning", { warning: `${path} is passed over: ${problem}.` });
      if (resumeFromCheckpoint) {
        if (!output) throw new GpugradError("Trainer: resumeFromCheckpoint needs an outputDir.");
        from = await output.find(resumeFromCheckpoint, skipped);
      } else await output?.begin({ overwrite: args.overwriteOutputDir });
      if (output) await writeJson(output.path, "training_args.json", argumentsToJson(args));
      const atStart = from === undefined ? await snapshot(model) : undefined;
      for (let devices = 1; ; devices++) {
        try {
          const result = await this.#trainFrom(from, output);
          await device().finish(); // a device that was lost at the very end has the weights with it
          device().trim(); // what comes next, such as an evaluation, takes buffers of other sizes
          return result;
        } catch (caught) {
          if (!(caught instanceof DeviceLostError) || devices === MOST_DEVICES) {
            const error = caught instanceof OutOfMemoryError ? this.#adviseOn(caught) : caught;
            await this.#emit("onTrainError", { error }).catch((second: unknown) =>
              console.warn(`Trainer: a callback failed at onTrainError: ${String(second)}`),
            );
            throw error;
          }
          await this.#use.settled();
          await init();
          from = this.#lastCheckpoint ?? from;
          if (from === undefined) restore(model, atStart!);
          await this.#emit("onWarning", {
            warning: `${caught.message} There is a new one, and training continues from ${from ?? "the start"}.`,
          });
        }
      }
    } finally {
      await this.#use.settled(); // an evaluation that nobody awaits may still read tokens
      for (const tokens of this.#tokens.values()) await (await tokens.catch(() => undefined))?.close();
      this.#tokens.clear();
      await output?.release();
    }
  }

  async #trainFrom(from: string | undefined, output: OutputFolder | undefined): Promise<TrainOutput> {
    const { args, model } = this;
    if (args.freeze.length > 0) freeze(model, args.freeze);
    if (args.gradientCheckpointing) model.gradientCheckpointingEnable();
    const loader = await this.#trainLoader();
    const loss = await this.#loss();
    const looking = (): TrainerCallback[] => this.#objects().filter(looksInside);
    if (from === undefined) loadCallbackStates(this.#objects(), this.#callbackStates!);
    try {
      const run = new TrainingRun({
        ...{ model, args, loss, output, loader, totalSteps: this.totalSteps },
        createOptimizer: () => this.#createOptimizer(model),
        createScheduler: (totalSteps) => this.#createScheduler(totalSteps),
        callbacks: () => this.#objects(),
        saveModel: (folder) => this.#save(folder),
        emit: (event, more) => this.#emit(event, more),
        looks: () => looking().length > 0,
        look: (event) => callInside(looking(), event, ...this.#told()),
        evaluate: () => this.evaluate(),
        log: (entry) => this.#log(entry),
        stopped: () => this.#stopped,
        settled: () => this.#use.settled(),
      });
      this.#run = run;
      try {
        if (from !== undefined) await run.resume(from);
        return await run.train();
      } finally {
        this.#state = run.state;
        this.#lastCheckpoint = run.lastCheckpoint;
        await run.dispose();
        this.#run = undefined;
      }
    } finally {
      loss.dispose();
    }
  }

  #createOptimizer(model: BertForSequenceClassification): Optimizer {
    return this.#options.createOptimizer?.(model, this.args) ?? createOptimizer(model, this.args);
  }

  /** The error, with what this run's updates take, and what would fit. */
  #adviseOn(error: OutOfMemoryError): OutOfMemoryError {
    const { args, model } = this;
    const parameters = model.parameters();
    return withMemoryAdvice(error, {
      config: model.config,
      batchSize: args.perDeviceTrainBatchSize,
      length: this.#maxLength,
      accumulation: args.gradientAccumulationSteps,
      gradientCheckpointing: args.gradientCheckpointing,
      fp16: args.fp16,
      optimizerFor: (twin) => {
        twin.parameters().forEach((parameter, i) => (parameter.requiresGrad = parameters[i]!.requiresGrad)); // some are frozen
        return this.#createOptimizer(twin);
      },
    });
  }

  #createScheduler(numTrainingSteps: number): LrScheduler {
    const { lrSchedulerType, lrSchedulerKwargs, learningRate: lr, warmupSteps, greaterIsBetter } = this.args;
    const numWarmupSteps = warmupSteps < 1 ? Math.ceil(warmupSteps * numTrainingSteps) : warmupSteps;
    const schedulerSpecificKwargs = {
      ...(watchesMetric(lrSchedulerType) && { mode: greaterIsBetter ? "max" : "min" }),
      ...lrSchedulerKwargs,
    };
    return getScheduler(lrSchedulerType, { lr, numWarmupSteps, numTrainingSteps, schedulerSpecificKwargs });
  }

  /**
   * Writes model and tokenizer into a folder (default: the output folder), for anybody to open; with `pushToHub`, uploads that, too.
   * @throws {@link SaveError} where the disk is full, read-only or gone; the model is then in another folder, which the error names, if there is
   *   one that takes it
   */
  async saveModel(folder?: string): Promise<void> {
    await this.#ready;
    const target = folder ?? this.args.outputDir;
    if (target === null) throw new GpugradError("Trainer: saveModel() needs a folder, or an outputDir.");
    await this.#use.reading(async () => {
      try {
        await this.#save(target);
      } catch (error) {
        const { syscall, message } = error as NodeJS.ErrnoException;
        if (syscall === undefined) throw error; // not the disk's
        const savedIn = await saveElsewhere(target, (elsewhere) => this.#save(elsewhere));
        const now =
          savedIn === undefined
            ? "nor anywhere else: make room and call saveModel() again; the model is still in memory"
            : `but is in ${savedIn}: move it from there`;
        throw new SaveError(`${target}: the model can't be saved: ${message}; ${now}. Choose another folder next time.`, savedIn); // prettier-ignore
      }
    });
    await this.#emit("onSaveModel", { folder: target });
    if (folder === undefined) await this.#hub?.push();
  }

  /**
   * Uploads the output folder as it is now: after {@link saveModel}, which uploads it too, what has been written since, such as results and the
   * model card of a test. What is there already is not sent again.
   * @returns undefined where that failed, which is a warning: nothing that was trained is lost
   */
  async pushToHub(commitMessage?: string): Promise<PushResult | undefined> {
    await this.#ready;
    if (!this.#hub) throw new GpugradError("Trainer: pushToHub() needs pushToHub: true, and an outputDir.");
    return this.#hub.push(commitMessage);
  }

  /**
   * Writes metrics into `<split>_results.json` in the output folder, and adds them to `all_results.json`, as Transformers does. A new `train`
   * replaces the results of an earlier training.
   * @param split `train`, `eval`, `test`, …
   */
  async saveMetrics(
    split: string,
    metrics: Readonly<Record<string, number>>,
    options: { combined?: boolean } = {},
  ): Promise<void> {
    if (this.args.outputDir === null) throw new GpugradError("Trainer: saveMetrics() needs an outputDir.");
    await saveMetrics(this.args.outputDir, split, metrics, options);
  }

  async #save(folder: string): Promise<void> {
    await this.model.savePretrained(folder);
    await this.#options.tokenizer.savePretrained?.(folder);
    await writeJson(folder, "training_args.json", argumentsToJson(this.args));
  }

  /**
   * Loss and metrics on a dataset (default: `evalDataset`), which the log takes in, too.
   * @returns `eval_loss`, `eval_accuracy`, … and `eval_runtime`, `eval_samples_per_second`, `eval_steps_per_second`
   */
  async evaluate(options: { dataset?: Dataset | undefined } = {}): Promise<Record<string, number>> {
    checkOptions("Trainer.evaluate", options, { dataset: "object?" });
    const { dataset = this.#options.evalDataset } = options;
    if (!dataset) throw new GpugradError("Trainer: evaluate() needs an evalDataset.");
    checkDataset("Trainer.evaluate", dataset);
    return this.#use.reading(() => this.#evaluate(dataset));
  }

  async #evaluate(dataset: Dataset): Promise<Record<string, number>> {
    const prediction = await this.#predict(dataset, "eval");
    const { metrics } = prediction;
    if (!prediction.labels)
      throw new GpugradError(`Trainer: evaluate() needs labels, and ${dataset.name} has rows without.`);
    await this.#log(metrics);
    await this.#emit("onEvaluate", { metrics, prediction });
    return metrics;
  }

  /** Logits of every row, with `test_loss` and the metrics where all rows have labels. */
  async predict(dataset: Dataset, options: { metricKeyPrefix?: string } = {}): Promise<PredictionOutput> {
    checkOptions("Trainer.predict", options, { metricKeyPrefix: "string?" });
    checkDataset("Trainer.predict", dataset);
    const { metricKeyPrefix = "test" } = options;
    return this.#use.reading(async () => {
      const prediction = await this.#predict(dataset, metricKeyPrefix);
      await this.#emit("onPredict", { metrics: prediction.metrics, prediction });
      return prediction;
    });
  }

  async #predict(dataset: Dataset, prefix: string): Promise<PredictionOutput> {
    await this.#ready;
    const { args, model } = this;
    const { tokenizer, evalDataset } = this.#options;
    const repeats = this.#run !== undefined && dataset === evalDataset; // the evaluations of a run share their tokens
    const tokenized = repeats && tokenizer.savePretrained ? await this.#tokensOf(dataset) : undefined;
    const loader = new DataLoader(dataset, tokenizer, {
      batchSize: args.perDeviceEvalBatchSize,
      maxLength: this.#maxLength,
      padding: args.padding,
      prefetch: args.dataloaderPrefetch,
      ...(tokenized && { tokenized }),
    });
    const numLabels = model.config.num_labels;
    const predictions = new Float32Array(dataset.length * numLabels);
    const labels: number[] = [];
    let [lossSum, weightSum, row] = [0, 0, 0];
    const loss = await this.#loss();
    const start = performance.now();
    const inFlight: Promise<void>[] = [];
    let batches = 0;
    try {
      for await (const batch of loader.epoch()) {
        const at = row;
        row += batch.rows.length;
        for (const label of batch.arrays["labels"]?.data ?? []) labels.push(label);
        const read = scope(() =>
          noGrad(() => {
            const output = inMode(model, false, () => loss.forward(model, batch.arrays));
            return { logits: output.logits.data(), mean: output.loss?.item() };
          }),
        );
        const evaluation = { batch: ++batches, totalBatches: loader.length };
        const weight = loss.weightOf(batch);
        const taken = Promise.all([read.logits, read.mean]).then(async ([values, mean]) => {
          predictions.set(values, at * numLabels);
          lossSum += (mean ?? 0) * weight;
          weightSum += weight;
          await this.#emit("onPredictionStep", { evaluation });
        });
        taken.catch(() => undefined); // it is awaited later
        inFlight.push(taken);
        if (inFlight.length >= BATCHES_IN_FLIGHT) await inFlight.shift();
      }
      await Promise.all(inFlight);
    } finally {
      await Promise.allSettled(inFlight);
      loss.dispose();
    }
    const seconds = (performance.now() - start) / 1000;
    const labelled = labels.length === row && row > 0 ? labels : undefined;
    const found = predictionsOf(predictions, numLabels, labelled);
    this.#warnOfNonFinite(nonFiniteRows(found), dataset);
    const { computeMetrics = defaultMetrics } = this.#options;
    const own = labelled ? await computeMetrics({ ...found, labels: labelled }) : {};
    const metrics = {
      ...(labelled && { loss: lossSum / weightSum }),
      ...own,
      runtime: Number(seconds.toFixed(4)),
      samples_per_second: Number((row / seconds).toFixed(3)),
      steps_per_second: Number((batches / seconds).toFixed(3)),
    };
    const prefixed = Object.entries(metrics).map(([name, value]) => [
      name.startsWith(`${prefix}_`) ? name : `${prefix}_${name}`,
      value,
    ]);
    return { ...found, dataset, metrics: Object.fromEntries(prefixed) as Record<string, number> };
  }

  /** Says, once, that metrics are NaN since the model's answers are. */
  #warnOfNonFinite(rows: readonly number[], dataset: Dataset): void {
    if (rows.length === 0 || this.#hasWarned) return;
    this.#hasWarned = true;
    this.#warn(
      `${dataset.name}: the logits of ${rows.length} of ${dataset.length} rows are NaN or infinite, the first of ${dataset.where(rows[0]!)}. ` +
        "Metrics that depend on them are NaN. If this is so after training, look at the loss: a lower learningRate may help.",
    );
  }

  async #loss(): Promise<Loss> {
    if (this.args.classWeights === "balanced") this.#balanced ??= this.#balancedWeights();
    return lossOf(this.args, { balanced: await this.#balanced, computeLoss: this.#options.computeLoss });
  }

  async #balancedWeights(): Promise<readonly number[]> {
    const { trainDataset } = this.#options;
    if (!trainDataset)
      throw new GpugradError("Trainer: classWeights is balanced, but there is no trainDataset to count.");
    const counts = await labelCounts(trainDataset);
    // The model may have classes that the data has no rows of.
    return classWeights(Array.from({ length: this.model.config.num_labels }, (_, label) => counts[label] ?? 0));
  }

  #batchesPerEpoch(): number {
    const { trainDataset, trainIndices } = this.#options;
    if (!trainDataset) throw new GpugradError("Trainer: train() needs a trainDataset.");
    const { perDeviceTrainBatchSize, dataloaderDropLast } = this.args;
    const rows = trainIndices?.length ?? trainDataset.length;
    const batches = (dataloaderDropLast ? Math.floor : Math.ceil)(rows / perDeviceTrainBatchSize);
    if (batches > 0) return batches;
    throw new GpugradError(
      `Trainer: an epoch has no batch: ${rows} rows in batches of ${perDeviceTrainBatchSize}` +
        `${dataloaderDropLast ? ", and the last one is left out if it isn't full" : ""}.`,
    );
  }

  async #trainLoader(): Promise<DataLoader> {
    this.#batchesPerEpoch(); // says what is missing
    const { args } = this;
    const { trainDataset, trainIndices, tokenizer } = this.#options;
    const groupByLength = args.trainSamplingStrategy === "group_by_length";
    const tokenized = groupByLength || args.dataloaderNumWorkers > 0 ? await this.#tokensOf(trainDataset!) : undefined;
    return new DataLoader(trainDataset!, tokenizer, {
      batchSize: args.perDeviceTrainBatchSize,
      maxLength: this.#maxLength,
      padding: args.padding,
      seed: args.dataSeed ?? args.seed,
      dropLast: args.dataloaderDropLast,
      prefetch: args.dataloaderPrefetch,
      ...(tokenized && { tokenized }),
      ...(trainIndices ? { indices: trainIndices } : { shuffle: args.trainSamplingStrategy !== "sequential" }),
      ...(args.shuffleBuffer !== null && { shuffleBuffer: args.shuffleBuffer }),
      ...(groupByLength && { groupByLength, groupSize: args.perDeviceTrainBatchSize * args.gradientAccumulationSteps }),
    });
  }

  /** The tokens of a dataset that is read more than once in a run. */
  async #tokensOf(dataset: Dataset): Promise<TokenizedDataset> {
    const known = this.#tokens.get(dataset);
    if (known) return known;
    const { dataloaderNumWorkers: numWorkers } = this.args;
    const options = { numWorkers, maxLength: this.#maxLength };
    const tokens = tokenizeDataset(dataset, this.#options.tokenizer, options);
    this.#tokens.set(dataset, tokens);
    const { note } = await tokens;
    if (note) await this.#emit("onWarning", { warning: note });
    return tokens;
  }

  /** Tokens per example at most: what was asked for, and no more than model and tokenizer take. */
  get #maxLength(): number {
    return Math.min(
      this.args.maxLength,
      this.#options.tokenizer.modelMaxLength,
      this.model.config.max_position_embeddings,
    );
  }

  #reporters(): TrainerCallback[] {
    const { reportTo, outputDir, runName, hubModelId } = this.args;
    const warn = (warning: string): void => this.#warn(warning);
    const tell = reportTo.flatMap((name) => reporters[name]?.({ outputDir: outputDir ?? ".", runName, warn }) ?? []);
    return outputDir === null ? tell : [...tell, modelCardCallback({ outputDir, hubModelId, warn })];
  }

  /** For those who can't wait: what a handler throws comes out of the next event, or of the call that is under way. */
  #warn(warning: string): void {
    const told = this.#tell("onWarning", { warning });
    told.catch(() => undefined); // it is awaited later
    this.#warnings.push(told);
  }

  /** The callbacks that aren't plain functions. */
  #objects(): TrainerCallback[] {
    return this.#callbacks.filter((callback) => typeof callback !== "function");
  }

  async #log(logs: LogEntry): Promise<void> {
    const { epoch, globalStep: step, logHistory } = this.state;
    const entry = { ...logs, epoch, step };
    logHistory.push(entry);
    await this.#emit("onLog", { logs: entry });
  }

  async #emit(event: TrainerEvent, more: Partial<CallbackContext> = {}): Promise<void> {
    await this.#tell(event, more);
    while (this.#warnings.length > 0) await this.#warnings.shift();
  }

  async #tell(event: TrainerEvent, more: Partial<CallbackContext>): Promise<void> {
    if (
      event === "onWarning" &&
      !this.#callbacks.some((callback) => typeof callback === "function" || callback.onWarning)
    )
      console.warn(`Trainer: ${more.warning}`);
    await callAll(this.#callbacks, event, ...this.#told(more));
  }

  /** What callbacks are told. */
  #told(more: Partial<CallbackContext> = {}): [TrainingArguments, TrainerState, TrainerControl, CallbackContext] {
    const { tokenizer, trainDataset, evalDataset } = this.#options;
    const run = this.#run;
    const context = {
      ...{ model: this.model, tokenizer },
      ...(trainDataset && { trainDataset }),
      ...(evalDataset && { evalDataset }),
      ...(run && { optimizer: run.optimizer, lrScheduler: run.lrScheduler }),
      ...more,
    };
    return [this.args, this.state, run?.control ?? freshControl(), context];
  }
}

/** @throws where no evaluation will give the metric that the run goes by */
function checkMetric({ metricForBestModel }: TrainingArguments, numLabels: number): void {
  const metric = metricForBestModel?.replace(/^eval_/, "");
  const names = defaultMetricNames(numLabels);
  if (metric === undefined || names.includes(metric)) return;
  throw new GpugradError(
    `Trainer: metricForBestModel is ${metricForBestModel}, which no evaluation gives. There are ${names.join(", ")}` +
      `${names.includes("f1") ? "; precision, recall and f1 are macro averages" : ""}.${didYouMean(metric, names)}`,
  );
}

function checkDataset(owner: string, dataset: unknown): void {
  if (dataset instanceof Dataset) return;
  throw new GpugradError(
    `${owner}: the dataset is ${showValue(dataset)}, not a Dataset. Make one: Dataset.fromRows(rows).`,
  );
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item;
  throw new GpugradError("Trainer: the training set is empty.");
}
