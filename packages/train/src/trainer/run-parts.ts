import type { DataLoader } from "../data/data-loader.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { LrScheduler } from "../schedule/scheduler.ts";
import type { Found, Task, TrainableModel } from "../tasks/task.ts";
import type { CheckpointParts } from "./checkpoint-writer.ts";
import type { Evaluations } from "./evaluations.ts";
import type { LossFunction } from "./loss.ts";
import type { ModelUse } from "./model-use.ts";
import type { DiLoCo } from "../parallel/diloco.ts";
import type { Ranks } from "../parallel/ranks.ts";
import type { Exchange } from "./recorded-steps.ts";

/** What training came to, under the Trainer's names. */
export interface TrainOutput {
  globalStep: number;
  /** Updates of this call: fewer than `globalStep` where it continued from a checkpoint. */
  updates: number;
  /** Mean of the losses of all updates of this call; NaN where there were none. */
  trainingLoss: number;
  /** False when `stop()` or a callback ended it early. */
  completed: boolean;
  /** Of this call, but `total_flos` and `epoch`, which count from the start. */
  metrics: {
    train_runtime: number; // seconds
    train_samples_per_second: number;
    train_steps_per_second: number;
    total_flos: number;
    train_loss: number;
    epoch: number;
  };
}

/** What training came to, rounded as Transformers does. */
export function trainMetrics(of: {
  seconds: number;
  samples: number;
  updates: number;
  totalFlos: number;
  trainingLoss: number;
}): Omit<TrainOutput["metrics"], "epoch"> {
  const { seconds, samples, updates, totalFlos, trainingLoss } = of;
  const round = (value: number, digits: number): number => Number(value.toFixed(digits));
  return {
    train_runtime: round(seconds, 4),
    train_samples_per_second: round(samples / seconds, 3),
    train_steps_per_second: round(updates / seconds, 3),
    total_flos: totalFlos,
    train_loss: trainingLoss,
  };
}

/** What a run is given: all that outlives it. */
export interface RunParts extends CheckpointParts {
  model: TrainableModel;
  task: Task;
  loader: DataLoader;
  loss: LossFunction;
  optimizer: Optimizer;
  lrScheduler: LrScheduler;
  totalSteps: number;
  /** Rows of a batch, of all ranks together. */
  batchSize: number;
  evaluations: Pick<Evaluations<Found>, "evaluate">;
  /** What is under way with the model beside the run. */
  use: ModelUse;
  /** Changes gradients between the halves of an update. */
  exchange?: Exchange | undefined;
  /** What makes the ranks one again, where each makes updates of its own. */
  diloco?: DiLoCo | undefined;
  /** Those that train together, one of which this is. */
  ranks: Ranks;
}
