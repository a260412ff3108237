import { GpugradError, showValue } from "@gpugrad/tensor";
import { snakeCase, type TrainingArguments } from "../arguments/training-arguments.ts";

/** An entry of the log: Transformers' keys (`loss`, `grad_norm`, `eval_accuracy`, …), with `epoch` and `step`. */
export type LogEntry = Record<string, number>;

/** What a callback keeps in checkpoints: what it was made with, and what it has counted. */
export interface CallbackState {
  args: Record<string, unknown>;
  attributes: Record<string, unknown>;
}

/**
 * How far a run has come. A checkpoint's `trainer_state.json` has the same in snake_case, in Transformers' layout.
 * @see https://huggingface.co/docs/transformers/main_classes/callback#transformers.TrainerState
 */
export interface TrainerState {
  /** Finished batches per batches of an epoch. */
  epoch: number;
  /** Updates done. */
  globalStep: number;
  /** Updates in all. */
  maxSteps: number;
  numTrainEpochs: number;
  /** Rows per batch. */
  trainBatchSize: number;
  loggingSteps: number;
  evalSteps: number;
  saveSteps: number;
  /** Multiplications and additions so far: 6 × tokens × parameters that are not embeddings. */
  totalFlos: number;
  logHistory: LogEntry[];
  bestMetric: number | null;
  bestGlobalStep: number | null;
  bestModelCheckpoint: string | null;
  /** By the callbacks' class names; a list where there are several of a class. */
  statefulCallbacks: Record<string, CallbackState | CallbackState[]>;
}

/** What the loop does next; callbacks may change it. */
export interface TrainerControl {
  shouldTrainingStop: boolean;
  shouldEpochStop: boolean;
  shouldSave: boolean;
  shouldEvaluate: boolean;
  shouldLog: boolean;
}

/** The state before anything is done. */
export const freshState = (): TrainerState => ({
  ...{ epoch: 0, globalStep: 0, maxSteps: 0, numTrainEpochs: 0, trainBatchSize: 0 },
  ...{ loggingSteps: 0, evalSteps: 0, saveSteps: 0, totalFlos: 0, logHistory: [] },
  ...{ bestMetric: null, bestGlobalStep: null, bestModelCheckpoint: null, statefulCallbacks: {} },
});

/** The state of a run that begins. */
export function startState(args: TrainingArguments, maxSteps: number, numTrainEpochs: number): TrainerState {
  const stepsOf = (steps: number): number => (steps < 1 ? Math.ceil(steps * maxSteps) : steps);
  return {
    ...{ ...freshState(), maxSteps, numTrainEpochs },
    trainBatchSize: args.perDeviceTrainBatchSize,
    loggingSteps: stepsOf(args.loggingSteps),
    evalSteps: stepsOf(args.evalSteps ?? 500), // nothing is evaluated by steps without it
    saveSteps: stepsOf(args.saveSteps),
  };
}

/** Nothing to do. */
export const freshControl = (): TrainerControl => ({
  ...{ shouldTrainingStop: false, shouldEpochStop: false, shouldSave: false },
  ...{ shouldEvaluate: false, shouldLog: false },
});

/** What Transformers writes and this Trainer has no use for. */
const FIXED = {
  is_hyper_param_search: false,
  is_local_process_zero: true,
  is_world_process_zero: true,
  num_input_tokens_seen: 0,
  trial_name: null,
  trial_params: null,
};

/** The content of `trainer_state.json`. */
export function stateToJson(state: TrainerState, control: TrainerControl): Record<string, unknown> {
  const own = Object.entries(state).map(([name, value]) => [snakeCase(name), value] as const);
  const flags = Object.entries(control).map(([name, value]) => [snakeCase(name), value] as const);
  return {
    ...FIXED,
    ...Object.fromEntries(own),
    stateful_callbacks: {
      ...state.statefulCallbacks,
      TrainerControl: { args: Object.fromEntries(flags), attributes: {} },
    },
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown): boolean => typeof value === "number" && value >= 0;
const orNull =
  (rule: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || rule(value);
const isState = (value: unknown): boolean =>
  isObject(value) && isObject(value["args"]) && isObject(value["attributes"]);

const isLogged = orNull((value) => typeof value === "number");

/** What each value of a state has to be. A number of the log or a metric that is NaN is null in JSON. */
const RULES: { readonly [Name in keyof TrainerState]: readonly [kind: string, rule: (value: unknown) => boolean] } = {
  epoch: ["a number of at least 0", isNumber],
  globalStep: ["a whole number of at least 0", isCount],
  maxSteps: ["a whole number of at least 0", isCount],
  numTrainEpochs: ["a whole number of at least 0", isCount],
  trainBatchSize: ["a whole number of at least 0", orNull(isCount)],
  loggingSteps: ["a number of at least 0", isNumber],
  evalSteps: ["a number of at least 0", isNumber],
  saveSteps: ["a number of at least 0", isNumber],
  totalFlos: ["a number of at least 0", isNumber],
  logHistory: [
    "a list of objects of numbers",
    (value) => Array.isArray(value) && value.every((entry) => isObject(entry) && Object.values(entry).every(isLogged)),
  ],
  bestMetric: ["a number or null", orNull((value) => typeof value === "number")],
  bestGlobalStep: ["a whole number or null", orNull(isCount)],
  bestModelCheckpoint: ["a folder or null", orNull((value) => typeof value === "string")],
  statefulCallbacks: [
    "an object of states",
    (value) =>
      isObject(value) && Object.values(value).every((own) => (Array.isArray(own) ? own : [own]).every(isState)),
  ],
};

/**
 * The state in a `trainer_state.json`, Transformers' or ours, over `fresh`.
 * @param file what errors call it
 * @throws when it is not an object, or a value is of another kind
 */
export function stateFromJson(json: unknown, fresh: TrainerState, file = "trainer_state.json"): TrainerState {
  const refuse = (problem: string): never => {
    throw new GpugradError(`${file}: ${problem}. The file is damaged: continue from another checkpoint.`);
  };
  if (!isObject(json)) return refuse(json === undefined ? "it is missing" : "it is not an object");
  const known = (Object.keys(RULES) as (keyof TrainerState)[]).flatMap((name) => {
    const value = json[snakeCase(name)];
    if (value === undefined) return [];
    const [kind, rule] = RULES[name];
    if (!rule(value)) refuse(`${snakeCase(name)} is not ${kind}: ${showValue(value)}`);
    return [[name, value] as const];
  });
  const state: TrainerState = { ...fresh, ...Object.fromEntries(known) };
  delete state.statefulCallbacks["TrainerControl"]; // what a run does next is its own
  for (const entry of state.logHistory)
    for (const [name, value] of Object.entries(entry)) if ((value as number | null) === null) entry[name] = NaN;
  return state;
}
