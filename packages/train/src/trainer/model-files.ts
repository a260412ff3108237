import { PeftModel } from "@gpugrad/bert";
import { argumentsToJson, type TrainingArguments } from "../arguments/training-arguments.ts";
import { SaveError } from "../checkpoint/save-error.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import type { Task, TrainableModel } from "../tasks/task.ts";
import { writeJson } from "#files";
import type { TrainerServices } from "./services.ts";

/** What is saved of a run for others to open. */
export interface ModelParts {
  model: TrainableModel;
  tokenizer: BatchTokenizer;
  args: TrainingArguments;
  task: Pick<Task, "files">;
}

/** Writes model, tokenizer, arguments and what the task has beside them into a folder; of a model with an adapter, the adapter alone. */
export async function saveModelFiles(folder: string, { model, tokenizer, args, task }: ModelParts): Promise<void> {
  await (PeftModel.of(model) ?? model).savePretrained(folder);
  await tokenizer.savePretrained?.(folder);
  for (const [file, value] of Object.entries(task.files ?? {})) await writeJson(folder, file, value);
  await writeJson(folder, "training_args.json", argumentsToJson(args));
}

/** Saves a model where it belongs. @throws {@link SaveError} where that fails; the model is then in another folder, if there is one that takes it */
export async function saveModelOrElsewhere(
  folder: string,
  parts: ModelParts,
  services: Pick<TrainerServices, "saveElsewhere">,
): Promise<void> {
  try {
    await saveModelFiles(folder, parts);
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error; // not the disk's
    const savedIn = await services.saveElsewhere(folder, (elsewhere) => saveModelFiles(elsewhere, parts));
    const now =
      savedIn === undefined
        ? "nor anywhere else: make room and call saveModel() again; the model is still in memory"
        : `but is in ${savedIn}: move it from there`;
    throw new SaveError(`${folder}: the model can't be saved: ${message}; ${now}. Choose another folder next time.`, savedIn); // prettier-ignore
  }
}
