import {
  AutoConfig,
  AutoModel,
  AutoModelForMaskedLM,
  AutoModelForMultipleChoice,
  AutoModelForPreTraining,
  AutoModelForQuestionAnswering,
  AutoModelForTokenClassification,
  folderOf,
  openFolder,
  readJson,
  readSentenceSettings,
  readText,
  sizesOf,
  type Folder,
  type HeadName,
  type PretrainedConfig,
  type Tokenizer,
} from "@gpugrad/bert";
import {
  choiceDataset,
  type Dataset,
  documentDataset,
  holdsAnchors,
  holdsChoices,
  holdsDocuments,
  holdsQuestions,
  holdsTags,
  maskedLM,
  type MaskedLMOptions,
  multipleChoice,
  packTexts,
  pairKindOf,
  pairSentences,
  preTraining,
  questionAnswering,
  questionDataset,
  questionWindows,
  sentenceColumns,
  sentenceDataset,
  sentenceEmbeddings,
  tableDataset,
  taggedDataset,
  tokenClassification,
  type Found,
  type SentenceLossName,
  type Table,
  type Task,
  type TextFiles,
  type TrainableModel,
} from "@gpugrad/train";
import type { DataOptions } from "./data-options.ts";
import { TASK_TYPES } from "./lora.ts";

/** What the options of a command line say of tasks. */
export interface TaskOptions extends DataOptions {
  labelAllTokens?: boolean;
  docStride?: number;
  version2WithNegative?: boolean;
  nBestSize?: number;
  maxAnswerLength?: number;
  nullScoreDiffThreshold?: number;
  mlmProbability?: number;
  wholeWordMask?: boolean;
  lineByLine?: boolean;
  shortSeqProbability?: number;
  loss?: SentenceLossName;
}

/** What a run says of its rows. */
interface Setting {
  options: TaskOptions;
  seed: number;
  /** Tokens of a row at most. */
  maxLength: number;
  /** The rows to train on, where there are some. */
  train?: Dataset;
}

/** Opens models with one kind of head. */
export interface Opener {
  fromConfig(config: PretrainedConfig): TrainableModel;
  fromPretrained(id: string | Folder, options?: object): Promise<TrainableModel>;
}

/** A task beside the classification of texts: what its data looks like, and how its models are opened. */
export interface TaskKind {
  name: string;
  /** Undefined for the model without a head. */
  head?: HeadName;
  /** The end of its models' names. */
  suffix: string;
  Auto: Opener;
  /** Weights of its models that may be missing: nothing depends on them. */
  unused?: RegExp;
  /** What a `.txt` file holds. */
  textFiles: TextFiles;
  /** Whether a table is for it. */
  fits: (table: Table) => boolean;
  /** @param names of the classes: those to train on, or the model's */
  read: (table: Table, options: TaskOptions, names: readonly string[] | undefined) => Promise<Dataset>;
  /** What is trained on in place of the rows that were read, such as windows. */
  prepare?: (rows: Dataset, tokenizer: Tokenizer, setting: Setting, model: TrainableModel) => Promise<Dataset>;
  /** Tokens of a row at most, unless something else is asked for. */
  maxLength?: number;
  /** @param rows to train or to evaluate on, as they were read */
  task: (model: TrainableModel, tokenizer: Tokenizer, setting: Setting, rows: Dataset) => Promise<Task<Found>>;
}

/** Whether a question of these has no answer. */
async function hasUnanswered(rows: Dataset): Promise<boolean> {
  for await (const row of rows) if ((row["answers"] as unknown[] | undefined)?.length === 0) return true;
  return false;
}

/** How words are hidden. */
const maskingOf = ({ options: { mlmProbability, wholeWordMask = false }, seed }: Setting): MaskedLMOptions => ({
  ...(mlmProbability !== undefined && { probability: mlmProbability }),
  ...{ wholeWords: wholeWordMask, seed },
});

const asTask = <F extends Found, P>(task: Task<F, P>): Task<Found> => task;

