import { PeftModel, type BertForSequenceClassification, type PushResult } from "@gpugrad/bert";
import {
  checkOptions,
  device,
  DeviceLostError,
  GpugradError,
  init,
  manualSeed,
  OutOfMemoryError,
} from "@gpugrad/tensor";
import { writeJson } from "#files";
import { services } from "#services";
import { argumentsToJson, trainingArguments, type TrainingArguments } from "../arguments/training-arguments.ts";
import type { RunStore } from "../checkpoint/run-store.ts";
import type { Dataset } from "../data/dataset.ts";
import { identityOf } from "../parallel/identity.ts";
import { Ranks } from "../parallel/ranks.ts";
import { DiLoCo } from "../parallel/diloco.ts";
import { sumOverRanks } from "../parallel/sum-gradients.ts";
import { restore, snapshot } from "../diagnostics/snapshot.ts";
import type { HubCallback } from "../hub/hub-callback.ts";
import { createOptimizer } from "../optim/create-optimizer.ts";
import { freeze } from "../optim/layers.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { createScheduler } from "../schedule/create-scheduler.ts";
import type { Predictions } from "../tasks/sequence-classification/predictions.ts";
import { taskOf } from "../tasks/task-for.ts";
import type { Evaluated, Found, Loss, Task, TrainableModel } from "../tasks/task.ts";
import { callbackStates, loadCallbackStates } from "./callback-states.ts";
import type { CallbackFunction, TrainerCallback } from "./callbacks.ts";
import { checkDataset, checkResume, checkRun, firstOf } from "./checks.ts";
import { adviseOn, compileUpdates, type DryUpdateParts } from "./dry-updates.ts";
import { Evaluations } from "./evaluations.ts";
import { Events } from "./events.ts";
import { Loaders } from "./loaders.ts";
import { secondsOf } from "./measure-step.ts";
import { saveModelOrElsewhere, type ModelParts } from "./model-files.ts";
import { ModelUse } from "./model-use.ts";
import type { Exchange } from "./recorded-steps.ts";
import { reportersOf } from "./reporters.ts";
import type { TrainOutput } from "./run-parts.ts";
import type { TrainerServices } from "./services.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import type { TrainerState } from "./trainer-state.ts";
import { TrainingRun } from "./training-run.ts";

/** How often a lost device is replaced before the run gives up: one that is lost again and again is broken. */
const MOST_DEVICES = 5;

/**
 * Trains and evaluates a model as Hugging Face's Trainer does: the same arguments, the same numbers, the same files. What is learned is a
 * {@link Task}; for a sequence classifier there are some.
 *
 * ```ts
 * const trainer = new Trainer({ model, tokenizer, trainDataset, evalDataset, args: { outputDir: "output", numTrainEpochs: 1 } });
 * await trainer.train();
 * await trainer.evaluate(); // { eval_loss: …, eval_accuracy: …, … }
 * await trainer.saveModel();
 * ```
 * @see https://huggingface.co/docs/transformers/main_classes/trainer
 */
export class Trainer<M extends TrainableModel = BertForSequenceClassification, F extends Found = Predictions> {
  readonly model: M;
  readonly task: Task<F>;
  readonly args: TrainingArguments;
  readonly #options: TrainerOptions<M, F>;
  readonly #services: TrainerServices;
  readonly #ranks: Ranks;
  readonly #events: Events;
  readonly #loaders: Loaders;
  readonly #evaluations: Evaluations<F>;
  readonly #files: ModelParts;
  readonly #hub: HubCallback | undefined;
  readonly #use: ModelUse;
  /** The newest checkpoint of the run that ended last. */
  #lastCheckpoint: string | undefined;
  #stop = new AbortController();
  /** What callbacks keep before the first run: where one from the start begins. */
  #callbackStates: TrainerState["statefulCallbacks"] | undefined;
  /** Until the callbacks are done with `onInitEnd`. */
  readonly #ready: Promise<void>;

