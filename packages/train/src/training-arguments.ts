import { GpugradError } from "@gpugrad/tensor";
import { SCHEDULER_NAMES, type SchedulerName } from "./schedule.ts";

/**
 * How to train, with the names (in camelCase) and defaults of Transformers' `TrainingArguments`.
 * @see https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments
 */
export interface TrainingArguments {
  /** Passes over the training set. */
  numTrainEpochs: number;
  /** Updates in all; −1 leaves it to `numTrainEpochs`. */
  maxSteps: number;
  perDeviceTrainBatchSize: number;
  perDeviceEvalBatchSize: number;
  /** The rate at the start of the schedule, after warm-up. */
  learningRate: number;
  lrSchedulerType: SchedulerName;
  /** Updates of warm-up; below 1 it is a share of all updates, rounded up. */
  warmupSteps: number;
  weightDecay: number;
  /** Decay only what Hugging Face's Trainer decays: not biases, not layer norms. */
  noDecayGroups: boolean;
  adamBeta1: number;
  adamBeta2: number;
  adamEpsilon: number;
  /** Gradients are scaled down to this norm; 0 leaves them alone. */
  maxGradNorm: number;
  /** Mixed precision: factors of products rounded to f16, here and in evaluation, and a loss scale. See `autocast` and `GradScaler`. */
  fp16: boolean;
  /**
   * Record a step once per shape of batch, and send its commands again: see docs/decisions/recorded-steps.md. Off for a model that decides in
   * JavaScript, at every step anew, what to compute.
   */
  recordSteps: boolean;
  /** For the order of rows, dropout and fresh weights. */
  seed: number;
  /** Tokens per example at most. */
  maxLength: number;
  /** Every batch to `maxLength`, or to its longest example. */
  padding: "longest" | "max_length";
  /** Rows in the order given, without shuffling. */
  trainSamplingStrategy: "random" | "sequential";
  dataloaderDropLast: boolean;
  dataloaderPrefetch: number;
}

const defaults: TrainingArguments = {
  numTrainEpochs: 3,
  maxSteps: -1,
  perDeviceTrainBatchSize: 8,
  perDeviceEvalBatchSize: 8,
  learningRate: 5e-5,
  lrSchedulerType: "linear",
  warmupSteps: 0,
  weightDecay: 0,
  noDecayGroups: true,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  maxGradNorm: 1,
  fp16: false,
  recordSteps: true,
  seed: 42,
  maxLength: 512,
  padding: "longest",
  trainSamplingStrategy: "random",
  dataloaderDropLast: false,
  dataloaderPrefetch: 2,
};

/** Schedules that need what these arguments can't say. */
const WITH_MORE_TO_SAY: readonly SchedulerName[] = [
  "reduce_lr_on_plateau",
  "greedy",
  "warmup_stable_decay",
  "cosine_with_min_lr",
  "cosine_warmup_with_min_lr",
];

/** The defaults with `given` in their place. @throws for a value that can't be, or a name that isn't one */
export function trainingArguments(given: Partial<TrainingArguments> = {}): TrainingArguments {
  const args = { ...defaults, ...given };
  const refuse = (name: string, rule: string): never => {
    throw new GpugradError(
      `TrainingArguments: ${name} is ${String(args[name as keyof TrainingArguments])}, but ${rule}.`,
    );
  };
  for (const name of Object.keys(given)) {
    if (!(name in defaults))
      throw new GpugradError(`TrainingArguments: there is no ${name}. Known: ${Object.keys(defaults).join(", ")}.`);
  }
  for (const name of ["perDeviceTrainBatchSize", "perDeviceEvalBatchSize", "maxLength"] as const) {
    if (!Number.isInteger(args[name]) || args[name] < 1) refuse(name, "it has to be a whole number from 1 on");
  }
  for (const name of [
    "learningRate",
    "weightDecay",
    "warmupSteps",
    "maxGradNorm",
    "adamEpsilon",
    "numTrainEpochs",
  ] as const) {
    if (!(args[name] >= 0)) refuse(name, "it can't be negative");
  }
  for (const name of ["adamBeta1", "adamBeta2"] as const)
    if (!(args[name] >= 0 && args[name] < 1)) refuse(name, "it has to be in [0, 1)");
  if (args.padding !== "longest" && args.padding !== "max_length")
    refuse("padding", "it has to be longest or max_length");
  if (!Number.isInteger(args.seed)) refuse("seed", "it has to be a whole number");
  if (!(args.dataloaderPrefetch >= 0)) refuse("dataloaderPrefetch", "it can't be negative");
  if (WITH_MORE_TO_SAY.includes(args.lrSchedulerType)) {
    refuse(
      "lrSchedulerType",
      "this schedule needs a metric or options of its own: use getScheduler() in a loop of your own",
    );
  }
  if (!SCHEDULER_NAMES.includes(args.lrSchedulerType))
    refuse("lrSchedulerType", `it has to be one of ${SCHEDULER_NAMES.join(", ")}`);
  return args;
}