export const KINDS: readonly TaskKind[] = [
  {
    ...{ name: "token-classification", head: "tokenClassification", suffix: "ForTokenClassification" },
    ...{ Auto: AutoModelForTokenClassification, textFiles: "conll", fits: holdsTags },
    read: (table, { textColumn, labelColumn, onBadRow }, labelNames) =>
      taggedDataset(table, { textColumn, labelColumn, onBadRow, labelNames }),
    task: (model, _tokenizer, { options: { labelAllTokens = false } }) =>
      Promise.resolve(asTask(tokenClassification(model.config, { labelAllTokens }))),
  },
  {
    ...{ name: "question-answering", head: "questionAnswering", suffix: "ForQuestionAnswering" },
    ...{ Auto: AutoModelForQuestionAnswering, textFiles: "lines", fits: holdsQuestions, maxLength: 384 },
    read: (table, { onBadRow }) => questionDataset(table, { onBadRow }),
    prepare: (rows, tokenizer, { options: { docStride = 128 }, maxLength }) =>
      questionWindows(rows, tokenizer, { maxLength, stride: Math.min(docStride, Math.floor(maxLength / 3)) }),
    async task(_model, _tokenizer, { options }, rows) {
      const { nBestSize, maxAnswerLength, nullScoreDiffThreshold, version2WithNegative } = options;
      const version2 = version2WithNegative ?? (await hasUnanswered(rows));
      const given = {
        ...(nBestSize !== undefined && { nBestSize }),
        ...(maxAnswerLength !== undefined && { maxAnswerLength }),
        ...(nullScoreDiffThreshold !== undefined && { nullScoreDiffThreshold }),
      };
      return asTask(questionAnswering({ ...given, version2 }));
    },
  },
  {
    ...{ name: "multiple-choice", head: "multipleChoice", suffix: "ForMultipleChoice" },
    ...{ Auto: AutoModelForMultipleChoice, textFiles: "lines", fits: holdsChoices },
    read: (table, { textColumn, onBadRow }) => choiceDataset(table, { textColumn, onBadRow }),
    task: () => Promise.resolve(asTask(multipleChoice)),
  },
  {
    ...{ name: "masked-lm", head: "maskedLM", suffix: "ForMaskedLM" },
    ...{ Auto: AutoModelForMaskedLM, textFiles: "lines" },
    fits: ({ name, columns }) => /\.txt(\.gz)?$/i.test(name) && columns.join() === "text",
    read: (table, { textColumn, onBadRow }) =>
      tableDataset(table, { labelColumn: null, ...(textColumn && { textColumn }), ...(onBadRow && { onBadRow }) }),
    prepare: (rows, tokenizer, { options: { lineByLine = false, wholeWordMask = false }, maxLength }) =>
      lineByLine ? Promise.resolve(rows) : packTexts(rows, tokenizer, { maxLength, wholeWords: wholeWordMask }),
    task: (_model, tokenizer, setting) => Promise.resolve(asTask(maskedLM(tokenizer, maskingOf(setting)))),
  },
  {
    ...{ name: "pretraining", head: "preTraining", suffix: "ForPreTraining" },
    ...{ Auto: AutoModelForPreTraining, textFiles: "documents", fits: holdsDocuments },
    read: (table, { textColumn, onBadRow }) => documentDataset(table, { textColumn, onBadRow }),
    prepare: (rows, tokenizer, { options: { shortSeqProbability, wholeWordMask = false }, seed, maxLength }, model) =>
      pairSentences(rows, tokenizer, {
        ...{ kind: pairKindOf(model), maxLength, seed, wholeWords: wholeWordMask },
        ...(shortSeqProbability !== undefined && { shortSequenceProbability: shortSeqProbability }),
      }),
    task: (model, tokenizer, setting) =>
      Promise.resolve(asTask(preTraining(tokenizer, { ...maskingOf(setting), pairs: pairKindOf(model) }))),
  },
  {
    ...{ name: "sentence-embeddings", suffix: "Model", unused: /^pooler\./ },
    ...{ Auto: AutoModel, textFiles: "lines", fits: holdsAnchors },
    read: (table, { labelColumn, onBadRow }) => sentenceDataset(table, { labelColumn, onBadRow }),
    async task(model, tokenizer, { options: { loss }, maxLength, train }, rows) {
      const hiddenSize = sizesOf(model.config).hidden_size!;
      const folder = model.nameOrPath === undefined ? folderOf({}, "no folder") : await openFolder(model.nameOrPath);
      const own = await readSentenceSettings(folder, hiddenSize);
      const settings = { ...own, maxLength: Math.min(maxLength, own.maxLength ?? Infinity) };
      return asTask(
        sentenceEmbeddings(tokenizer, { columns: await sentenceColumns(train ?? rows), settings, hiddenSize, loss }),
      );
    },
  },
];

/** The names of all tasks; those of texts with labels first. */
export const TASK_NAMES = ["text-classification", "regression", "multi-label", ...KINDS.map(({ name }) => name)];

/** The class that a model was saved as; of an adapter without a config.json, which PEFT doesn't write, one for its task. */
export async function architectureOf(folder: Folder): Promise<string | undefined> {
  const adapter =
    (await readText(folder, "config.json")) === undefined && (await readJson(folder, "adapter_config.json"));
  const task = adapter && TASK_TYPES.find(([, type]) => type === adapter["task_type"]);
  return task ? task[0] : (await AutoConfig.fromPretrained(folder)).architectures?.[0];
}

/** The kind of task that a model is for: by its head, or the files of sentence embeddings; undefined for one that classifies texts, or says nothing. */
export async function kindOfModel(folder: Folder): Promise<TaskKind | undefined> {
  const architecture = await architectureOf(folder);
  const kind = KINDS.find(({ suffix }) => architecture?.endsWith(suffix));
  return kind?.head !== undefined || (await readText(folder, "modules.json")) !== undefined ? kind : undefined;
}
