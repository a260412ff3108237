import {
  BertForSequenceClassification,
  getPeftModel,
  PeftModel,
  type BertConfig,
  type PretrainedConfig,
} from "@gpugrad/bert";
import { autocast, device, dryRun, memoryByOwner, OutOfMemoryError, scope } from "@gpugrad/tensor";
import { padTokens, type Inputs } from "../data/batch.ts";
import { taskFor } from "../tasks/task-for.ts";
import type { Task, TrainableModel } from "../tasks/task.ts";
import { formatBytes } from "../format.ts";
import { GradScaler } from "../optim/grad-scaler.ts";
import { AdamW } from "../optim/adamw.ts";
import { clipFactor } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { outputOf } from "../trainer/loss.ts";

/** What decides how much memory an update takes. */
export interface StepShape {
  /** Rows of a batch. */
  batchSize: number;
  /** Tokens of a row, with padding. */
  length: number;
  /** Batches per update (1). */
  accumulation?: number;
  /** Whether activations are computed a second time instead of kept (false). */
  gradientCheckpointing?: boolean;
  fp16?: boolean;
}

export interface StepMemoryOptions extends StepShape {
  config: PretrainedConfig;
  /** The model for a configuration (BERT as a sequence classifier). */
  modelFor?: (config: PretrainedConfig) => TrainableModel;
  /** What it learns (what its head is for). */
  task?: Pick<Task, "collate" | "example" | "forward" | "twin">;
  /** The optimizer for a model (AdamW on all parameters); may freeze parameters first. */
  optimizerFor?: (model: TrainableModel) => Pick<Optimizer, "parameters" | "step" | "dispose">;
  /** Bytes there are: without them everything fits that can be bound. */
  available?: number | undefined;
}

/** Makes models of the class of another one, with an adapter like its own where it has one. */
export const modelLike =
  <M extends TrainableModel>(model: M) =>
  (config: PretrainedConfig): M => {
    const twin = new (model.constructor as new (config: PretrainedConfig) => M)(config);
    const peft = PeftModel.of(model);
    if (peft) getPeftModel(twin, peft.configOf().values);
    return twin;
  };

/** What an update takes on the device. */
export interface StepMemory {
  /** All that is allocated, with what waits for reuse: this has to fit. */
  bytes: number;
  /** The most that tensors hold at one time, as `memory().peakBytes`. */
  peakBytes: number;
  /** The most of each kind; not all of them at the same time. */
  parts: { parameters: number; gradients: number; optimizerState: number; savedForBackward: number };
}

/**
 * The memory of an update, found by trying: a dry run of the same kernels on a device that computes nothing. Takes a fraction of a second.
 * @throws OutOfMemoryError where it needs more than `available`
 */
export function stepMemory({ available, ...options }: StepMemoryOptions): StepMemory {
  const parts = { parameters: 0, gradients: 0, optimizerState: 0, savedForBackward: 0 };
  const measure = (): void => {
    const owners = memoryByOwner();
    const keepLargest = (part: keyof typeof parts, owner: string): void =>
      void (parts[part] = Math.max(parts[part], owners[owner]?.bytes ?? 0));
    keepLargest("parameters", "parameters");
    keepLargest("gradients", "gradients");
    keepLargest("optimizerState", "optimizer state");
    keepLargest("savedForBackward", "saved for backward");
  };
  const { allocatedBytes, peakBytes } = dryRun(() => updates(options, measure), { memoryLimit: available ?? Infinity });
  return { bytes: allocatedBytes, peakBytes, parts };
}

/** Two updates of a model of its own, as the Trainer makes them: the second meets what the first left behind. For dry runs. */
export function updates(options: Omit<StepMemoryOptions, "available">, measure = (): void => undefined): void {
  const { config, accumulation = 1, gradientCheckpointing = false, fp16 = false } = options;
  const { optimizerFor = (model) => new AdamW(model.namedParameters()) } = options;
  const { modelFor = (own) => new BertForSequenceClassification(own as BertConfig) } = options;
  const owned: { dispose(): void }[] = [];
  try {
    // Forward decides what kind of problem it is by the labels: not in the caller's config.
    const own = Object.assign(Object.create(Object.getPrototypeOf(config) as object) as PretrainedConfig, config);
    const model = modelFor(own);
    model.train();
    owned.push(model);
    if (gradientCheckpointing) model.gradientCheckpointingEnable();
    const optimizer = optimizerFor(model);
    const scaler = new GradScaler({ enabled: fp16 });
    owned.push(optimizer, scaler);
    const twin = options.task?.twin?.();
    if (twin) owned.push(twin);
    const task = twin ?? options.task ?? taskFor(model, undefined);
    const inputs = inputsFor(task, options);
    for (let i = 0; i < 2; i++) {
      for (let micro = 0; micro < Math.min(accumulation, 2); micro++) {
        scope(() => {
          const { loss } = autocast(() => outputOf(task, model, inputs), { dtype: fp16 ? "f16" : "f32" });
          measure();
          scaler.scale(loss!).backward();
          measure();
        });
      }
      scope(() => {
        if (fp16) scaler.step(optimizer, { maxNorm: 1 });
        else optimizer.step(clipFactor(optimizer.parameters, 1, { skipNonFinite: true }));
        scaler.update();
      });
      model.zeroGrad();
    }
  } finally {
    for (const each of owned.reverse()) each.dispose();
  }
}

