import { didYouMean, GpugradError, showValue } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Batch } from "../data/batch.ts";
import { Dataset } from "../data/dataset.ts";

/** @throws where no evaluation will give the metric that the run goes by */
export function checkMetric({ metricForBestModel }: TrainingArguments, names: readonly string[] | undefined): void {
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
