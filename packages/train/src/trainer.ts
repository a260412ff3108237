import { noGrad } from "@gpugrad/autograd";
import type { BertForSequenceClassification } from "@gpugrad/bert";
import {
  autocast,
  concat,
  defaultGenerator,
  device,
  GpugradError,
  manualSeed,
  scope,
  stack,
  type Tensor,
} from "@gpugrad/tensor";
import { DataLoader, type Batch, type BatchTokenizer } from "./data/data-loader.ts";
import type { Dataset } from "./data/dataset.ts";
import { GradScaler } from "./grad-scaler.ts";
import { accuracyScore } from "./metrics/classification.ts";
import { AdamW } from "./optim/adamw.ts";
import { noDecayGroups } from "./optim/optimizer.ts";
import { inputsOf, RecordedSteps, type StepInputs } from "./recorded-steps.ts";
import { getScheduler } from "./schedule.ts";
import { trainingArguments, type TrainingArguments } from "./training-arguments.ts";

/** One update, as it is told to callbacks and written to traces. */
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
  /** Tokens with padding, on average so far. */
  tokensPerSecond: number;
  /** Until the last update, at the pace so far. */
  secondsLeft: number;
  /** With `fp16`: what the loss was multiplied by. */
  lossScale?: number;
  /** With `fp16`: updates so far that were left out, since a gradient was infinite or NaN. */
  skippedSteps?: number;
}

/** One batch of an evaluation. */
export interface EvalEvent {
  batch: number;
  totalBatches: number;
}

export interface TrainerCallbacks {
  onStep?: (event: StepEvent) => void;
  onEvalBatch?: (event: EvalEvent) => void;
}

export interface TrainerOptions {
  model: BertForSequenceClassification;
  args?: Partial<TrainingArguments>;
  tokenizer: BatchTokenizer;
  trainDataset?: Dataset;
  evalDataset?: Dataset;
  /** Rows of the training set in the order to take them; then nothing is shuffled. */
  trainIndices?: ArrayLike<number>;
  callbacks?: TrainerCallbacks;
}

/** What training came to, under the Trainer's names. */
export interface TrainOutput {
  globalStep: number;
  /** Mean of the losses of all steps. */
  trainingLoss: number;
  /** False when `stop()` ended it early. */
  completed: boolean;
  metrics: {
    train_runtime: number; // seconds
    train_samples_per_second: number;
    train_steps_per_second: number;
    train_loss: number;
    epoch: number;
  };
}

export interface PredictionOutput {
  /** Logits, row by row. */
  predictions: Float32Array;
  numLabels: number;
  /** Class with the largest logit per row. */
  classes: Int32Array;
  /** Probability (softmax) of that class. */
  scores: Float32Array;
  labels: number[] | undefined;
  metrics: { eval_loss?: number; eval_accuracy?: number; eval_runtime: number; eval_samples_per_second: number };
}

/** How many steps may be on their way to the device before we wait for the oldest: enough that neither side waits. */
const STEPS_IN_FLIGHT = 2;

/**
 * Trains and evaluates a classifier as Hugging Face's Trainer does: AdamW, a schedule, clipping by the global norm.
 *
 * A step only records work; its loss is read a step later, so host and device work at the same time. With `fp16` that goes for what the
 * loss scale decides, too.
 */
export class Trainer {
  readonly model: BertForSequenceClassification;
  readonly args: TrainingArguments;
  readonly #options: TrainerOptions;
  #stopped = false;

  constructor(options: TrainerOptions) {
    this.model = options.model;
    this.args = trainingArguments(options.args);
    this.#options = options;
    const wrong = this.model.parameters().find((p) => p.dtype !== "f32");
    if (wrong)
      throw new GpugradError(
        `Trainer: a parameter is ${wrong.dtype}; training needs f32: fromPretrained(…, { dtype: "f32" }).`,
      );
  }

  /** Ends training after the step under way. */
  stop(): void {
    this.#stopped = true;
  }