/** Ids, a mask that masks something, and labels as the task has them. */
function inputsFor(task: Pick<Task, "collate" | "example">, { batchSize, length }: StepShape): Inputs {
  const zeros = new Int32Array(length);
  const rows = Array.from({ length: batchSize }, (_, b) => ({
    ...{ input_ids: zeros, token_type_ids: zeros, label: 0, labels: [], ...task.example?.(length) },
    attention_mask: new Int32Array(length).fill(1, b === 0 ? 1 : 0),
  }));
  const place = { rows: [...rows.keys()], epoch: 0 };
  return task.collate(rows, (some) => padTokens(some, {}), place);
}

/** A change that makes an update fit. */
export interface MemoryChange {
  change: Partial<StepShape>;
  /** The same in words, by the names of the training arguments. */
  words: string;
  bytes: number;
}

export interface MemoryAdvice {
  /** What the update takes; undefined where a tensor of it can't be bound. */
  needed: StepMemory | undefined;
  fits: boolean;
  /** What would fit, the least change first; none where nothing does, and where it fits as it is. */
  changes: MemoryChange[];
  /** All of it for people. */
  message: string;
}

/** Lengths that are proposed. */
const LENGTHS = [384, 256, 192, 128, 96, 64, 48, 32, 16, 8];

/**
 * Whether an update fits into `available` bytes (default: the device's `memoryLimit`), and which changes of batch size, length, gradient
 * accumulation and gradient checkpointing would make it fit. All are tried by {@link stepMemory}.
 */
export function memoryAdvice({ available = device().memoryLimit, ...options }: StepMemoryOptions): MemoryAdvice {
  const { batchSize, length, accumulation = 1, gradientCheckpointing = false } = options;
  const changes: MemoryChange[] = [];
  /** Adds the first of some changes that fits, if one does. */
  const addFirst = (candidates: readonly Partial<StepShape>[]): boolean => {
    for (const change of candidates) {
      const found = ifItFits({ ...options, ...change, available });
      if (!found) continue;
      changes.push({ change, words: wordsFor(change), bytes: found.bytes });
      return true;
    }
    return false;
  };
  const now = ifItFits({ ...options, available });
  if (!now) {
    const rows = batchSize * accumulation;
    const batches = divisorsBelow(batchSize).map((b) => ({ batchSize: b, accumulation: rows / b }));
    const lengths = LENGTHS.filter((l) => l < length).map((l) => ({ length: l }));
    const checkpointing = { gradientCheckpointing: true };
    const checkpointingFits = gradientCheckpointing || addFirst([checkpointing]);
    addFirst(batches);
    addFirst(lengths);
    if (!checkpointingFits) addFirst(batches.map((change) => ({ ...checkpointing, ...change })));
    if (changes.length === 0) addFirst(lengths.map((change) => ({ ...checkpointing, ...batches.at(-1), ...change })));
  }
  const needed = now ?? ifItFits({ ...options, available: undefined });
  const message = messageFor(options, available, needed, now !== undefined, changes);
  return { needed, fits: now !== undefined, changes, message };
}

function ifItFits(options: StepMemoryOptions): StepMemory | undefined {
  try {
    return stepMemory(options);
  } catch (error) {
    if (error instanceof OutOfMemoryError) return undefined;
    throw error;
  }
}

/** Batch sizes that leave an update its rows: 8, 4, 2, 1 for 16. */
const divisorsBelow = (n: number): number[] =>
  Array.from({ length: n - 1 }, (_, i) => n - 1 - i).filter((d) => n % d === 0);

function wordsFor({ batchSize, length, accumulation, gradientCheckpointing }: Partial<StepShape>): string {
  return [
    gradientCheckpointing && "gradient_checkpointing (the same numbers, in about a third more time)",
    batchSize !== undefined &&
      `per_device_train_batch_size ${batchSize} with gradient_accumulation_steps ${accumulation} (updates of as many rows)`,
    length !== undefined && `max_length ${length} (longer texts are cut)`,
  ]
    .filter(Boolean)
    .join(" and ");
}

function messageFor(
  { batchSize, length }: StepShape,
  available: number,
  needed: StepMemory | undefined,
  fits: boolean,
  changes: readonly MemoryChange[],
): string {
  const update = `An update with batches of ${batchSize} rows of ${length} tokens`;
  const limit = available < Infinity ? ` of ${formatBytes(available)}` : "";
  const need = needed
    ? `${update} needs ${formatBytes(needed.bytes)}${limit} (parameters ${formatBytes(needed.parts.parameters)}, gradients ` +
      `${formatBytes(needed.parts.gradients)}, optimizer state ${formatBytes(needed.parts.optimizerState)}, saved for backward ` +
      `${formatBytes(needed.parts.savedForBackward)}).`
    : `${update} needs tensors that are larger than the device can bind.`;
  if (fits) return `${need} By itself it fits.`;
  if (changes.length === 0)
    return `${need} No batch size or length fits: take a smaller model, freeze a part of it, or another optimizer.`;
  return [`${need} What would fit:`, ...changes.map(({ words, bytes }) => `  - ${words}: ${formatBytes(bytes)}`)].join(
    "\n",
  );
}

/**
 * The error with advice added, for who catches an {@link OutOfMemoryError} in training. Where none can be had, because an optimizer of
 * one's own can't be tried, the error as it is.
 */
export function withMemoryAdvice(error: OutOfMemoryError, options: StepMemoryOptions): OutOfMemoryError {
  const available = options.available ?? error.available;
  try {
    const { message, fits } = memoryAdvice({ ...options, available });
    const hint = fits
      ? " What else takes memory: recordings and unused buffers of updates of other lengths, which give way where " +
        "GPUGRAD_MEMORY_LIMIT is set; an evaluation (per_device_eval_batch_size); tensors of your own."
      : "";
    return new OutOfMemoryError(`${error.message}\n${message}${hint}`, { available: error.available, cause: error });
  } catch {
    return error;
  }
}
