import type { ByteSource } from "@gpugrad/bert";
import { DataError } from "../../errors.ts";
import { fileFinder, MAX_FRONT_MATTER, parseCard, type DatasetCard } from "./card.ts";
import { named } from "../named.ts";
import { openTable } from "./open-table.ts";
import { shownList } from "../shown.ts";
import {
  concatTables,
  readSource,
  TABLE_EXTENSIONS,
  tableFormat,
  withSource,
  type ReadLimits,
  type Table,
} from "./table.ts";

/** The files of a dataset: a local folder, a repository of the Hub, or files that a page was given. */
export interface DataFolder {
  readonly name: string;
  /** Paths within the folder, with `/` between the parts. */
  readonly files: readonly string[];
  open(file: string): Promise<ByteSource>;
}

/** What people call a split in file and folder names, by the name that Hugging Face gives it. */
const SPLITS: Record<string, readonly string[]> = {
  train: ["train", "training"],
  validation: ["validation", "valid", "val", "dev"],
  test: ["test", "testing", "eval", "evaluation"],
  unsupervised: ["unsupervised", "unsup"],
};

/** Hugging Face's name for a split: `dev` → `validation`. */
export const splitName = (name: string): string =>
  Object.entries(SPLITS).find(([, aliases]) => aliases.includes(name.toLowerCase()))?.[0] ?? name;

type Part = { split: string; config: string; file: string };

/**
 * Which split and which configuration a file belongs to. A split is recognized by the file's name (`train.csv`,
 * `data/train-00000-of-00002.parquet`) or a folder's (`train/part1.jsonl`, `train/pos/0_9.txt`); the folders before it
 * are the configuration (`plain_text/train-….parquet`), where `data` means none.
 */
function partOf(file: string): Part | undefined {
  if (!tableFormat(file) && !file.endsWith(".txt")) return undefined;
  const parts = file.split("/");
  const known = (name: string) => Object.values(SPLITS).some((aliases) => aliases.includes(name.toLowerCase()));
  const names = parts.map((part, i) => (i < parts.length - 1 ? part : /^[a-z]+(?=[-_.\d])/i.exec(part)?.[0]) ?? "");
  const at = names.findIndex(known);
  const isLabelled = at + 3 <= parts.length; // train/pos/0_9.txt: a text's label is the folder that it lies in
  if (at < 0 || (file.endsWith(".txt") && !isLabelled)) return undefined;
  const config = parts.slice(0, at).join("/");
  return { split: splitName(names[at]!), config: config === "data" ? "" : config, file };
}

/** The card of a dataset; empty where there is none. */
async function cardOf(folder: DataFolder): Promise<DatasetCard> {
  if (!folder.files.includes("README.md")) return parseCard("");
  const name = `${folder.name}/README.md`;
  const open = (): Promise<ByteSource> => folder.open("README.md");
  const beginning = await named(name, () =>
    withSource(open, (source) => source.read(0, Math.min(source.size, 4 * MAX_FRONT_MATTER))),
  );
  return parseCard(new TextDecoder().decode(beginning), name);
}

type Splits = { config: string; files: Map<string, string[]>; card: DatasetCard };

/**
 * The splits of a folder with their files: as its card says, or else by the names of files and folders. `name` picks one
 * of several configurations.
 *
 * @throws {@link DataError} listing the configurations, when `name` is none of them or has to be given.
 */
export async function splitsOf(folder: DataFolder, name?: string): Promise<Splits> {
  const card = await cardOf(folder);
  const found = new Map<string, Map<string, string[]>>();
  const filesOf = fileFinder(folder.files, folder.name);
  for (const [config, splits] of card.dataFiles) {
    const matching = [...splits].map(([split, patterns]): [string, string[]] => [splitName(split), filesOf(patterns)]);
    const merged = new Map<string, string[]>(); // train and training are one split
    for (const [split, files] of matching) {
      if (files.length > 0) merged.set(split, [...new Set([...(merged.get(split) ?? []), ...files])]);
    }
    found.set(config, merged);
  }
  if (found.size === 0) {
    for (const part of folder.files.map(partOf)) {
      if (!part) continue;
      const splits = found.get(part.config) ?? new Map<string, string[]>();
      const files = splits.get(part.split) ?? [];
      files.push(part.file);
      found.set(part.config, splits.set(part.split, files));
    }
  }
  const tables = folder.files.filter(tableFormat);
  if (found.size === 0 && tables.length === 1) found.set("", new Map([["train", tables]])); // reviews.csv
  const texts = folder.files.filter((file) => /\/[^/]+\.txt$/.test(file));
  if (found.size === 0 && tables.length === 0 && texts.length > 0) found.set("", new Map([["train", texts]])); // pos/0_9.txt
  const configs = [...found.keys()].sort();
  const config =
    name ?? (configs.length < 2 ? (configs[0] ?? "") : (card.defaultConfig ?? (found.has("") ? "" : undefined)));
  if (config === undefined || (configs.length > 0 && !found.has(config))) {
    throw new DataError(
      `${folder.name}: ${name === undefined ? "several configurations" : `no configuration ${name}`}: ` +
        `[${shownList(configs)}]. Choose one with --dataset_config_name (name).`,
    );
  }
  const order = (split: string) => Object.keys(SPLITS).indexOf(split) + 1 || 99;
  const files = new Map([...(found.get(config) ?? [])].sort(([a], [b]) => order(a) - order(b)));
  return { config, files, card };
}

