import { argumentsToJson, type TrainingArguments } from "../arguments/training-arguments.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import type { TrainableModel } from "../tasks/task.ts";
import { writeJson } from "#files";

/** What is saved of a run for anybody to open. */
export interface ModelParts {
  model: TrainableModel;
  tokenizer: BatchTokenizer;
  args: TrainingArguments;
}

/** Writes model, tokenizer and arguments into a folder. */
export async function saveModelFiles(folder: string, { model, tokenizer, args }: ModelParts): Promise<void> {
  await model.savePretrained(folder);
  await tokenizer.savePretrained?.(folder);
  await writeJson(folder, "training_args.json", argumentsToJson(args));
}