  /** Updates in all. */
  get totalSteps(): number {
    const { maxSteps, numTrainEpochs } = this.args;
    return maxSteps > 0 ? maxSteps : Math.ceil(this.#trainLoader().length * numTrainEpochs);
  }

  /**
   * Seconds that an update takes, from a timed forward and backward on the first batch that change nothing: a first one compiles
   * the kernels, a second is timed.
   */
  async measureStep(): Promise<number> {
    const batch = await firstOf(this.#trainBatches(this.#trainLoader(), 0));
    const generator = defaultGenerator.state;
    const wasTraining = this.model.training;
    this.model.train();
    let seconds = 0;
    for (let i = 0; i < 2; i++) {
      const start = performance.now();
      scope(() => this.#loss(inputsOf(batch)).backward());
      this.model.zeroGrad();
      await device().finish();
      seconds = (performance.now() - start) / 1000;
    }
    this.model.train(wasTraining);
    defaultGenerator.setState(generator);
    return seconds;
  }

  async train(): Promise<TrainOutput> {
    const { args, model } = this;
    const { onStep } = this.#options.callbacks ?? {};
    const loader = this.#trainLoader();
    const totalSteps = this.totalSteps;
    this.#stopped = false;
    const parameters = [...model.namedParameters()];
    const optimizer = new AdamW(args.noDecayGroups ? noDecayGroups(parameters) : parameters, {
      lr: args.learningRate,
      betas: [args.adamBeta1, args.adamBeta2],
      eps: args.adamEpsilon,
      weightDecay: args.weightDecay,
    });
    const schedule = getScheduler(args.lrSchedulerType, {
      lr: args.learningRate,
      numWarmupSteps: args.warmupSteps < 1 ? Math.ceil(args.warmupSteps * totalSteps) : args.warmupSteps,
      numTrainingSteps: totalSteps,
    });
    const scaler = new GradScaler({ enabled: args.fp16 });
    const steps = new RecordedSteps(model.config, (inputs) => this.#step(inputs, optimizer, scaler), {
      enabled: args.recordSteps,
    });
    manualSeed(args.seed);
    model.train();
    const start = performance.now();
    let lossSum = 0;
    let samples = 0;
    let tokens = 0;
    let step = 0;
    let skippedSteps = 0;
    const inFlight: Promise<{ skipped: boolean }>[] = [];
    try {
      training: for (let epoch = 0; step < totalSteps; epoch++) {
        let batches = 0;
        for await (const batch of this.#trainBatches(loader, epoch)) {
          if (step >= totalSteps || this.#stopped) break training;
          step++;
          batches++;
          optimizer.lr = schedule.lr;
          const event = {
            step,
            totalSteps,
            learningRate: schedule.lr,
            epoch: epoch + batches / loader.length,
          };
          samples += batch.shape[0];
          tokens += batch.shape[0] * batch.shape[1];
          const tokensSoFar = tokens;
          const result = steps.run(batch);
          inFlight.push(
            awaitedLater(
              result.then(({ 0: loss, 1: gradNorm, 2: lossScale, 3: foundInf }) => {
                lossSum += loss!;
                const skipped = foundInf !== 0;
                if (skipped) skippedSteps++;
                const elapsed = (performance.now() - start) / 1000;
                onStep?.({
                  ...event,
                  loss: loss!,
                  gradNorm: gradNorm!,
                  tokensPerSecond: tokensSoFar / elapsed,
                  secondsLeft: (elapsed / event.step) * (totalSteps - event.step),
                  ...(args.fp16 && { lossScale: lossScale!, skippedSteps }),
                });
                return { skipped };
              }),
            ),
          );
          // The schedule waits for each step that was left out, as the Trainer's does; here that is heard a step later.
          const earlier = inFlight.length >= STEPS_IN_FLIGHT ? await inFlight.shift() : undefined;
          if (!earlier?.skipped) schedule.step();
        }
      }
      await Promise.all(inFlight);
    } finally {
      await Promise.allSettled(inFlight);
      steps.dispose();
      optimizer.zeroGrad();
      optimizer.dispose();
      scaler.dispose();
      model.eval();
    }
    const seconds = (performance.now() - start) / 1000;
    const trainingLoss = step > 0 ? lossSum / step : 0;
    return {
      globalStep: step,
      trainingLoss,
      completed: step >= totalSteps,
      metrics: {
        train_runtime: seconds,
        train_samples_per_second: samples / seconds,
        train_steps_per_second: step / seconds,
        train_loss: trainingLoss,
        epoch: step / loader.length,
      },
    };
  }

  /** One update: gives its loss, its gradient norm, the loss scale and whether the device left it out. */
  #step(inputs: StepInputs, optimizer: AdamW, scaler: GradScaler): Tensor {
    return scope(() => {
      const loss = this.#loss(inputs);
      scaler.scale(loss).backward();
      const norm = scaler.step(optimizer, { maxNorm: this.args.maxGradNorm || Infinity });
      optimizer.zeroGrad();
      const told = noGrad(() => concat([stack([loss, norm]), scaler.report()]));
      scaler.update();
      return told;
    });
  }

  #loss(inputs: StepInputs): Tensor {
    return this.#forward(inputs).loss!; // there are labels: see #trainBatches
  }

  /** The model's forward, in the precision that was asked for. */
  #forward(inputs: StepInputs): ReturnType<BertForSequenceClassification["forward"]> {
    return autocast(() => this.model.forward(inputs), { dtype: this.args.fp16 ? "f16" : "f32" });
  }

