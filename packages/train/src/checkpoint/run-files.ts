import {
  localFolder,
  openFile,
  openWeights,
  PeftModel,
  SafetensorsFile,
  writeSafetensors,
  type PreTrainedModel,
} from "@gpugrad/bert";
import { GpugradError, type GeneratorState } from "@gpugrad/tensor";
import { exists, readJson, writeJson } from "#files";
import type { GradScalerStateDict } from "../optim/grad-scaler.ts";
import type { OptimizerState, StateTensor } from "../optim/optimizer-state.ts";

/** What a run needs beside the weights to continue from a step exactly. */
export interface ResumeState {
  optimizer: OptimizerState;
  scheduler: Record<string, unknown>;
  /** Of dropout. The order of rows follows from the seed and the step. */
  generator: GeneratorState;
  /** With `fp16`. */
  scaler?: GradScalerStateDict;
  /** With `dilocoSteps`: the outer optimizer's momentum, by parameter. */
  outer?: ReadonlyMap<string, StateTensor>;
  progress: Progress;
}

/** What a run has counted that no other file says. */
export interface Progress {
  /** Sum of losses, as f32, and how many, since the last entry of the log. */
  sinceLastLog: { loss: number; steps: number };
  /** Updates that were left out, and of those, how many the schedule has still to wait for. */
  skippedSteps: number;
  scheduleWaits: number;
  /** Gradient norm and rate of the newest update, for an entry of the log that is still to come. Checkpoints of older versions lack them. */
  newest?: { gradNorm: number | null; learningRate: number };
  /** Epochs that have ended, and updates that the one after them has had, of `updatesPerEpoch`. Checkpoints of older versions lack it. */
  place?: { epochs: number; updates: number; updatesPerEpoch: number };
  /** Rows that each of several ranks had of a batch at most: with as many on another number of ranks, batches stay as they are. */
  perDeviceBatchSize?: number;
}

/** Where a checkpoint was saved; from the updates alone, as in Transformers, if an epoch had another number of them, or an older version saved it. */
export function placeOf(
  { place }: Progress,
  globalStep: number,
  updatesPerEpoch: number,
): { epochs: number; updates: number } {
  if (place?.updatesPerEpoch === updatesPerEpoch) return { epochs: place.epochs, updates: place.updates };
  return { epochs: Math.floor(globalStep / updatesPerEpoch), updates: globalStep % updatesPerEpoch };
}

/** Rows of the batches of the run that saved a checkpoint, of all ranks together and of one. */
export async function savedBatchSizes(folder: string): Promise<{ all: number; each: number } | undefined> {
  const all = (await readJson(folder, "trainer_state.json"))?.["train_batch_size"];
  if (!isCount(all) || all === 0) return undefined;
  const each = (await readJson(folder, "progress.json"))?.["perDeviceBatchSize"] ?? all;
  return { all: all as number, each: each as number };
}

const [OPTIMIZER, OUTER] = ["optimizer.safetensors", "outer_optimizer.safetensors"];

const writeTensors = (path: string, tensors: ReadonlyMap<string, StateTensor>): Promise<void> =>
  writeSafetensors(
    path,
    [...tensors].map(([name, tensor]) => ({ name, dtype: "F32", shape: tensor.shape, bytes: () => tensor.bytes() })),
  );

/** Writes `optimizer.safetensors`, `scheduler.json`, `rng_state.json`, `scaler.json`: Transformers' files, in open formats; and `progress.json`. */
export async function writeResumeState(folder: string, state: ResumeState): Promise<void> {
  const { tensors, ...counts } = state.optimizer;
  await writeTensors(`${folder}/${OPTIMIZER}`, tensors);
  if (state.outer) await writeTensors(`${folder}/${OUTER}`, state.outer);
  await writeJson(folder, "optimizer.json", counts);
  await writeJson(folder, "scheduler.json", state.scheduler);
  await writeJson(folder, "rng_state.json", state.generator);
  await writeJson(folder, "progress.json", state.progress);
  if (state.scaler) await writeJson(folder, "scaler.json", state.scaler);
}

type Values = Record<string, unknown>;

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isCount);
const isObject = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): boolean => value === null || typeof value !== "object";

