import { compileAhead, type OutOfMemoryError } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Batch } from "../data/batch.ts";
import { modelLike, updates, withMemoryAdvice } from "../diagnostics/memory-advice.ts";
import { createOptimizer } from "../optim/create-optimizer.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Found, Task, TrainableModel } from "../tasks/task.ts";
import { firstOf } from "./checks.ts";

/** What a run's updates are, for dry runs of them. */
export interface DryUpdateParts {
  args: TrainingArguments;
  model: TrainableModel;
  task: Task<Found>;
  /** Tokens of a row at most. */
  maxLength: number;
}

/** A GPU's driver compiles for seconds, one kernel after the other as an update asks for them; here side by side. A CPU's compiles when a kernel runs. */
export async function compileUpdates(parts: DryUpdateParts, batches: AsyncIterable<Batch>): Promise<void> {
  const optimizerFor = (twin: TrainableModel): Optimizer => createOptimizer(twin, parts.args);
  try {
    const { shape } = (await firstOf(batches)).arrays.input_ids;
    const [batchSize, length] = [shape[0]!, shape.at(-1)!];
    await compileAhead(() => updates({ ...shapeOf(parts), batchSize, length, optimizerFor }));
  } catch {
    // What is wrong with a batch or an update is reported by the run.
  }
}

/** The error, with what a run's updates take, and what would fit. */
export function adviseOn(
  error: OutOfMemoryError,
  parts: DryUpdateParts,
  optimizerFor: (model: TrainableModel) => Optimizer,
): OutOfMemoryError {
  const parameters = parts.model.parameters();
  return withMemoryAdvice(error, {
    ...shapeOf(parts),
    optimizerFor: (twin) => {
      twin.parameters().forEach((parameter, i) => (parameter.requiresGrad = parameters[i]!.requiresGrad)); // some are frozen
      return optimizerFor(twin);
    },
  });
}

const shapeOf = ({ args, model, task, maxLength }: DryUpdateParts) => ({
  ...{ config: model.config, modelFor: modelLike(model), task, length: maxLength },
  ...{ batchSize: args.perDeviceTrainBatchSize, accumulation: args.gradientAccumulationSteps },
  ...{ gradientCheckpointing: args.gradientCheckpointing, fp16: args.fp16 },
});
