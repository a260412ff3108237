import { snakeCase } from "./training-arguments.ts";

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
  /** Multiplications and additions so far: 6 × tokens × parameters that are no embeddings. */
  totalFlos: number;
  logHistory: LogEntry[];
  bestMetric: number | null;
  bestGlobalStep: number | null;
  bestModelCheckpoint: string | null;
  /** By the callbacks' class names. */
  statefulCallbacks: Record<string, CallbackState>;
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

/** The state in a `trainer_state.json`, Transformers' or ours, over `fresh`. */
export function stateFromJson(json: Record<string, unknown>, fresh: TrainerState): TrainerState {
  const known = Object.keys(fresh).flatMap((name) => {
    const value = json[snakeCase(name)];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...fresh, ...Object.fromEntries(known) };
}
