import { trainCommand } from "../train/train-command.ts";
import { compareModels } from "../train/compare-models.ts";
import {
  addDistillOptions,
  openDistillation,
  type DistillOptions,
  type Distillation,
} from "../train/open-distillation.ts";

/** `gpugrad distill TEACHER`: trains a smaller model to answer as a fine-tuned one does. */
export function distill(args: string[]): Promise<number> {
  const [teacher, ...others] = args;
  const words = teacher === undefined || teacher.startsWith("-") ? args : ["--model", teacher, ...others];
  return trainCommand<DistillOptions>(words, {
    name: "gpugrad distill",
    description:
      "Trains a smaller model, the student, to answer as a fine-tuned one does: gpugrad distill TEACHER, where TEACHER is short for --model TEACHER.",
    defaults: () => ({ reportTo: ["html", "jsonl"] }),
    addOptions: addDistillOptions,
    makeTask: openDistillation,
    epilogue: (task, _options, result) => compareModels(task as Distillation, result),
  });
}
