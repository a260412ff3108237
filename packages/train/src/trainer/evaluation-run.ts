import { noGrad } from "@gpugrad/autograd";
import { scope, type Tensor } from "@gpugrad/tensor";
import type { NamedArray } from "../data/batch.ts";
import type { DataLoader } from "../data/data-loader.ts";
import type { Evaluated, Found, Labelled, Task, TrainableModel } from "../tasks/task.ts";
import type { Ranks } from "../parallel/ranks.ts";
import type { Events } from "./events.ts";
import type { LossFunction } from "./loss.ts";
import { inMode } from "./mode.ts";

/** How many batches of an evaluation may be on their way to the device. */
const BATCHES_IN_FLIGHT = 2;

/** What an evaluation is made of. */
export interface EvaluationParts<F extends Found> {
  model: TrainableModel;
  task: Task<F>;
  loader: DataLoader;
  loss: LossFunction;
  events: Events;
  /** In place of the task's metrics. */
  computeMetrics?: ((found: Labelled<F>) => Record<string, number> | Promise<Record<string, number>>) | undefined;
  /** What the names of metrics begin with: `eval`, `test`. */
  prefix: string;
  /** Each of them evaluates its part of every batch, and all get the whole. */
  ranks: Ranks;
}

/** What came of a batch. */
interface EvaluatedBatch {
  rows: number;
  predictions: unknown[];
  /** Rows whose logits are NaN or infinite. */
  nonFinite: number[];
  /** Its loss, and what that counts in the mean. */
  mean: number;
  weight: number;
}

/** An evaluation, and the rows whose logits are NaN or infinite. */
export interface EvaluationResult<F extends Found> {
  evaluated: Evaluated<F>;
  nonFinite: number[];
}

/** Runs a model over a dataset: predictions for every row; loss and metrics where all rows have labels. */
export async function evaluationRun<F extends Found>(parts: EvaluationParts<F>): Promise<EvaluationResult<F>> {
  const { model, task, loader, loss, events, prefix, ranks } = parts;
  const { dataset } = loader;
  const own: EvaluatedBatch[] = [];
  let batches = 0;
  const inFlight: Promise<void>[] = [];
  const start = performance.now();
  try {
    for await (const batch of loader.epoch()) {
      const number = batches++;
      if (batch.isSpare) continue; // of the last batch, this rank has no row
      const read = scope(() =>
        noGrad(() => {
          const output = inMode(model, false, () => loss.forward(model, batch.arrays));
          const arrays = Object.entries(task.read?.(output) ?? { logits: output.logits });
          return { arrays: Promise.all(arrays.map(arrayOf)), mean: output.loss?.item() };
        }),
      );
      const evaluation = { batch: batches, totalBatches: loader.length };
      const weight = loss.weightOf(batch);
      const taken = Promise.all([read.arrays, read.mean]).then(async ([arrays, mean]) => {
        const nonFinite = Array.from(nonFiniteOf(arrays), (b) => batch.rows[b]!);
        const predictions = task.decode(Object.fromEntries(arrays), batch);
        own[number] = { rows: batch.rows.length, predictions, nonFinite, mean: mean ?? 0, weight };
        await events.emit("onPredictionStep", { evaluation });
      });
      taken.catch(() => undefined); // it is awaited later
      inFlight.push(taken);
      if (inFlight.length >= BATCHES_IN_FLIGHT) await inFlight.shift();
    }
    await Promise.all(inFlight);
  } finally {
    await Promise.allSettled(inFlight);
    loss.dispose();
  }
  const byRank = await ranks.allGather(`what the evaluation of ${dataset.name} has found`, own);
  const all = Array.from({ length: batches }, (_, i) => byRank.flatMap((theirs) => theirs[i] ?? [])).flat();
  const seconds = (performance.now() - start) / 1000;
  const found = task.gather(all.flatMap((batch) => batch.predictions));
  const sum = (of: (batch: EvaluatedBatch) => number): number => all.reduce((before, batch) => before + of(batch), 0);
  const mean = sum((batch) => batch.mean * batch.weight) / sum((batch) => batch.weight);
  const { computeMetrics = (labelled: Labelled<F>) => task.metrics(labelled, mean) } = parts;
  const metricsOfTask = found.labels ? await computeMetrics(found as Labelled<F>) : {};
  const metrics = {
    ...(found.labels && { loss: mean }),
    ...metricsOfTask,
    runtime: Number(seconds.toFixed(4)),
    samples_per_second: Number((sum((batch) => batch.rows) / seconds).toFixed(3)),
    steps_per_second: Number((batches / seconds).toFixed(3)),
  };
  const prefixed = Object.entries(metrics).map(([name, value]) => [
    name.startsWith(`${prefix}_`) ? name : `${prefix}_${name}`,
    value,
  ]);
  const evaluated = { ...found, dataset, metrics: Object.fromEntries(prefixed) as Record<string, number> };
  return { evaluated, nonFinite: all.flatMap((batch) => batch.nonFinite).sort((a, b) => a - b) };
}

/** A tensor's values, once the device has them. */
async function arrayOf([name, tensor]: [string, Tensor]): Promise<[name: string, array: NamedArray]> {
  const { shape } = tensor;
  const data = await tensor.data();
  if (data instanceof Float32Array) return [name, { data, shape, dtype: "f32" }];
  return [name, { data: Int32Array.from(data), shape, dtype: "i32" }];
}

/** The rows of a batch of which a number is NaN or infinite. */
function nonFiniteOf(arrays: readonly (readonly [name: string, array: NamedArray])[]): Set<number> {
  const rows = new Set<number>();
  for (const [, { data, shape }] of arrays) {
    const width = data.length / shape[0]!;
    data.forEach((logit, i) => void (Number.isFinite(logit) || rows.add(Math.floor(i / width))));
  }
  return rows;
}