/** What each file has to hold: {@link ResumeState} relies on it. */
const RULES: Readonly<Record<string, (values: Values) => boolean>> = {
  optimizer: ({ steps, parameters }) =>
    isCount(steps) &&
    Array.isArray(parameters) &&
    parameters.every((own) => isObject(own) && typeof own["name"] === "string" && isCount(own["steps"])),
  scheduler: (values) => Object.values(values).every((value) => isScalar(value) || Array.isArray(value)),
  rng_state: ({ key, stream, blocks }) => isPair(key) && isPair(stream) && isCount(blocks),
  progress: ({ sinceLastLog: since, skippedSteps, scheduleWaits }) =>
    isObject(since) &&
    (since["loss"] === null || typeof since["loss"] === "number") &&
    [since["steps"], skippedSteps, scheduleWaits].every(isCount),
  scaler: ({ scale, growthTracker, growthFactor, backoffFactor, growthInterval }) =>
    isCount(growthTracker) &&
    [scale, growthFactor, backoffFactor, growthInterval].every((value) => typeof value === "number"),
};

/** A file of the state, where there is one. @throws when it holds something else */
async function readPart(folder: string, name: string): Promise<Values | undefined> {
  const values = await readJson(folder, `${name}.json`);
  if (values && !RULES[name]!(values)) {
    throw new GpugradError(
      `${folder}/${name}.json: it doesn't hold what is saved there. The file is damaged: resume from another checkpoint.`,
    );
  }
  return values;
}

/**
 * Reads what `writeResumeState` wrote, and hands it to `use`; tensors are read from the file one by one.
 * @throws when the checkpoint was saved without it
 */
export async function readResumeState(folder: string, use: (state: ResumeState) => Promise<void>): Promise<void> {
  const [counts, scheduler, generator, progress, scaler] = await Promise.all(
    ["optimizer", "scheduler", "rng_state", "progress", "scaler"].map((name) => readPart(folder, name)),
  );
  if (!counts || !scheduler || !generator || !progress) {
    throw new GpugradError(
      `${folder}: there is no optimizer state to resume from. Was it saved with saveOnlyModel, or by another program? ` +
        "Train from its weights instead: give the folder as the model.",
    );
  }
  const counted = progress as unknown as Progress;
  counted.sinceLastLog.loss ??= NaN; // which JSON has not
  const files = [await SafetensorsFile.open(await openFile(`${folder}/${OPTIMIZER}`))];
  try {
    if (await exists(`${folder}/${OUTER}`))
      files.push(await SafetensorsFile.open(await openFile(`${folder}/${OUTER}`)));
    const [tensors, outer] = files.map(tensorsOf);
    await use({
      optimizer: { ...(counts as unknown as Pick<OptimizerState, "steps" | "parameters">), tensors: tensors! },
      ...(outer && { outer }),
      scheduler,
      generator: generator as unknown as GeneratorState,
      progress: counted,
      ...(scaler && { scaler: scaler as unknown as GradScalerStateDict }),
    });
  } finally {
    for (const file of files) await file.close();
  }
}

/** The tensors of a file, to be read one by one. */
const tensorsOf = (file: SafetensorsFile): Map<string, StateTensor> =>
  new Map(
    file.keys().map((key) => {
      const bytes = async (): Promise<Uint8Array> => (await file.read(key)).bytes;
      return [key, { shape: file.info(key).shape, bytes }];
    }),
  );

/**
 * Gives a model the weights of a checkpoint of the same kind: in place, or on a new device after the loss of the old one. A model with an
 * adapter gets the adapter's alone.
 */
export async function loadWeights(model: PreTrainedModel, folder: string): Promise<void> {
  const files = await localFolder(folder);
  if (!files) throw new GpugradError(`${folder}: no such folder: the checkpoint is gone.`);
  const peft = PeftModel.of(model);
  if (peft) return peft.loadWeights(files);
  const weights = await openWeights(files);
  try {
    const keys = new Set(weights.keys());
    for (const [name, parameter] of model.namedParameters()) {
      if (!keys.has(name))
        throw new GpugradError(`${folder}: there is no ${name}. It is a checkpoint of another model.`);
      const { shape, dtype } = weights.info(name);
      if (dtype !== "F32" || shape.join() !== parameter.shape.join()) {
        throw new GpugradError(
          `${folder}: ${name} is ${dtype} [${shape.join(",")}], the model's is F32 [${parameter.shape.join(",")}]. It is a checkpoint of another model.`,
        );
      }
      parameter.restore((await weights.read(name)).bytes);
    }
  } finally {
    await weights.close();
  }
}
