import { DataError } from "@gpugrad/train";
import type { TaskKind } from "./kinds.ts";
import { openClassification } from "./open-classification.ts";
import { kindFor, openKind } from "./open-kind.ts";
import type { TrainOptions } from "./options.ts";
import type { Task } from "./task.ts";

/**
 * Opens model and data as the options name them: on the hub, in folders or in files. Where no task is named, and the data holds no texts with
 * labels, it is the task that its columns are for.
 * @param askedLength tokens per row, where they were asked for
 */
export async function openTask(
  options: TrainOptions,
  seed: number,
  note: (line: string) => void,
  askedLength?: number,
): Promise<Task> {
  const open = (kind: TaskKind): Promise<Task> => openKind(kind, options, { seed, askedLength, note });
  const named = options.task === undefined ? undefined : await kindFor(options, note);
  if (named) return open(named);
  try {
    return await openClassification(options, seed, note);
  } catch (error) {
    const kind = error instanceof DataError && options.task === undefined ? await kindFor(options, note) : undefined;
    if (!kind) throw error;
    return open(kind);
  }
}
