import { statSync } from "node:fs";
import { AutoConfig } from "@gpugrad/bert";
import { DataError, labelConfig, openTables, TRAINING_ARGUMENTS, type Dataset, type LoadOptions, type Table, type Tables, type TextFiles } from "@gpugrad/train"; // prettier-ignore
import { openTokenizer } from "../text/truncation.ts";
import { loadOptionsOf, splitFiles } from "./data-options.ts";
import { KINDS, type TaskKind } from "./kinds.ts";
import { openData } from "./open-data.ts";
import { openModel } from "./open-model.ts";
import type { TrainOptions } from "./options.ts";
import type { Task } from "./task.ts";

/** The tables that the options name, by split. */
export async function tablesOf(options: TrainOptions, textFiles: TextFiles): Promise<Tables> {
  const limits: LoadOptions = { ...loadOptionsOf(options), textFiles };
  const named = await openTables(splitFiles(options), limits);
  const { dataset } = options;
  if (dataset === undefined) return named;
  const isFile = statSync(dataset, { throwIfNoEntry: false })?.isFile() === true;
  const all = await openTables(isFile ? { train: dataset } : dataset, limits);
  const own = await named.list();
  return {
    list: async () => [...new Set([...(await all.list()), ...own])],
    open: (split) => (own.includes(split) ? named : all).open(split),
  };
}

/** The kind of task that `--task` names, or else that the data is for; undefined where it is none of these. */
export async function kindFor(options: TrainOptions, note: (line: string) => void): Promise<TaskKind | undefined> {
  if (options.task !== undefined) return KINDS.find(({ name }) => name === options.task);
  for (const textFiles of ["conll", "lines"] as const) {
    const table = await trainTable(options, textFiles);
    const kind = table && KINDS.find((each) => each.textFiles === textFiles || !isTextFile(table) ? each.fits(table) : false); // prettier-ignore
    if (!kind) continue;
    note(`task: ${kind.name}, by the data's columns [${table.columns.join(", ")}]. --task names another.`);
    return kind;
  }
  return undefined;
}

const isTextFile = ({ name }: Table): boolean => /\.txt(\.gz)?$/i.test(name);

/** The table to train on, if it can be read so: as CoNLL's, the lines of a text have to begin well. */
async function trainTable(options: TrainOptions, textFiles: TextFiles): Promise<Table | undefined> {
  try {
    const table = await (await tablesOf(options, textFiles)).open("train");
    const [first] = await table.read(0, Math.min(1, table.length), table.columns);
    return first instanceof DataError ? undefined : table;
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

/** Opens model and data of a task beside the classification of texts. */
export async function openKind(
  kind: TaskKind,
  options: TrainOptions,
  { seed, askedLength, note }: { seed: number; askedLength: number | undefined; note: (line: string) => void },
): Promise<Task> {
  const id = options.model;
  const known = await AutoConfig.fromPretrained(id);
  const tables = await tablesOf(options, kind.textFiles);
  const data = await openData(options, seed, async () => {
    const splits = await tables.list();
    const train = await kind.read(await tables.open("train"), options, undefined);
    const read = async (split: string) => [split, await kind.read(await tables.open(split), options, train.labels.names)] as const; // prettier-ignore
    const others = ["validation", "test"].filter((split) => splits.includes(split));
    return { train, ...Object.fromEntries(await Promise.all(others.map(read))) };
  });
  const tokenizer = await openTokenizer(id, options);
  const { names, numLabels } = data.train.labels;
  const classes = names || numLabels > 1 ? labelConfig(data.train, { numLabels: options.numLabels }) : {};
  const { problem_type: _, ...labels } = { problem_type: null, ...classes };
  const model = await openModel(kind.Auto, options, known, labels, note, kind.unused);
  const length = askedLength ?? kind.maxLength ?? TRAINING_ARGUMENTS.maxLength.default;
  const maxLength = Math.min(length, tokenizer.modelMaxLength, model.config.maxLength);
  const setting = { options, seed, maxLength, train: data.train };
  const prepare = async (rows: Dataset): Promise<Dataset> => kind.prepare?.(rows, tokenizer, setting, model) ?? rows;
  return {
    ...{ title: `${id} on ${options.dataset ?? options.trainFile}`, model, tokenizer, maxLength: length },
    task: await kind.task(model, tokenizer, setting, data.validation),
    train: await prepare(data.train),
    validation: await prepare(data.validation),
    ...(data.test && { test: await prepare(data.test) }),
  };
}
