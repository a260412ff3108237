import { byteSource, openFile, type HubOptions } from "@gpugrad/bert";
import { openDataFolder } from "#files";
import { DataError } from "../errors.ts";
import type { ColumnOptions } from "./columns.ts";
import type { Dataset } from "./dataset.ts";
import { openSplit, splitName, splitsOf, type DataFolder } from "./readers/folder.ts";
import { openTable } from "./readers/open-table.ts";
import { shownList } from "./shown.ts";
import { tableDataset } from "./table-dataset.ts";
import { concatTables, type Table } from "./readers/table.ts";

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
      const content = Object.hasOwn(files, file) ? files[file] : undefined;
      if (content === undefined) throw new DataError(`${name}: no file ${file}.`);
      return Promise.resolve(byteSource(content, file));
    },
  };
}

/** Files by split: `{ train: "a.csv", test: ["b.jsonl", "c.jsonl"] }`. Flags: `--train_file`, `--validation_file`, `--test_file`. */
export type DataFiles = Readonly<Record<string, string | readonly string[]>>;

/**
 * Loads one split of a dataset: a dataset of the Hub (`stanfordnlp/imdb`), a folder, a file, or files by split. A folder may
 * have one file per split (`train.csv`, `test.jsonl`, …), the Hub's layout with shards (`data/train-00000-of-00002.parquet`), or a
 * text file per row in a folder per label (`train/pos/0_9.txt`, or `pos/0_9.txt` for `train` alone). Files may be parquet, JSONL, JSON, CSV or TSV.
 *
 * Columns are found by their usual names (text, sentence, review … · label, sentiment …) unless the options name them.
 * Labels that are text become ids in sorted order; give the training split's `labels.names` as `labelNames` to
 * the others, or load them together with {@link loadDatasetDict}.
 *
 * @throws {@link DataError} naming the splits or columns that there are, or file and line of a bad row.
 * @see https://huggingface.co/docs/datasets/loading
 */
export async function loadDataset(
  idOrPath: string | DataFolder | DataFiles,
  options: LoadOptions & { split: string },
): Promise<Dataset> {
  const { open } = await openTables(idOrPath, options);
  return tableDataset(await open(options.split), options);
}

/**
 * Loads several splits (default: all) that share the names of their classes: those of `train`, where labels are text.
 *
 * @throws {@link DataError} as {@link loadDataset} does.
 */
export async function loadDatasetDict(
  idOrPath: string | DataFolder | DataFiles,
  options: LoadOptions & { splits?: readonly string[] } = {},
): Promise<Record<string, Dataset>> {
  const { list, open } = await openTables(idOrPath, options);
  const wanted = options.splits?.map(splitName) ?? (await list());
  const loaded = new Map<string, Dataset>();
  let labels: LoadOptions = {};
  for (const split of [...wanted].sort((a, b) => Number(b === "train") - Number(a === "train"))) {
    const dataset = await tableDataset(await open(split), { ...labels, ...options });
    if (split === "train" || loaded.size === 0) labels = labelsAs(dataset, split === "train");
    loaded.set(split, dataset);
  }
  return Object.fromEntries(loaded);
}

/** Options that read labels as those of a dataset that is loaded: the same classes; where it is the one to train on, no others. */
export const labelsAs = ({ labels }: Dataset, isTrain = true): Pick<LoadOptions, "labelNames" | "numLabels"> => ({
  ...(labels.names && { labelNames: labels.names }),
  ...(isTrain && labels.numLabels > 0 && { numLabels: labels.numLabels }),
});

/**
 * The splits that {@link loadDatasetDict} would load.
 * @see https://huggingface.co/docs/datasets/load_hub#splits
 */
export async function getDatasetSplitNames(
  idOrPath: string | DataFolder | DataFiles,
  options: LoadOptions = {},
): Promise<string[]> {
  return (await openTables(idOrPath, options)).list();
}

/** The splits of a dataset: their names, and each as a table. */
export type Tables = { list: () => Promise<string[]>; open: (split: string) => Promise<Table> };

/** The tables of a dataset by split, as files have them. */
export async function openTables(from: string | DataFolder | DataFiles, options: LoadOptions): Promise<Tables> {
  if (typeof from !== "string" && typeof from["open"] !== "function") {
    const files = Object.entries(from as DataFiles).map(
      ([split, paths]) => [splitName(split), [paths].flat()] as const,
    );
    const splits = new Map(files);
    if (splits.size < files.length) {
      throw new DataError(
        `two lists of files for one split: [${Object.keys(from).join(", ")}]. dev is validation; give each split once.`,
      );
    }
    return {
      list: () => Promise.resolve([...splits.keys()]),
      async open(split) {
        const paths = splits.get(splitName(split));
        if (!paths)
          throw new DataError(`no files for split ${split}: there are files for [${shownList([...splits.keys()])}].`);
        return concatTables(
          paths.join(", "),
          await Promise.all(paths.map((path) => openTable(path, () => openFile(path), options))),
        );
      },
    };
  }
  const folder = typeof from === "string" ? await openDataFolder(from, options) : (from as DataFolder);
  return {
    list: async () => [...(await splitsOf(folder, options.name)).files.keys()],
    open: (split) => openSplit(folder, split, options),
  };
}