  constructor(options: TrainerOptions<M, F>) {
    checkOptions("Trainer", options, {
      ...{ model: "object", args: "object?", tokenizer: "object", trainDataset: "object?", evalDataset: "object?" },
      ...{ trainIndices: "any", callbacks: "list?", computeMetrics: "function?", computeLoss: "function?" },
      ...{ createOptimizer: "function?", task: "object?", services: "object?" },
    });
    const { model, tokenizer, trainDataset, evalDataset, computeLoss, computeMetrics } = options;
    this.model = model;
    this.args = trainingArguments(options.args);
    this.task = options.task ?? (taskOf(model, trainDataset ?? evalDataset) as unknown as Task<F>);
    this.#options = options;
    this.#services = { ...services, ...options.services };
    const { args, task } = this;
    const { communicator } = this.#services;
    const ranks = (this.#ranks = new Ranks(communicator, args.ddpTimeout));
    const use = (this.#use = ModelUse.of(model));
    const datasets = { ...(trainDataset && { trainDataset }), ...(evalDataset && { evalDataset }) };
    const events = (this.#events = new Events(args, { model, tokenizer, task, ...datasets }));
    this.#files = { model, tokenizer, args, task };
    const { trainIndices } = options;
    const loaders = (this.#loaders = new Loaders({ ...this.#files, ...datasets, task, events, ranks, trainIndices }));
    this.#evaluations = new Evaluations({
      ...{ args, model, task, loaders, events, use, ranks, ...datasets },
      ...(computeLoss && { loss: { compute: computeLoss as unknown as Loss["compute"] } }),
      ...(computeMetrics && { computeMetrics }),
    });
    for (const callback of options.callbacks ?? []) events.add(callback);
    if (ranks.isFirst) {
      const { reporters, hub } = reportersOf(args, this.#services, (warning) => events.warnLater(warning));
      this.#hub = hub;
      for (const reporter of reporters) events.add(reporter);
    }
    checkRun({ args, model, task, ...datasets, computesMetrics: computeMetrics !== undefined });
    this.#ready = events.emit("onInitEnd");
    this.#ready.catch(() => undefined); // it is awaited later
  }

  /** How far training has come. */
  get state(): TrainerState {
    return this.#events.state;
  }

  /** Adds a callback, after those there are. */
  addCallback(callback: TrainerCallback | CallbackFunction): void {
    this.#events.add(callback);
  }

  /** Ends training after the update under way; if there is an output folder, with a checkpoint. */
  stop(): void {
    this.#stop.abort();
  }

  /** Updates in all. */
  get totalSteps(): number {
    const { maxSteps, numTrainEpochs, gradientAccumulationSteps } = this.args;
    if (maxSteps > 0) return maxSteps;
    return Math.ceil(Math.ceil(this.#loaders.batchesPerEpoch / gradientAccumulationSteps) * numTrainEpochs);
  }

  /**
   * Seconds that an update takes, from a timed forward and backward on the first batch that change nothing: a first one compiles
   * the kernels, a second is timed.
   */
  async measureStep(): Promise<number> {
    const batch = await firstOf((await this.#loaders.train()).epoch(0));
    const loss = await this.#evaluations.lossFunction();
    try {
      return (await secondsOf(this.model, batch, loss)) * this.args.gradientAccumulationSteps;
    } finally {
      loss.dispose();
    }
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
    checkResume(resumeFromCheckpoint);
    return this.#use.training(() => this.#train(resumeFromCheckpoint));
  }

  async #train(resumeFromCheckpoint: string | boolean | null): Promise<TrainOutput> {
    const { args, model } = this;
    this.#stop = new AbortController();
    this.#lastCheckpoint = undefined;
    await this.#ready;
    this.#callbackStates ??= callbackStates(this.#events.objects);
    const ranks = this.#ranks;
    if (ranks.size > 1) await ranks.agree(await identityOf({ args, model, datasets: this.#datasets }));
    let output: RunStore | undefined;
    try {
      if (args.outputDir !== null)
        await ranks.lead("opening the output folder", async () => {
          output = await this.#services.openRun(args.outputDir!);
        });
      let from: string | undefined;
      const skipped = (path: string, problem: string): Promise<void> =>
        this.#events.warn(`${path} is passed over: ${problem}.`);
      if (resumeFromCheckpoint) {
        if (args.outputDir === null) throw new GpugradError("Trainer: resumeFromCheckpoint needs an outputDir.");
        from = await ranks.lead("finding the checkpoint", () => output!.find(resumeFromCheckpoint, skipped));
      } else
        await ranks.lead("emptying the output folder", () => output?.begin({ overwrite: args.overwriteOutputDir }));
      if (output) await writeJson(output.path, "training_args.json", argumentsToJson(args));
      // Checkpoints of an adapter don't have what it adapts.
      const atStart = from === undefined || PeftModel.of(model) ? await snapshot(model) : undefined;
      for (let devices = 1; ; devices++) {
        try {
          const result = await this.#trainFrom(from, output);
          await device().finish(); // a device that was lost at the very end has the weights with it
          device().trim(); // what comes next, such as an evaluation, takes buffers of other sizes
          return result;
        } catch (caught) {
          // The others wait for a rank whose device is lost, and can't go back with it.
          if (!(caught instanceof DeviceLostError) || devices === MOST_DEVICES || ranks.size > 1) {
            const optimizerFor = (twin: TrainableModel): Optimizer => this.#createOptimizer(twin as M);
            const error =
              caught instanceof OutOfMemoryError ? adviseOn(caught, this.#dryUpdates, optimizerFor) : caught;
            await this.#events
              .emit("onTrainError", { error })
              .catch((second: unknown) =>
                console.warn(`Trainer: a callback failed at onTrainError: ${String(second)}`),
              );
            throw error;
          }
          await this.#use.settled();
          await init();
          from = this.#lastCheckpoint ?? from;
          if (atStart) restore(model, atStart);
          await this.#events.warn(
            `${caught.message} There is a new one, and training continues from ${from ?? "the start"}.`,
          );
        }
      }
    } finally {
      await this.#use.settled(); // an evaluation that nobody awaits may still read tokens
      await this.#loaders.close();
      await output?.release();
    }
  }

  async #trainFrom(from: string | undefined, output: RunStore | undefined): Promise<TrainOutput> {
    const { args, model, task } = this;
    const ranks = this.#ranks;
    const events = this.#events;
    if (args.freeze.length > 0) freeze(model, args.freeze);
    if (args.gradientCheckpointing) model.gradientCheckpointingEnable();
    await this.#loaders.keepBatchSize(from);
    const { totalSteps } = this;
    const loader = await this.#loaders.train();
    if (!device().adapter.cpu) await compileUpdates(this.#dryUpdates, loader.epoch(0));
    const loss = await this.#evaluations.lossFunction();
    if (from === undefined) loadCallbackStates(events.objects, this.#callbackStates!);
    try {
      manualSeed(args.seed);
      const optimizer = this.#createOptimizer(model);
      const diloco = args.dilocoSteps > 0 && ranks.size > 1 ? new DiLoCo(ranks, optimizer, args) : undefined;
      const run = new TrainingRun({
        ...{ ...this.#files, task, loss, loader, output, totalSteps, events },
        ...{ evaluations: this.#evaluations, use: this.#use, signal: this.#stop.signal },
        ...{ ranks, batchSize: this.#loaders.batchSize },
        ...{ optimizer, diloco },
        exchange: this.#services.exchange ?? diloco?.exchange ?? this.#exchange(),
        lrScheduler: createScheduler(args, totalSteps),
      });
      events.begin(run);
      try {
        if (from !== undefined) await run.resume(from);
        return await run.train();
      } finally {
        this.#lastCheckpoint = run.lastCheckpoint;
        await run.dispose();
        events.end();
      }
    } finally {
      loss.dispose();
    }
  }

  /** How the gradients of several ranks become one. */
  #exchange(): Exchange | undefined {
    const { ddpBucketCapMb, ddpCommHook } = this.args;
    if (this.#ranks.size === 1) return undefined;
    return sumOverRanks(this.#ranks, { bucketCapMb: ddpBucketCapMb, half: ddpCommHook === "fp16" });
  }

  get #datasets(): { trainDataset: Dataset | undefined; evalDataset: Dataset | undefined } {
    const { trainDataset, evalDataset } = this.#options;
    return { trainDataset, evalDataset };
  }

  #createOptimizer(model: M): Optimizer {
    return this.#options.createOptimizer?.(model, this.args) ?? createOptimizer(model, this.args);
  }

  get #dryUpdates(): DryUpdateParts {
    const { args, model, task } = this;
    return { args, model, task, maxLength: this.#loaders.maxLength };
  }

  /**
   * Writes model and tokenizer into a folder (default: the output folder), for others to open; with `pushToHub`, uploads that, too.
   * @throws {@link SaveError} where the disk is full, read-only or gone; the model is then in another folder, which the error names, if there is
   *   one that takes it
   */
  async saveModel(folder?: string): Promise<void> {
    await this.#ready;
    const target = folder ?? this.args.outputDir;
    if (target === null) throw new GpugradError("Trainer: saveModel() needs a folder, or an outputDir.");
    const save = (): Promise<void> => saveModelOrElsewhere(target, this.#files, this.#services);
    await this.#use.reading(() => this.#ranks.lead("saving the model", save));
    await this.#events.emit("onSaveModel", { folder: target });
    if (folder === undefined) await this.#hub?.push();
  }

  /**
   * Uploads the output folder as it is now: after {@link saveModel}, which uploads it too, what has been written since, such as results and the
   * model card of a test. What is there already is not sent again.
   * @returns undefined where that failed, which is a warning: nothing that was trained is lost
   */
  async pushToHub(commitMessage?: string): Promise<PushResult | undefined> {
    await this.#ready;
    if (!this.#ranks.isFirst) return undefined;
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
    const { outputDir } = this.args;
    await this.#ranks.lead("saving metrics", () => this.#services.saveMetrics(outputDir, split, metrics, options));
  }

  /**
   * Loss and metrics on a dataset (default: `evalDataset`), which the log takes in, too.
   * @returns `eval_loss`, `eval_accuracy`, … and `eval_runtime`, `eval_samples_per_second`, `eval_steps_per_second`
   */
  async evaluate(options: { dataset?: Dataset | undefined } = {}): Promise<Record<string, number>> {
    checkOptions("Trainer.evaluate", options, { dataset: "object?" });
    if (options.dataset) checkDataset("Trainer.evaluate", options.dataset);
    await this.#ready;
    return this.#evaluations.evaluate(options.dataset);
  }

  /** Predictions for every row, with `test_loss` and the metrics where all rows have labels. */
  async predict(dataset: Dataset, options: { metricKeyPrefix?: string } = {}): Promise<Evaluated<F>> {
    checkOptions("Trainer.predict", options, { metricKeyPrefix: "string?" });
    checkDataset("Trainer.predict", dataset);
    await this.#ready;
    return this.#evaluations.predict(dataset, options.metricKeyPrefix ?? "test");
  }
}
