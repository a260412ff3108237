import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { getScheduler } from "./get-scheduler.ts";
import { watchesMetric, type LrScheduler } from "./scheduler.ts";

/** The schedule that the arguments name. @throws for keywords that it doesn't have */
export function createScheduler(args: TrainingArguments, numTrainingSteps: number): LrScheduler {
  const { lrSchedulerType, lrSchedulerKwargs, learningRate: lr, warmupSteps, greaterIsBetter } = args;
  const numWarmupSteps = warmupSteps < 1 ? Math.ceil(warmupSteps * numTrainingSteps) : warmupSteps;
  const schedulerSpecificKwargs = {
    ...(watchesMetric(lrSchedulerType) && { mode: greaterIsBetter ? "max" : "min" }),
    ...lrSchedulerKwargs,
  };
  return getScheduler(lrSchedulerType, { lr, numWarmupSteps, numTrainingSteps, schedulerSpecificKwargs });
}
