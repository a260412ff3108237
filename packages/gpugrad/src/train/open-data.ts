import { statSync } from "node:fs";
import {
  DataError,
  kFolds,
  loadDataset,
  loadDatasetDict,
  shuffledIndices,
  stratifiedFolds,
  type Dataset,
} from "@gpugrad/train";
import { cleaned, loadOptionsOf, picked, type DataOptions } from "./data-options.ts";
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
  const { trainIndices, evalIndices, maxTrainSamples, maxEvalSamples, folds, fold = 1 } = options;
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

  if (folds !== undefined) {
    const rows = prepare(train, maxTrainSamples);
    const places = await foldsOf(rows, folds, seed);
    const [own, held] = [false, true].map((isHeld) => rows.select([...places.keys()].filter((row) => (places[row] === fold - 1) === isHeld))); // prettier-ignore
    const tested = test ?? validation;
    return {
      ...{ train: own!, validation: prepare(held!, maxEvalSamples) },
      ...(tested && { test: prepare(notEmpty(tested), maxEvalSamples) }),
    };
  }
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

/** The fold of each row; where rows have one class each, all folds have their share of it. */
async function foldsOf(rows: Dataset, folds: number, seed: number): Promise<Int32Array> {
  const { numLabels, multiLabel = false } = rows.labels;
  if (numLabels < 2 || multiLabel) return kFolds(rows.length, folds, { seed });
  const labels: number[] = [];
  for (let i = 0; i < rows.length; i++) labels.push((await rows.label(i)) ?? -1);
  // Rows whose label is a list, such as a word's tags, have no class of their own.
  return labels.every((label) => label < 0) ? kFolds(rows.length, folds, { seed }) : stratifiedFolds(labels, folds, { seed }); // prettier-ignore
}

function notEmpty(rows: Dataset): Dataset {
  if (rows.length === 0) throw new DataError(`${rows.name}: no rows to train or test on.`);
  return rows;
}

/** The rows that `--dataset` and `--split` name: a split of a dataset (which one, unless it is said), or a file. */
export async function openSplit(
  options: DataOptions & { dataset: string; split?: string },
  otherwise: "train" | "test",
  labelNames?: string[],
): Promise<Dataset> {
  const { dataset, split } = options;
  const columns = { ...loadOptionsOf(options), ...(labelNames && { labelNames }) };
  const isFile = split === undefined && statSync(dataset, { throwIfNoEntry: false })?.isFile();
  return isFile
    ? Object.values(await loadDatasetDict(dataset, columns))[0]!
    : loadDataset(dataset, { ...columns, split: split ?? otherwise });
}
