import { statSync } from "node:fs";
import {
  AutoConfig,
  AutoModelForSequenceClassification,
  openFile,
  SafetensorsFile,
  type Heads,
  type PretrainedConfig,
} from "@gpugrad/bert";
import {
  getDatasetSplitNames,
  labelConfig,
  labelsAs,
  loadDatasetDict,
  shownList,
  type Dataset,
  type LoadOptions,
} from "@gpugrad/train";
import { openTokenizer } from "../text/truncation.ts";
import { loadOptionsOf, splitFiles } from "./data-options.ts";
import { openData } from "./open-data.ts";
import { openModel } from "./open-model.ts";
import type { TrainOptions } from "./options.ts";
import type { Task } from "./task.ts";

/** Opens a classifier of texts, or a regression, and its data. */
export async function openClassification(
  options: TrainOptions,
  seed: number,
  note: (line: string) => void,
): Promise<Task> {
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
  const model = await openModel(AutoModelForSequenceClassification, options, known, labels, note);
  if (options.initClassifier) await startFrom(model, options.initClassifier);
  return { title: `${options.model} on ${options.dataset ?? options.trainFile}`, model, tokenizer, ...data };
}

/** The classes of a model by id; undefined where they have no names. */
function modelClasses({ id2label }: Pick<PretrainedConfig, "id2label">): string[] | undefined {
  const names = Object.values(id2label);
  return names.every((name, id) => name === `LABEL_${id}`) ? undefined : names;
}

/** `train`, and `validation` and `test` where they are there. */
async function openSplits(options: TrainOptions, columns: LoadOptions): Promise<Record<string, Dataset>> {
  const { dataset } = options;
  const files = splitFiles(options);
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