/** The files of one split as one table. @throws {@link DataError} listing the splits there are, or the shards that are missing. */
export async function openSplit(
  folder: DataFolder,
  split: string,
  { name, ...limits }: ReadLimits & { name?: string } = {},
): Promise<Table> {
  const { config, files: splits, card } = await splitsOf(folder, name);
  const files = splits.get(splitName(split));
  if (!files) {
    const found = [...splits.keys()];
    throw new DataError(
      `${folder.name}: no split ${split}: ${found.length > 0 ? `it has [${shownList(found)}]` : `files [${shownList(folder.files)}]`}. ` +
        "A split is a file such as train.csv, test.jsonl or data/train-00000-of-00001.parquet, or folders such as train/pos/*.txt.",
    );
  }
  const label = `${folder.name} (${split})`;
  const texts = files.filter((file) => file.endsWith(".txt"));
  if (texts.length > 0) return textFolderTable(label, folder, texts);
  const formats = TABLE_EXTENSIONS.filter((format) => files.some((file) => tableFormat(file) === format));
  const chosen = files.filter((file) => tableFormat(file) === formats[0]).sort(); // the same rows may come in two formats
  checkShards(label, chosen);
  const table = concatTables(
    label,
    await Promise.all(chosen.map((file) => openTable(`${folder.name}/${file}`, () => folder.open(file), limits))),
  );
  const classNames =
    card.classNames.get(config) ?? (card.classNames.size === 1 ? [...card.classNames.values()][0]! : []);
  return { ...table, classNames: new Map([...classNames, ...table.classNames]) };
}

function checkShards(name: string, files: readonly string[]): void {
  const total = files.map((file) => /-of-(\d+)/.exec(file)?.[1]).find((count) => count !== undefined);
  if (total !== undefined && Number(total) !== files.length) {
    throw new DataError(`${name}: ${files.length} of ${Number(total)} shards are there: [${shownList(files)}].`);
  }
}

/**
 * One text file per row, in a folder per label, as in aclImdb: `train/pos/0_9.txt`. Labels are sorted by name, files by the
 * number that they begin with; a folder `unsup`, whose rows have no labels, is left out.
 */
function textFolderTable(name: string, folder: DataFolder, files: readonly string[]): Table {
  const id = (file: string) => Number(/\d+/.exec(file.slice(file.lastIndexOf("/")))?.[0] ?? NaN);
  const byLabel = new Map<string, string[]>();
  for (const file of files) {
    const label = file.split("/").at(-2)!;
    if (splitName(label) === "unsupervised") continue;
    const own = byLabel.get(label);
    if (own) own.push(file);
    else byLabel.set(label, [file]);
  }
  const labels = [...byLabel.keys()].sort();
  const rows = labels.flatMap((label, k) => {
    const own = byLabel.get(label)!.sort((a, b) => id(a) - id(b) || (a < b ? -1 : 1));
    return own.map((file) => ({ file, label: k }));
  });
  const where = (i: number) => `${folder.name}/${rows[i]!.file}`;
  return {
    name,
    length: rows.length,
    columns: ["text", "label"],
    classNames: new Map([["label", labels]]),
    read: (start, end, columns) =>
      Promise.all(
        rows.slice(start, end).map(async ({ file, label }, k) => {
          if (!columns.includes("text")) return { label };
          return { text: await readSource(() => folder.open(file), where(start + k)), label };
        }),
      ),
    blockOf: (i) => [i, i + 1],
    where,
    hasText: () => true,
  };
}
