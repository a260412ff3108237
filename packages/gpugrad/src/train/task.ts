import type { Tokenizer } from "@gpugrad/bert";
import type { Found, Task as TrainerTask, TrainableModel } from "@gpugrad/train";
import type { TaskData } from "./open-data.ts";

/** What is trained, on what. */
export interface Task extends TaskData {
  title: string;
  model: TrainableModel;
  /** What is learned, where it isn't what the model's head says. */
  task?: TrainerTask<Found>;
  tokenizer: Tokenizer;
  /** Tokens per row, where the task has a default of its own. */
  maxLength?: number;
}
