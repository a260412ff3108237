import { GpugradError } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Evaluated, Found, Labelled, Loss, Task, TrainableModel } from "../tasks/task.ts";
import type { PredictionOutput } from "../tasks/sequence-classification/predictions.ts";
import type { TrainerEvent } from "./callbacks.ts";
import { evaluationRun } from "./evaluation-run.ts";
import type { Events } from "./events.ts";
import type { Loaders } from "./loaders.ts";
import { lossFunction, type LossFunction } from "./loss.ts";
import type { ModelUse } from "./model-use.ts";
import type { Ranks } from "../parallel/ranks.ts";

/** What evaluations are made of. */
export interface EvaluationsParts<F extends Found> {
  args: TrainingArguments;
  model: TrainableModel;
  task: Task<F>;
  loaders: Loaders;
  events: Events;
  use: ModelUse;
  ranks: Ranks;
  trainDataset?: Dataset | undefined;
  evalDataset?: Dataset | undefined;
  /** In place of the task's loss and metrics. */
  loss?: Loss | undefined;
  computeMetrics?: ((found: Labelled<F>) => Record<string, number> | Promise<Record<string, number>>) | undefined;
}

/** Evaluates the model of a Trainer, beside training or without it. */
export class Evaluations<F extends Found> {
  readonly #parts: EvaluationsParts<F>;
  /** Whether a warning of logits that aren't finite was given. */
  #hasWarned = false;

  constructor(parts: EvaluationsParts<F>) {
    this.#parts = parts;
  }

  /** How losses are made, in training too. */
  async lossFunction(): Promise<LossFunction> {
    const { args, task, trainDataset, loss = (await task.createLoss?.({ args, trainDataset })) ?? {} } = this.#parts;
    return lossFunction(args, loss, task);
  }

  /** Loss and metrics on a dataset (default: `evalDataset`), which the log takes in, too. */
  async evaluate(dataset = this.#parts.evalDataset): Promise<Record<string, number>> {
    if (!dataset) throw new GpugradError("Trainer: evaluate() needs an evalDataset.");
    const { use, events } = this.#parts;
    return use.reading(async () => {
      const prediction = await this.#run(dataset, "eval");
      const { metrics, labels } = prediction;
      if (!labels) throw new GpugradError(`Trainer: evaluate() needs labels, and ${dataset.name} has rows without.`);
      await events.log(metrics);
      await this.#emit("onEvaluate", prediction);
      return metrics;
    });
  }

  /** Predictions for every row, with the loss and metrics where all rows have labels. */
  predict(dataset: Dataset, prefix: string): Promise<Evaluated<F>> {
    return this.#parts.use.reading(async () => {
      const prediction = await this.#run(dataset, prefix);
      await this.#emit("onPredict", prediction);
      return prediction;
    });
  }

  /** A callback knows what its task finds; the type is that of sequence classifiers. */
  #emit(event: TrainerEvent, evaluated: Evaluated<F>): Promise<void> {
    const prediction = evaluated as unknown as PredictionOutput;
    return this.#parts.events.emit(event, { metrics: evaluated.metrics, prediction });
  }

  async #run(dataset: Dataset, prefix: string): Promise<Evaluated<F>> {
    const { model, task, loaders, events, evalDataset, computeMetrics, ranks } = this.#parts;
    const repeats = events.isRunning && dataset === evalDataset; // the evaluations of a run share their tokens
    const loader = await loaders.evaluation(dataset, { repeats });
    const loss = await this.lossFunction();
    const { evaluated, nonFinite } = await evaluationRun({
      ...{ model, task, loader, loss, events, computeMetrics, prefix, ranks },
    });
    this.#warnOfNonFinite(nonFinite, dataset);
    return evaluated;
  }

  /** Says, once, that metrics are NaN since the model's answers are. */
  #warnOfNonFinite(rows: readonly number[], dataset: Dataset): void {
    if (rows.length === 0 || this.#hasWarned) return;
    this.#hasWarned = true;
    this.#parts.events.warnLater(
      `${dataset.name}: the logits of ${rows.length} of ${dataset.length} rows are NaN or infinite, the first of ${dataset.where(rows[0]!)}. ` +
        "Metrics that depend on them are NaN. If this is so after training, look at the loss: a lower learningRate may help.",
    );
  }
}