  /** The batches of an epoch. @throws at one with a row that has no label */
  async *#trainBatches(loader: DataLoader, epoch: number): AsyncGenerator<Batch> {
    for await (const batch of loader.epoch(epoch)) {
      if (batch.labels) yield batch;
      else
        throw new GpugradError(
          `Trainer: row ${batch.rows[0]} of ${this.#options.trainDataset?.name} has no label to train on.`,
        );
    }
  }

  /** Logits of every row, with loss and accuracy where the rows have labels. */
  async predict(dataset: Dataset, { indices }: { indices?: ArrayLike<number> } = {}): Promise<PredictionOutput> {
    const { args, model } = this;
    const { onEvalBatch } = this.#options.callbacks ?? {};
    const loader = new DataLoader(dataset, this.#options.tokenizer, {
      batchSize: args.perDeviceEvalBatchSize,
      maxLength: this.#maxLength,
      padding: args.padding,
      prefetch: args.dataloaderPrefetch,
      ...(indices && { indices }),
    });
    const numLabels = model.config.num_labels;
    const rows = indices?.length ?? dataset.length;
    const predictions = new Float32Array(rows * numLabels);
    const labels: number[] = [];
    let lossSum = 0;
    const wasTraining = model.training;
    model.eval();
    const start = performance.now();
    const inFlight: Promise<void>[] = [];
    let batches = 0;
    let row = 0;
    try {
      for await (const batch of loader.epoch()) {
        const at = row;
        row += batch.shape[0];
        labels.push(...(batch.labels ?? []));
        const { logits, loss } = scope(() =>
          noGrad(() => {
            const output = this.#forward(inputsOf(batch));
            return { logits: output.logits.data(), loss: output.loss?.item() };
          }),
        );
        const number = ++batches;
        inFlight.push(
          awaitedLater(
            Promise.all([logits, loss]).then(([values, mean]) => {
              predictions.set(values, at * numLabels);
              lossSum += (mean ?? 0) * batch.shape[0];
              onEvalBatch?.({ batch: number, totalBatches: loader.length });
            }),
          ),
        );
        if (inFlight.length >= STEPS_IN_FLIGHT) await inFlight.shift();
      }
      await Promise.all(inFlight);
    } finally {
      await Promise.allSettled(inFlight);
      model.train(wasTraining);
    }
    const seconds = (performance.now() - start) / 1000;
    const logitsOf = (i: number): Float32Array => predictions.subarray(i * numLabels, (i + 1) * numLabels);
    const classes = Int32Array.from({ length: rows }, (_, i) => argmax(logitsOf(i)));
    const scores = Float32Array.from(classes, (c, i) => probability(logitsOf(i), c));
    const labelled = labels.length === rows && rows > 0;
    return {
      predictions,
      numLabels,
      classes,
      scores,
      labels: labelled ? labels : undefined,
      metrics: {
        ...(labelled && { eval_loss: lossSum / rows }),
        ...(labelled && numLabels > 1 && { eval_accuracy: accuracyScore(labels, classes) }),
        eval_runtime: seconds,
        eval_samples_per_second: rows / seconds,
      },
    };
  }

  /** `predict` on the evaluation set. */
  evaluate(options: { indices?: ArrayLike<number> } = {}): Promise<PredictionOutput> {
    const { evalDataset } = this.#options;
    if (!evalDataset) throw new GpugradError("Trainer: evaluate() needs an evalDataset.");
    return this.predict(evalDataset, options);
  }

  #trainLoader(): DataLoader {
    const { trainDataset, trainIndices, tokenizer } = this.#options;
    if (!trainDataset) throw new GpugradError("Trainer: train() needs a trainDataset.");
    const { args } = this;
    const loader = new DataLoader(trainDataset, tokenizer, {
      batchSize: args.perDeviceTrainBatchSize,
      maxLength: this.#maxLength,
      padding: args.padding,
      seed: args.seed,
      dropLast: args.dataloaderDropLast,
      prefetch: args.dataloaderPrefetch,
      ...(trainIndices ? { indices: trainIndices } : { shuffle: args.trainSamplingStrategy === "random" }),
    });
    if (loader.length > 0) return loader;
    throw new GpugradError(
      `Trainer: an epoch has no batch: ${trainIndices?.length ?? trainDataset.length} rows in batches of ` +
        `${args.perDeviceTrainBatchSize}${args.dataloaderDropLast ? ", and the last one is left out if it isn't full" : ""}.`,
    );
  }

  /** Tokens per example at most: what was asked for, and no more than model and tokenizer take. */
  get #maxLength(): number {
    return Math.min(
      this.args.maxLength,
      this.#options.tokenizer.modelMaxLength,
      this.model.config.max_position_embeddings,
    );
  }
}

/** A promise that is awaited after the next batch has come: until then a failure of it is not one that nobody handles. */
function awaitedLater<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Softmax of the logits at one class. */
function probability(logits: Float32Array, at: number): number {
  return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - logits[at]!), 0);
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item;
  throw new GpugradError("Trainer: the training set is empty.");
}
