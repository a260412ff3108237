import type { Dataset, LoadOptions } from "@gpugrad/train";
import { cleanHtml, shuffledIndices } from "@gpugrad/train";
import { Option, type Command } from "commander";
import { wholeNumber } from "../text/texts.ts";

/** How the rows of a dataset are read: the same for every command that reads labelled ones. */
export interface DataOptions {
  datasetConfigName?: string;
  textColumn?: string;
  textPairColumn?: string;
  labelColumn?: string;
  onBadRow?: "throw" | "skip";
  cleanHtml?: boolean;
  maxUnpackedBytes?: number;
}

/** Adds the options of {@link DataOptions}. */
export function addDataOptions(command: Command): Command {
  return command
    .option("--dataset-config-name <name>", "which configuration of the dataset, where it has several")
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--text-pair-column <name>", "the column that holds the second texts (default: likewise)")
    .option("--label-column <name>", "the column that holds the labels (default: likewise)")
    .addOption(
      new Option("--on-bad-row <what>", "end, or leave the row out and count it (default: throw)").choices([
        "throw",
        "skip",
      ]),
    )
    .option("--clean-html", "replace <br /> and other tags by a space")
    .option("--max-unpacked-bytes <n>", "refuse a .gz file that unpacks to more (default: 1 GiB)", wholeNumber(1));
}

/** The same in the words of `loadDataset`. */
export function loadOptionsOf(options: DataOptions): LoadOptions {
  const { datasetConfigName, textColumn, textPairColumn, labelColumn, onBadRow, maxUnpackedBytes } = options;
  return {
    ...(datasetConfigName && { name: datasetConfigName }),
    ...(textColumn && { textColumn }),
    ...(textPairColumn && { textPairColumn }),
    ...(labelColumn && { labelColumn }),
    ...(onBadRow && { onBadRow }),
    ...(maxUnpackedBytes && { maxUnpackedBytes }),
  };
}

/** At most `limit` rows, picked by the seed: files lie sorted by label, as IMDB's do, so that the first are all of one class. */
export const picked = (rows: Dataset, limit: number | undefined, seed: number): Dataset =>
  limit !== undefined && limit < rows.length
    ? rows.select(shuffledIndices(rows.length, seed, 0).slice(0, limit))
    : rows;

/** Rows as `--clean_html` asks for them. */
export function cleaned(rows: Dataset, options: DataOptions): Dataset {
  if (!options.cleanHtml) return rows;
  return rows.map(
    ({ text, text_pair, ...row }) => ({
      ...row,
      text: cleanHtml(text),
      ...(text_pair !== undefined && { text_pair: cleanHtml(text_pair) }),
    }),
    "clean_html",
  );
}

/** What was left out, for people; undefined where nothing was. */
export function badRowsNote({ badRows: { count, first } }: Dataset): string | undefined {
  return count === 0 ? undefined : [`${count} bad rows were left out:`, ...first].join("\n  ");
}

/** The files that the options name, by split. */
export const splitFiles = ({
  trainFile,
  validationFile,
  testFile,
}: Partial<Record<"trainFile" | "validationFile" | "testFile", string | undefined>>): Record<string, string> => ({
  ...(trainFile && { train: trainFile }),
  ...(validationFile && { validation: validationFile }),
  ...(testFile && { test: testFile }),
});
