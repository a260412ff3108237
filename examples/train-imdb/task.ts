import {
  AutoModelForSequenceClassification,
  AutoTokenizer,
  openFile,
  SafetensorsFile,
  type BertForSequenceClassification,
  type Tokenizer,
} from "@gpugrad/bert";
import { statSync } from "node:fs";
import { cleanHtml, loadDatasetDict, shuffledIndices, type Dataset, type TrainingArguments } from "@gpugrad/train";
import type { Options } from "./options.ts";

/** What is trained. Where it comes from is the only difference between the real run and the sample. */
export interface Task {
  title: string;
  model: BertForSequenceClassification;
  tokenizer: Tokenizer;
  train: Dataset;
  test: Dataset;
  /** How to train, unless the user says otherwise. */
  recipe: Partial<TrainingArguments>;
  /** Texts to predict at the end. */
  texts: string[];
  /** What another method reaches on the same data, as a line to print. */
  baseline?: () => string;
}

/**
 * The recipe: AdamW with PyTorch's own weight decay on every parameter, cosine without warm-up, clipping at 1.
 * https://huggingface.co/docs/transformers/training is where most people meet it.
 */
const recipe: Partial<TrainingArguments> = {
  maxLength: 256,
  padding: "max_length",
  perDeviceTrainBatchSize: 16,
  perDeviceEvalBatchSize: 32,
  numTrainEpochs: 3,
  learningRate: 5e-5,
  lrSchedulerType: "cosine",
  weightDecay: 0.01,
  noDecayGroups: false,
  maxGradNorm: 1,
};

/** The real thing: model and dataset from the hub, or from folders in the same layout. */
export async function hubTask(options: Options, seed: number, note: (line: string) => void): Promise<Task> {
  const { model: id, dataset, dropout } = options;
  const { train, test } = await trainAndTest(options, seed);
  const tokenizer = await AutoTokenizer.fromPretrained(id);
  const model = await AutoModelForSequenceClassification.fromPretrained(id, {
    dtype: "f32",
    config: {
      num_labels: train.labels.numLabels,
      ...(train.id2label && { id2label: train.id2label }),
      ...(dropout !== undefined && {
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        classifier_dropout: dropout,
      }),
    },
    onReport: note,
  });
  const prepare = (rows: Dataset, limit: number | undefined): Dataset => {
    // IMDB lies sorted by label: a limit picks rows at random, and not the first, which are all negative.
    const picked =
      limit !== undefined && limit < rows.length
        ? rows.select(shuffledIndices(rows.length, seed, 0).slice(0, limit))
        : rows;
    return options.cleanHtml ? picked.map((row) => ({ ...row, text: cleanHtml(row.text) })) : picked;
  };
  return {
    title: `${id} on ${dataset}`,
    model,
    tokenizer,
    train: prepare(train, options.maxTrainSamples),
    test: prepare(test, options.maxEvalSamples),
    recipe,
    texts: [
      "A quiet, beautifully acted film that stays with you for days.",
      "Two hours of my life that I would like to have back.",
      "Not the disaster that the critics promised, but hardly worth the ticket.",
    ],
  };
}

/**
 * The rows to train and to test on. A file is one table: its rows are both, where the options name them by number; else a
 * tenth, picked by the seed, is held out.
 */
async function trainAndTest(options: Options, seed: number): Promise<{ train: Dataset; test: Dataset }> {
  const { dataset, datasetConfigName: name, textColumn, labelColumn, trainIndices, evalIndices } = options;
  const columns = { ...(name && { name }), ...(textColumn && { textColumn }), ...(labelColumn && { labelColumn }) };
  if (!statSync(dataset, { throwIfNoEntry: false })?.isFile()) {
    const { train, test } = await loadDatasetDict(dataset, { ...columns, splits: ["train", "test"] });
    return { train: notEmpty(train!, `${dataset}: split train`), test: notEmpty(test!, `${dataset}: split test`) };
  }
  const [table] = Object.values(await loadDatasetDict(dataset, columns));
  const all = notEmpty(table!, dataset);
  if (trainIndices && evalIndices) return { train: all, test: all };
  if (trainIndices || evalIndices) {
    throw new Error(`${dataset}: one file for both: give --train_indices and --eval_indices, or neither.`);
  }
  const order = shuffledIndices(all.length, seed, 0);
  const held = Math.ceil(all.length / 10);
  return { train: notEmpty(all.select(order.slice(held)), dataset), test: all.select(order.slice(0, held)) };
}

function notEmpty(rows: Dataset, what: string): Dataset {
  if (rows.length === 0) throw new Error(`${what} has no rows to train or test on.`);
  return rows;
}

/** Replaces the fresh classifier by the one in `file`, so that two programs can start at the same point. */
export async function startFrom(model: BertForSequenceClassification, file: string): Promise<void> {
  const weights = await SafetensorsFile.open(await openFile(file));
  try {
    for (const name of ["weight", "bias"] as const) {
      const parameter = model.classifier[name];
      const { bytes, dtype, shape } = await weights.read(`classifier.${name}`);
      if (dtype !== "F32" || shape.join() !== parameter.shape.join()) {
        throw new Error(
          `${file}: classifier.${name} is ${dtype} [${shape.join()}], the model's is F32 [${parameter.shape.join()}].`,
        );
      }
      parameter.writeBytes(bytes);
    }
  } finally {
    await weights.close();
  }
}
