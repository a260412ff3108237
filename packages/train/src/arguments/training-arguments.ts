import { GpugradError, showValue } from "@gpugrad/tensor";
import { didYouMean, optionHint } from "./nearest.ts";
import { SCHEDULER_NAMES, watchesMetric } from "../schedule/scheduler.ts";

/** An argument: its default, its allowed values, and what it is for. */
export interface Argument<T = unknown> {
  readonly default: T;
  /** A sentence for `--help`. */
  readonly help: string;
  /** How it is read from a command line. */
  readonly type: "number" | "boolean" | "string" | "list" | "object";
  /** The values there are, if they can be listed. */
  readonly choices?: readonly string[];
  /** The rule that a value breaks; undefined for one that is allowed. */
  readonly brokenRule: (value: unknown) => string | undefined;
}

interface Range {
  from?: number;
  above?: number;
  below?: number;
  whole?: boolean;
}

function brokenRange(value: unknown, { from = -Infinity, above = -Infinity, below = Infinity, whole }: Range) {
  if (typeof value !== "number" || Number.isNaN(value)) return "it has to be a number";
  if (!Number.isFinite(value)) return "it has to be finite";
  if (whole && !Number.isInteger(value))
    return `it has to be a whole number${from > -Infinity ? ` of at least ${from}` : ""}`;
  if (value < from) return from === 0 ? "it can't be negative" : `it has to be ${from} or more`;
  if (value <= above) return `it has to be above ${above}`;
  if (value >= below) return `it has to be below ${below}`;
  return undefined;
}

const number = (byDefault: number, help: string, range: Range = { from: 0 }): Argument<number> => ({
  ...{ default: byDefault, help, type: "number", brokenRule: (value) => brokenRange(value, range) },
});
const count = (byDefault: number, help: string): Argument<number> => number(byDefault, help, { from: 1, whole: true });
/** A number of steps, or a share of all steps if it is below 1. */
const steps = (byDefault: number, help: string): Argument<number> => ({
  ...number(byDefault, help),
  brokenRule: (value) => brokenRange(value, { above: 0, whole: !(Number(value) < 1) }),
});
const flag = (byDefault: boolean, help: string): Argument<boolean> => ({
  ...{ default: byDefault, help, type: "boolean" },
  brokenRule: (value) => (typeof value === "boolean" ? undefined : "it has to be true or false"),
});
const oneOf = <const T extends string>(choices: readonly T[], byDefault: NoInfer<T>, help: string): Argument<T> => ({
  ...{ default: byDefault, help, type: "string", choices },
  brokenRule: (value) =>
    choices.includes(value as T)
      ? undefined
      : `it has to be one of ${choices.join(", ")}.${didYouMean(String(value), choices)}`,
});
const text = (help: string): Argument<string | null> => ({
  ...{ default: null, help, type: "string" },
  brokenRule: (value) => (typeof value === "string" && value !== "" ? undefined : "it has to be a text"),
});
const list = (help: string, choices?: readonly string[]): Argument<readonly string[]> => ({
  ...{ default: [], help, type: "list", ...(choices && { choices }) },
  brokenRule: (value) => {
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      return "it has to be a list of texts";
    const unknown = choices && value.find((item) => !choices.includes(item));
    return unknown === undefined
      ? undefined
      : `there is no ${unknown}: there are ${choices!.join(", ")}.${didYouMean(unknown, choices!)}`;
  },
});
const orNull = <T>(argument: Argument<T>): Argument<T | null> => ({ ...argument, default: null });

/** Where a run can be reported to. `all` is each of them but wandb, which wants an account. */
export const REPORTERS = ["html", "jsonl", "csv", "tensorboard", "wandb"] as const;

/**
 * Every argument of training, by its name in camelCase; Transformers has the same names in snake_case, and the same defaults. What
 * Transformers doesn't have says "not in Transformers".
 * @see https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments
 */
