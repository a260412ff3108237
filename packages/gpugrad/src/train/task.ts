import { statSync } from "node:fs";
import {
  AutoConfig,
  AutoModelForSequenceClassification,
  dropoutNames,
  openFile,
  SafetensorsFile,
  type Heads,
  type PretrainedConfig,
  type Tokenizer,
} from "@gpugrad/bert";
import {
  DataError,
  getDatasetSplitNames,
  labelConfig,
  labelsAs,
  loadDatasetDict,
  shownList,
  shuffledIndices,
  TRAINING_ARGUMENTS,
  type Dataset,
  type Found,
  type LoadOptions,
  type Task as TrainerTask,
  type TrainableModel,
} from "@gpugrad/train";
import { openTokenizer } from "../text/truncation.ts";
import { cleaned, loadOptionsOf, picked } from "./data-options.ts";
import type { TaskKind } from "./kinds.ts";
import { kindFor, openKind } from "./open-kind.ts";
import type { TrainOptions } from "./options.ts";

/** What is trained, on what. */
export interface Task {
  title: string;
  model: TrainableModel;
  /** What is learned, where it isn't what the model's head says. */
  task?: TrainerTask<Found>;
  tokenizer: Tokenizer;
  train: Dataset;
  /** What evaluations are made on. */
  validation: Dataset;
  /** Used only at the end. */
  test?: Dataset;
}

/**
 * Opens model and data as the options name them: on the hub, in folders or in files. Where no task is named, and the data holds no texts with
 * labels, it is the task that its columns are for.
 */
export async function openTask(
  options: TrainOptions,
  seed: number,
  note: (line: string) => void,
  askedLength: number = TRAINING_ARGUMENTS.maxLength.default,
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

/** Opens a classifier of texts, or a regression, and its data. */
async function openClassification(options: TrainOptions, seed: number, note: (line: string) => void): Promise<Task> {
  const { dropout } = options;
  const known = await AutoConfig.fromPretrained(options.model);
  const modelLabels = options.fromScratch ? undefined : modelClasses(known);
  const data = await openData(options, seed, () =>
    openSplits(options, {
      ...loadOptionsOf(options),
      ...(modelLabels && { modelLabels }),
      ...(options.numLabels !== undefined && { numLabels: options.numLabels }),
      ...((options.doRegression || options.task === "regression") && { numLabels: 1 }),
    }),
  );
  const { names } = data.train.labels;
  const labels = labelConfig(data.train, { numLabels: options.numLabels });
  if (modelLabels && names && names.join("\n") !== modelLabels.join("\n")) {
    note(
      `classes: the data's [${shownList(names)}] are not the model's [${shownList(modelLabels)}]. The trained model has ` +
        "those of the data, in alphabetical order (id2label); its classifier starts from the weights of the others.",
    );
  }
  const { problem_type: problemType } = labels;
  if (!options.fromScratch && known.problem_type !== null && known.problem_type !== problemType) {
    note(
      `problem type: the data's is ${problemType}, the model's ${known.problem_type}. The trained model has that of the ` +
        "data (problem_type).",
    );
  }
  const tokenizer = await openTokenizer(options.model, options);
  const config = {
    ...labels,
    ...(dropout !== undefined && Object.fromEntries(dropoutNames(known).map((name) => [name, dropout]))),
  };
  const model = options.fromScratch
    ? AutoModelForSequenceClassification.fromConfig(await AutoConfig.fromPretrained(options.model, config))
    : await AutoModelForSequenceClassification.fromPretrained(options.model, {
        ...{ dtype: "f32", config, onReport: note },
        ignoreMismatchedSizes: options.ignoreMismatchedSizes === true,
      });
  if (options.initClassifier) await startFrom(model, options.initClassifier);
  return { title: `${options.model} on ${options.dataset ?? options.trainFile}`, model, tokenizer, ...data };
}

/** The classes of a model by id; undefined where they have no names. */
function modelClasses({ id2label }: Pick<PretrainedConfig, "id2label">): string[] | undefined {
  const names = Object.values(id2label);
  return names.every((name, id) => name === `LABEL_${id}`) ? undefined : names;
}

type Data = Pick<Task, "train" | "validation" | "test">;

/** The rows to train, to evaluate and to test on: limited, picked and cleaned as the options say. */
export async function openData(
  options: TrainOptions,
  seed: number,
  openAll: () => Promise<Record<string, Dataset>>,
): Promise<Data> {
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

/** `train`, and `validation` and `test` where they are there. */
async function openSplits(options: TrainOptions, columns: LoadOptions): Promise<Record<string, Dataset>> {
  const { dataset } = options;
  const files: Record<string, string> = {
    ...(options.trainFile && { train: options.trainFile }),
    ...(options.validationFile && { validation: options.validationFile }),
    ...(options.testFile && { test: options.testFile }),
  };
  if (dataset === undefined) return loadDatasetDict(files, columns);
  const isFile = statSync(dataset, { throwIfNoEntry: false })?.isFile() === true;
  const names = isFile ? [] : await getDatasetSplitNames(dataset, columns);
  const wanted = ["train", "validation", "test"].filter((split) => names.includes(split) && !(split in files));
  const splits = isFile
    ? { train: Object.values(await loadDatasetDict(dataset, columns))[0]! }
    : await loadDatasetDict(dataset, { ...columns, splits: wanted.includes("train") ? wanted : ["train"] });
  const labels = splits["train"] && labelsAs(splits["train"]);
  return { ...splits, ...(await loadDatasetDict(files, { ...columns, ...labels })) };
}

function notEmpty(rows: Dataset): Dataset {
  if (rows.length === 0) throw new DataError(`${rows.name}: no rows to train or test on.`);
  return rows;
}

/** Replaces the fresh classifier by the one in `file`, so that two programs can start at the same point. */
async function startFrom(model: Heads["sequenceClassification"], file: string): Promise<void> {
  const weights = await SafetensorsFile.open(await openFile(file));
  try {
    for (const [name, parameter] of model.namedParameters()) {
      if (!name.startsWith("classifier.")) continue;
      const { bytes, dtype, shape } = await weights.read(name);
      if (dtype !== "F32" || shape.join() !== parameter.shape.join()) {
        throw new Error(
          `${file}: ${name} is ${dtype} [${shape.join()}], the model's is F32 [${parameter.shape.join()}].`,
        );
      }
      parameter.writeBytes(bytes);
    }
  } finally {
    await weights.close();
  }
}
