import { byteSource, type HubOptions } from "@gpugrad/bert";
import { openDataFolder } from "#platform";
import { DataError } from "../errors.ts";
import { tableDataset, type ColumnOptions, type Dataset } from "./dataset.ts";
import { openSplit, splitName, splitsOf, type DataFolder } from "./folder.ts";

/** What {@link loadDataset} takes: a configuration's `name`, columns, and where the Hub is. */
export type LoadOptions = ColumnOptions & HubOptions & { name?: string };

/** Files by name, as a page gets them from `<input type="file">`, as a folder that {@link loadDataset} takes. */
export function dataFolder(
  files: Record<string, Blob | ArrayBuffer | Uint8Array | string>,
  name = "files",
): DataFolder {
  return {
    name,
    files: Object.keys(files),
    open: (file) => {
      const content = files[file];
      if (content === undefined) throw new DataError(`${name}: no file ${file}.`);
      return Promise.resolve(byteSource(content, file));
    },
  };
}

/**
 * Loads one split of a dataset: a dataset of the Hub (`stanfordnlp/imdb`), a folder or a file. A folder may have one file per
 * split (`train.csv`, `test.jsonl`, …), the Hub's layout with shards (`data/train-00000-of-00002.parquet`), or a text file per
 * row in a folder per label (`train/pos/0_9.txt`). Files may be parquet, JSONL, JSON, CSV or TSV.
 *
 * Columns are found by their usual names (text, sentence, review … · label, sentiment …) unless the options name them.
 * Labels that are text become ids in sorted order; give the training split's `labels.names` as `labelNames` to
 * the others, or load them together with {@link loadDatasetDict}.
 *
 * @throws {@link DataError} naming the splits or columns that there are, or file and line of a malformed row.
 * @see https://huggingface.co/docs/datasets/loading
 */
export async function loadDataset(
  idOrPath: string | DataFolder,
  options: LoadOptions & { split: string },
): Promise<Dataset> {
  const folder = typeof idOrPath === "string" ? await openDataFolder(idOrPath, options) : idOrPath;
  return loadSplit(folder, options.split, options);
}

/**
 * Loads several splits (default: all) that share the names of their classes: those of `train`, where labels are text.
 *
 * @throws {@link DataError} as {@link loadDataset} does.
 */
export async function loadDatasetDict(
  idOrPath: string | DataFolder,
  options: LoadOptions & { splits?: readonly string[] } = {},
): Promise<Record<string, Dataset>> {
  const folder = typeof idOrPath === "string" ? await openDataFolder(idOrPath, options) : idOrPath;
  const wanted = options.splits?.map(splitName) ?? [...(await splitsOf(folder, options.name)).files.keys()];
  const loaded: Record<string, Dataset> = {};
  let labelNames = options.labelNames;
  for (const split of [...wanted].sort((a, b) => Number(b === "train") - Number(a === "train"))) {
    loaded[split] = await loadSplit(folder, split, { ...options, ...(labelNames ? { labelNames } : {}) });
    labelNames ??= loaded[split].labels.names;
  }
  return loaded;
}

const loadSplit = async (folder: DataFolder, split: string, options: LoadOptions): Promise<Dataset> =>
  tableDataset(await openSplit(folder, split, options.name), options);
