import { didYouMean, GpugradError, showValue } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Batch } from "../data/batch.ts";
import { Dataset } from "../data/dataset.ts";
import { createScheduler } from "../schedule/create-scheduler.ts";
import type { Found, Task, TrainableModel } from "../tasks/task.ts";

/** What a Trainer is made of, as far as its arguments go by it. */
interface CheckedParts {
  args: TrainingArguments;
  model: TrainableModel;
  task: Task<Found>;
  trainDataset?: Dataset;
  evalDataset?: Dataset;
  computesMetrics: boolean;
}

/** @throws for arguments that don't go with the model, the task or the data */
export function checkRun({ args, model, task, trainDataset, evalDataset, computesMetrics }: CheckedParts): void {
  const refuse = (problem: string): never => {
    throw new GpugradError(`Trainer: ${problem}.`);
  };
  const wrong = model.parameters().find((p) => p.dtype !== "f32");
  if (wrong) refuse(`a parameter is ${wrong.dtype}; training needs f32: fromPretrained(…, { dtype: "f32" })`);
  if (args.evalStrategy !== "no" && trainDataset && !evalDataset)
    refuse(`evalStrategy is ${args.evalStrategy}, but there is no evalDataset`);
  createScheduler(args, 1); // refuses keywords of the schedule
  if (!computesMetrics) checkMetric(args, task.metricNames);
  const problem = task.problemWith?.(args);
  if (problem !== undefined) refuse(problem);
}

/** @throws where no evaluation will give the metric that the run goes by */
function checkMetric({ metricForBestModel }: TrainingArguments, names: readonly string[] | undefined): void {
  const metric = metricForBestModel?.replace(/^eval_/, "");
  if (metric === undefined || !names || names.includes(metric)) return;
  throw new GpugradError(
    `Trainer: metricForBestModel is ${metricForBestModel}, which no evaluation gives. There are ${names.join(", ")}` +
      `${names.includes("f1") ? "; precision, recall and f1 are macro averages" : ""}.${didYouMean(metric, names)}`,
  );
}

/** @throws for what is not a Dataset */
export function checkDataset(owner: string, dataset: unknown): void {
  if (dataset instanceof Dataset) return;
  throw new GpugradError(
    `${owner}: the dataset is ${showValue(dataset)}, not a Dataset. Make one: Dataset.fromRows(rows).`,
  );
}

/** The first item. @throws where there is none */
export async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item;
  throw new GpugradError("Trainer: the training set is empty.");
}

/** @throws for what doesn't name a checkpoint */
export function checkResume(from: unknown): void {
  if (from === null || typeof from === "string" || typeof from === "boolean") return;
  throw new GpugradError(
    `Trainer.train: resumeFromCheckpoint is ${showValue(from)}; it has to be a folder, true, false or null.`,
  );
}

/** What to throw for a batch to train on that has no labels: it names the first row without one. */
export async function noLabelError({ rows }: Batch, dataset: Dataset): Promise<Error> {
  const read = await Promise.all(rows.map((row) => dataset.row(row)));
  const missing = rows.filter((_, i) => read[i]!.label === undefined && read[i]!.labels === undefined);
  return new GpugradError(`Trainer: ${dataset.where(missing[0] ?? rows[0]!)} has no label to train on.`);
}