export const TRAINING_ARGUMENTS = {
  outputDir: text("folder for checkpoints, logs and reports; without it nothing is written"),
  overwriteOutputDir: flag(false, "delete the checkpoints that an earlier run has left in outputDir"),
  resumeFromCheckpoint: {
    ...{
      default: null,
      type: "string",
      help: "checkpoint folder to resume from; true: the newest whole one in outputDir; auto: that, or from the start",
    },
    brokenRule: (value) =>
      typeof value === "boolean" || typeof value === "string"
        ? undefined
        : "it has to be a folder, auto, true or false",
  } satisfies Argument<string | boolean | null> as Argument<string | boolean | null>,

  numTrainEpochs: number(3, "passes over the training set"),
  maxSteps: number(-1, "updates in all, instead of epochs; -1: as many as the epochs have", { whole: true }),
  perDeviceTrainBatchSize: count(8, "rows per batch in training"),
  perDeviceEvalBatchSize: count(8, "rows per batch in evaluation"),
  gradientAccumulationSteps: count(1, "batches per update"),
  gradientAccumulationLoss: oneOf(
    ["per_item", "mean", "sum"],
    "per_item",
    "loss of an update of several batches: mean over all rows; mean of the batches' means; sum of them (not in Transformers)",
  ),
  gradientCheckpointing: flag(
    false,
    "compute activations again in backward instead of keeping them: slower, in less memory",
  ),
  fp16: flag(false, "mixed precision: products of f16 factors with sums in f32, and a loss scale"),

  optim: oneOf(
    ["adamw", "adamw_torch", "adamw_torch_fused", "sgd", "adafactor"],
    "adamw",
    "optimizer; all names with adamw mean the same",
  ),
  learningRate: number(5e-5, "rate after warm-up, from which the schedule starts"),
  weightDecay: number(0, "decoupled weight decay"),
  noDecayGroups: flag(true, "no decay for biases and layer norms (not in Transformers, which always does so)"),
  adamBeta1: number(0.9, "decay rate of the mean of gradients", { from: 0, below: 1 }),
  adamBeta2: number(0.999, "decay rate of the mean of their squares", { from: 0, below: 1 }),
  adamEpsilon: number(1e-8, "added to the denominator of Adam's step"),
  maxGradNorm: number(1, "clip gradients to this norm; 0 leaves them"),
  labelSmoothingFactor: number(0, "share of each label spread evenly over all classes", { from: 0, below: 1 }),
  classWeights: {
    ...{ default: null, type: "list", help: "weight of each class in the loss, or balanced (not in Transformers)" },
    brokenRule: (value) =>
      value === "balanced" ||
      (Array.isArray(value) && value.every((w) => typeof w === "number" && w >= 0 && w < Infinity))
        ? undefined
        : "it has to be balanced, or a list of numbers, one for each class",
  } satisfies Argument<"balanced" | readonly number[] | null> as Argument<"balanced" | readonly number[] | null>,
  lrSchedulerType: oneOf(SCHEDULER_NAMES, "linear", "how the learning rate moves"),
  lrSchedulerKwargs: {
    ...{ default: {}, type: "object", help: 'more for the schedule, as JSON: {"num_cycles": 2}' },
    brokenRule: (value) =>
      typeof value === "object" && value !== null && !Array.isArray(value) ? undefined : "it has to be an object",
  } satisfies Argument<Readonly<Record<string, unknown>>> as Argument<Readonly<Record<string, unknown>>>,
  warmupSteps: number(0, "updates of warm-up; below 1, a share of all updates, rounded up"),
  freeze: list("parameters to leave as they are, by pattern: bert.embeddings.* (not in Transformers)"),
  layerwiseLrDecay: number(1, "factor of the learning rate from each layer to the one below (not in Transformers)", {
    ...{ above: 0, below: 1 + Number.EPSILON },
  }),

  loggingStrategy: oneOf(["no", "steps", "epoch"], "steps", "when to log loss, gradient norm and learning rate"),
  loggingSteps: steps(500, "updates between logs; below 1, a share of all"),
  loggingFirstStep: flag(false, "log the first update as well"),
  loggingNanInfFilter: flag(true, "in the logged loss, the mean so far replaces a loss that is NaN or infinite"),
  evalStrategy: oneOf(["no", "steps", "epoch"], "no", "when to evaluate"),
  evalSteps: orNull(steps(500, "updates between evaluations; below 1, a share of all (default: loggingSteps)")),
  evalDelay: number(0, "epochs or updates, by evalStrategy, before the first evaluation"),
  evalOnStart: flag(false, "evaluate before the first update"),
  saveStrategy: oneOf(
    ["no", "steps", "epoch", "best"],
    "steps",
    "when to save a checkpoint; best: whenever the metric is",
  ),
  saveSteps: steps(500, "updates between checkpoints; below 1, a share of all"),
  saveTotalLimit: orNull(count(1, "checkpoints to keep: the best and the newest")),
  saveOnlyModel: flag(false, "save no optimizer state: smaller checkpoints that can't be resumed"),
  loadBestModelAtEnd: flag(false, "end with the weights of the best checkpoint"),
  metricForBestModel: text(
    "metric that says which model is best: loss, accuracy, f1 (the macro average), … (default: loss)",
  ),
  greaterIsBetter: orNull(flag(true, "whether a higher metric is better (default: unless it ends in loss)")),

  seed: number(42, "seed for fresh weights, dropout and the order of rows", { whole: true }),
  dataSeed: orNull(number(42, "seed for the order of rows (default: seed)", { whole: true })),
  trainSamplingStrategy: oneOf(
    ["random", "sequential", "group_by_length"],
    "random",
    "order of rows: shuffled, as they come, or shuffled with rows of a like length together",
  ),
  shuffleBuffer: orNull(
    count(
      50_000,
      "shuffle within windows of this many rows, for data larger than memory; default: all rows (not in Transformers)",
    ),
  ),
  maxLength: count(512, "tokens per example at most (not in Transformers)"),
  padding: oneOf(
    ["longest", "max_length"],
    "longest",
    "batches to their longest example, or to maxLength (not in Transformers)",
  ),
  dataloaderDropLast: flag(false, "leave out a last batch that isn't full"),
  dataloaderPrefetch: number(2, "batches made ahead (not in Transformers)", { from: 0, whole: true }),
  dataloaderNumWorkers: number(0, "threads that tokenize; 0: the main one", { from: 0, whole: true }),
  recordSteps: flag(true, "record a step once per shape of batch, and send its commands again (not in Transformers)"),
  ddpTimeout: number(1800, "seconds that a rank waits for the others before it gives up", { above: 0 }),
  ddpBucketCapMb: number(25, "MB of gradients that ranks send one another at once", { above: 0 }),
  ddpCommHook: oneOf(
    ["none", "fp16"],
    "none",
    "gradients between ranks as they are, or rounded to f16: half as many bytes (not in Transformers)",
  ),
  dilocoSteps: number(
    0,
    "updates that ranks make by themselves before their weights become one (DiLoCo); 0: gradients are summed at each update (not in Transformers)",
    { from: 0, whole: true },
  ),
  dilocoLr: number(0.7, "rate of DiLoCo's outer optimizer (not in Transformers)", { above: 0 }),
  dilocoMomentum: number(0.9, "Nesterov momentum of DiLoCo's outer optimizer (not in Transformers)", {
    from: 0,
    below: 1,
  }),
  onNonFinite: oneOf(
    ["stop", "skip", "ignore"],
    "stop",
    "where a loss or gradient is NaN or infinite: stop and say which op; leave the update out; continue (not in Transformers)",
  ),

  reportTo: list("where to report the run: html, jsonl, csv, tensorboard, wandb, all, none", [
    ...REPORTERS,
    "all",
    "none",
  ]),
  runName: text("name of the run in reports (default: that of outputDir)"),
  pushToHub: flag(false, "upload the model to the hub"),
  hubModelId: text("repository to upload to (default: the user's, by the name of outputDir)"),
  hubStrategy: oneOf(
    ["end", "every_save", "checkpoint", "all_checkpoints"],
    "every_save",
    "what to upload and when: the model at the end; at each save; with the newest checkpoint; with all of them",
  ),
  hubToken: text("token for the hub (default: HF_TOKEN, or the one stored by its login)"),
  hubPrivateRepo: flag(false, "a repository that is made is private"),
  hubRevision: text("branch to upload to (default: main)"),
  pushTexts: flag(
    false,
    "upload texts of the data, too: those that the report quotes, and files beside the model (not in Transformers)",
  ),
};

