import { DataError, shuffledIndices, type Dataset } from "@gpugrad/train";
import { cleaned, picked } from "./data-options.ts";
import type { TrainOptions } from "./options.ts";

/** The rows of a run. */
export interface TaskData {
  train: Dataset;
  /** What evaluations are made on. */
  validation: Dataset;
  /** Used only at the end. */
  test?: Dataset;
}

/** The rows to train, to evaluate and to test on: limited, picked and cleaned as the options say. */
export async function openData(
  options: TrainOptions,
  seed: number,
  openAll: () => Promise<Record<string, Dataset>>,
): Promise<TaskData> {
  const { trainIndices, evalIndices, maxTrainSamples, maxEvalSamples } = options;
  const splits = await openAll();
  const train = notEmpty(splits["train"]!);
  // Where rows have labels to train on, those without can't be evaluated on.
  const isLabelled = (rows: Dataset | undefined) => (rows && (rows.labels.numLabels > 0 || train.labels.numLabels === 0) ? rows : undefined); // prettier-ignore
  const [validation, test] = [isLabelled(splits["validation"]), isLabelled(splits["test"])];
  const evaluated = validation ?? test;

  const prepare = (rows: Dataset, limit: number | undefined): Dataset => cleaned(picked(rows, limit, seed), options);
  const evaluate = (rows: Dataset): Dataset => {
    const prepared = prepare(notEmpty(rows), maxEvalSamples);
    const missing = evalIndices?.find((row) => row >= prepared.length);
    if (missing !== undefined) {
      throw new Error(`--eval_indices: no row ${missing}: the rows to evaluate on are 0 to ${prepared.length - 1}.`);
    }
    return evalIndices ? prepared.select(evalIndices) : prepared;
  };

  if (evaluated) {
    return {
      train: prepare(train, maxTrainSamples),
      validation: evaluate(evaluated),
      ...(validation && test && { test: prepare(notEmpty(test), maxEvalSamples) }),
    };
  }
  // One table for both: the options name the rows by number, or else a tenth, picked by the seed, is held out.
  if (trainIndices && evalIndices) return { train: prepare(train, maxTrainSamples), validation: evaluate(train) };
  if (trainIndices || evalIndices) {
    throw new Error(`${train.name}: one table for both: give --train_indices and --eval_indices, or neither.`);
  }
  const order = shuffledIndices(train.length, seed, 0);
  const held = Math.ceil(train.length / 10);
  const pick = (rows: Int32Array): Dataset => train.select(rows.sort()); // as they lie: what lies together is read together
  return {
    train: prepare(notEmpty(pick(order.slice(held))), maxTrainSamples),
    validation: prepare(pick(order.slice(0, held)), maxEvalSamples),
  };
}

function notEmpty(rows: Dataset): Dataset {
  if (rows.length === 0) throw new DataError(`${rows.name}: no rows to train or test on.`);
  return rows;
}
