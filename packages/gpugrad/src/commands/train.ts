import { trainCommand } from "../train/train-command.ts";

/** `gpugrad train`: fine-tunes a classifier or regression on any dataset. */
export function train(args: string[]): Promise<number> {
  return trainCommand(args, {
    name: "gpugrad train",
    description: "Fine-tunes a model to label texts, or to give them a number.",
    defaults: () => ({ reportTo: ["html", "jsonl"] }),
  });
}