/** How to train: a value for each of {@link TRAINING_ARGUMENTS}. */
export type TrainingArguments = {
  -readonly [Name in keyof typeof TRAINING_ARGUMENTS]: (typeof TRAINING_ARGUMENTS)[Name]["default"];
};

type Name = keyof TrainingArguments;

const NAMES = Object.keys(TRAINING_ARGUMENTS) as Name[];

/** `numTrainEpochs` as Transformers spells it: `num_train_epochs`. */
export const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** `num_train_epochs`, also with dashes, as it is spelled here: `numTrainEpochs`. */
export const camelCase = (name: string): string =>
  name.replace(/[_-]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/**
 * The defaults with `given` in their place; names may be in snake_case. What depends on other arguments is filled in, as Transformers does:
 * the metric that is watched, the steps between evaluations.
 * @throws for a name that isn't one, with the nearest; for a value that can't be; for two that contradict each other
 */
export function trainingArguments(
  given: Readonly<Record<string, unknown>> | Partial<TrainingArguments> = {},
): TrainingArguments {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new GpugradError(`TrainingArguments: ${showValue(given)} is not an object with arguments by name.`);
  const args = Object.fromEntries(NAMES.map((name) => [name, TRAINING_ARGUMENTS[name].default])) as TrainingArguments;
  for (const [spelled, value] of Object.entries(given)) {
    const name = camelCase(spelled) as Name;
    const argument: Argument | undefined = Object.hasOwn(TRAINING_ARGUMENTS, name)
      ? TRAINING_ARGUMENTS[name]
      : undefined;
    if (!argument)
      throw new GpugradError(
        `TrainingArguments: there is no ${spelled}.${optionHint(name, NAMES) || ` There are ${NAMES.join(", ")}.`}`,
      );
    if (value === undefined || (value === null && argument.default === null)) continue;
    const broken = argument.brokenRule(value);
    if (broken) refuse(name, value, broken);
    (args as Record<string, unknown>)[name] = value;
  }
  return fillIn(args);
}

function refuse(name: Name, value: unknown, rule: string): never {
  throw new GpugradError(
    `TrainingArguments: ${name} is ${typeof value === "string" ? value : showValue(value)}, but ${rule.replace(/[^.?]$/, "$&.")}`,
  );
}

function fillIn(args: TrainingArguments): TrainingArguments {
  const { evalStrategy, saveStrategy, evalSteps, saveSteps, lrSchedulerType } = args;
  if (args.maxSteps === 0) refuse("maxSteps", 0, "it has to be 1 or more, or -1 to count epochs");
  if (evalStrategy === "steps") args.evalSteps ??= args.loggingSteps;
  const watches = watchesMetric(lrSchedulerType);
  if (watches && evalStrategy === "no")
    refuse("lrSchedulerType", lrSchedulerType, "it watches a metric: set evalStrategy to steps or epoch");
  if (args.loadBestModelAtEnd || watches || saveStrategy === "best") args.metricForBestModel ??= "loss";
  if (args.metricForBestModel !== null) args.greaterIsBetter ??= !args.metricForBestModel.endsWith("loss");
  if (args.loadBestModelAtEnd && saveStrategy !== "best") {
    if (evalStrategy !== saveStrategy)
      refuse(
        "loadBestModelAtEnd",
        true,
        `evaluations and checkpoints do not coincide: evalStrategy is ${evalStrategy}, saveStrategy ${saveStrategy}`,
      );
    const every = saveSteps / (evalSteps ?? args.loggingSteps);
    if (evalStrategy === "steps" && Math.abs(every - Math.round(every)) > 1e-6)
      refuse(
        "loadBestModelAtEnd",
        true,
        `saveSteps ${saveSteps} is not a multiple of evalSteps ${evalSteps ?? args.loggingSteps}`,
      );
  }
  if (saveStrategy === "best" && evalStrategy === "no")
    refuse("saveStrategy", "best", "nothing is evaluated: set evalStrategy");
  if (args.dilocoSteps > 0 && (args.fp16 || args.onNonFinite === "skip"))
    refuse(
      "dilocoSteps",
      args.dilocoSteps,
      `each rank would leave out other updates: ${args.fp16 ? "set fp16 to false" : "set onNonFinite to stop or ignore"}`,
    );
  for (const name of ["resumeFromCheckpoint", "pushToHub", "loadBestModelAtEnd"] as const)
    if (args[name] === true && args.outputDir === null) refuse(name, true, "there is no outputDir");
  if (args.reportTo.includes("all")) args.reportTo = REPORTERS.filter((name) => name !== "wandb");
  if (args.reportTo.includes("none")) args.reportTo = [];
  if (args.outputDir === null && args.reportTo.some((name) => name !== "wandb"))
    refuse("reportTo", args.reportTo, "there is no outputDir to write to");
  return args;
}

/** The arguments as `training_args.json` has them: Transformers' names, without secrets. */
export function argumentsToJson(args: TrainingArguments): Record<string, unknown> {
  const shown = { ...args, hubToken: args.hubToken === null ? null : "<HUB_TOKEN>" };
  return Object.fromEntries(Object.entries(shown).map(([name, value]) => [snakeCase(name), value]));
}

/**
 * A value as a command line has it, read as the argument's type: `true`, `1e-4`, `a,b`, `{"num_cycles": 2}`.
 * @throws when it can't be read as that type
 */
export function parseArgument(name: keyof TrainingArguments, written: string): unknown {
  const { type }: Argument = TRAINING_ARGUMENTS[name];
  if (type === "number") {
    const value = written.trim() === "" ? NaN : Number(written);
    return Number.isNaN(value) ? refuse(name, written, "it has to be a number") : value;
  }
  if (type === "boolean" || name === "resumeFromCheckpoint") {
    const lower = written.toLowerCase();
    if (["true", "1", "yes"].includes(lower)) return true;
    if (["false", "0", "no"].includes(lower)) return false;
    return type === "boolean" ? refuse(name, written, "it has to be true or false") : written;
  }
  if (name === "classWeights") return written === "balanced" ? written : written.split(",").map(Number);
  if (type === "list") return written.split(",").filter((item) => item !== "");
  if (type === "object") {
    try {
      return JSON.parse(written);
    } catch {
      return refuse(name, written, 'it has to be JSON, such as {"num_cycles": 2}');
    }
  }
  return written;
}
