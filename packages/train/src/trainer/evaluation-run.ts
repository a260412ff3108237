import { noGrad } from "@gpugrad/autograd";
import { scope } from "@gpugrad/tensor";
import type { NamedArray } from "../data/batch.ts";
import type { DataLoader } from "../data/data-loader.ts";
import type { Evaluated, Found, Labelled, Task, TrainableModel } from "../tasks/task.ts";
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
}

/** An evaluation, and the rows whose logits are NaN or infinite. */
export interface EvaluationResult<F extends Found> {
  evaluated: Evaluated<F>;
  nonFinite: number[];
}

/** Runs a model over a dataset: predictions for every row; loss and metrics where all rows have labels. */
export async function evaluationRun<F extends Found>(parts: EvaluationParts<F>): Promise<EvaluationResult<F>> {
  const { model, task, loader, loss, events, prefix } = parts;
  const { dataset } = loader;
  const predictions: unknown[][] = [];
  const nonFinite: number[] = [];
  let [lossSum, weightSum, row, batches] = [0, 0, 0, 0];
  const inFlight: Promise<void>[] = [];
  const start = performance.now();
  try {
    for await (const batch of loader.epoch()) {
      const [first, number] = [row, batches++];
      row += batch.rows.length;
      const read = scope(() =>
        noGrad(() => {
          const { logits, loss: mean } = inMode(model, false, () => loss.forward(model, batch.arrays));
          return { shape: logits.shape, logits: logits.data(), mean: mean?.item() };
        }),
      );
      const evaluation = { batch: batches, totalBatches: loader.length };
      const weight = loss.weightOf(batch);
      const taken = Promise.all([read.logits, read.mean]).then(async ([values, mean]) => {
        const logits: NamedArray = { data: values as Float32Array, shape: read.shape, dtype: "f32" };
        predictions[number] = task.decode(logits, batch);
        for (const b of nonFiniteOf(logits)) nonFinite.push(first + b);
        lossSum += (mean ?? 0) * weight;
        weightSum += weight;
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
  const seconds = (performance.now() - start) / 1000;
  const found = task.gather(predictions.flat());
  const { computeMetrics = (labelled: Labelled<F>) => task.metrics(labelled) } = parts;
  const own = found.labels ? await computeMetrics(found as Labelled<F>) : {};
  const metrics = {
    ...(found.labels && { loss: lossSum / weightSum }),
    ...own,
    runtime: Number(seconds.toFixed(4)),
    samples_per_second: Number((row / seconds).toFixed(3)),
    steps_per_second: Number((batches / seconds).toFixed(3)),
  };
  const prefixed = Object.entries(metrics).map(([name, value]) => [
    name.startsWith(`${prefix}_`) ? name : `${prefix}_${name}`,
    value,
  ]);
  const evaluated = { ...found, dataset, metrics: Object.fromEntries(prefixed) as Record<string, number> };
  return { evaluated, nonFinite: nonFinite.sort((a, b) => a - b) };
}

/** The rows of a batch of which a logit is NaN or infinite. */
function nonFiniteOf({ data, shape }: NamedArray): Set<number> {
  const width = data.length / shape[0]!;
  const rows = new Set<number>();
  data.forEach((logit, i) => void (Number.isFinite(logit) || rows.add(Math.floor(i / width))));
  return rows;
}
