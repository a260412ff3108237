import { callAll, type CallbackContext, type TrainerCallback } from "../src/trainer/callbacks.ts";
import { taskFor } from "../src/tasks/task-for.ts";
import type { TrainableModel } from "../src/tasks/task.ts";
import type { LogEntry, TrainerState } from "../src/trainer/trainer-state.ts";
import { trainingArguments, type TrainingArguments } from "../src/arguments/training-arguments.ts";

/** A run without a model to train: it calls callbacks as a Trainer would. */
export interface Drive {
  args: TrainingArguments;
  state: TrainerState;
  begin(): Promise<void>;
  log(step: number, logs: LogEntry): Promise<void>;
  save(step: number, checkpoint: string): Promise<void>;
  end(): Promise<void>;
}

/** @param logHistory what the checkpoint knows that the run continues from */
export function drive(
  callbacks: readonly TrainerCallback[],
  given: Partial<TrainingArguments>,
  logHistory: readonly LogEntry[] = [],
  more: Partial<CallbackContext> = {},
): Drive {
  const args = trainingArguments(given);
  const state: TrainerState = {
    ...{ epoch: 0, globalStep: logHistory.at(-1)?.["step"] ?? 0, maxSteps: 8, numTrainEpochs: 2, trainBatchSize: 8 },
    ...{ loggingSteps: 2, evalSteps: 2, saveSteps: 2, totalFlos: 0, logHistory: [...logHistory] },
    ...{ bestMetric: null, bestGlobalStep: null, bestModelCheckpoint: null, statefulCallbacks: {} },
  };
  const control = {
    ...{
      shouldTrainingStop: false,
      shouldEpochStop: false,
      shouldSave: false,
      shouldEvaluate: false,
      shouldLog: false,
    },
  };
  const config = { toJSON: () => ({ model_type: "bert", hidden_size: 4 }) };
  const task = more.model && taskFor(more.model as TrainableModel, undefined);
  const context = { model: { config }, ...(task && { task }), ...more } as unknown as CallbackContext;
  const reach = (step: number) => Object.assign(state, { globalStep: step, epoch: step / 4 });
  return {
    args,
    state,
    begin: () => callAll(callbacks, "onTrainBegin", args, state, control, context),
    log(step, logs) {
      reach(step);
      const entry = { ...logs, epoch: state.epoch, step };
      state.logHistory.push(entry);
      return callAll(callbacks, "onLog", args, state, control, { ...context, logs: entry });
    },
    save(step, checkpoint) {
      reach(step);
      return callAll(callbacks, "onSave", args, state, control, { ...context, checkpoint });
    },
    end: () => callAll(callbacks, "onTrainEnd", args, state, control, context),
  };
}
