import { DataError } from "../errors.ts";
import type { Table } from "./table.ts";

/** Which columns hold what. Flags: `--text_column`, `--text_pair_column`, `--label_column`. */
export type ColumnOptions = {
  textColumn?: string;
  textPairColumn?: string;
  /** `null`: read no labels. */
  labelColumn?: string | null;
  /** Names of classes by id, where the files don't say; labels given as text are looked up here. */
  labelNames?: readonly string[];
  /**
   * A malformed row, or one without text or label, ends loading (`throw`, default) or is left out (`skip`) and counted in
   * the dataset's `badRows`. Flag: `--on_bad_row`.
   */
  onBadRow?: "throw" | "skip";
};

/** Columns that hold two texts to be read together, as in GLUE. */
const PAIRS = [
  ["sentence1", "sentence2"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  ["question", "sentence"],
  ["text", "text_pair"],
] as const;
const TEXTS = ["text", "sentence", "review", "content", "document", "comment", "tweet"];
const LABELS = ["label", "labels", "sentiment", "stars", "rating", "score", "target", "class", "category"];

/**
 * Which columns hold what: by their usual names, unless the options name them.
 *
 * @throws {@link DataError} listing the columns there are, when none is known to hold the text.
 */
export function findColumns(
  table: Pick<Table, "name" | "columns">,
  options: ColumnOptions = {},
): { text: string; textPair?: string; label?: string } {
  const { name, columns } = table;
  const find = (wanted: string) => columns.find((column) => column.toLowerCase() === wanted);
  const list = `columns [${columns.join(", ")}]`;
  for (const [flag, column] of [
    ["--text_column", options.textColumn],
    ["--text_pair_column", options.textPairColumn],
    ["--label_column", options.labelColumn],
  ] as const) {
    if (column != null && !columns.includes(column)) {
      throw new DataError(`${name}: ${flag} names a column that is not there: ${column} · ${list}.`);
    }
  }
  const pair = options.textColumn ? undefined : PAIRS.find((names) => names.every((column) => find(column)));
  const text = options.textColumn ?? find(pair?.[0] ?? TEXTS.find((column) => find(column)) ?? "");
  if (!text) {
    throw new DataError(
      `${name}: no column that is known to hold the text (${TEXTS.join(", ")}): ${list}. ` +
        "Name it with --text_column (textColumn), and the labels with --label_column (labelColumn).",
    );
  }
  const textPair = options.textPairColumn ?? (pair && find(pair[1]));
  const label = options.labelColumn === undefined ? LABELS.map(find).find((column) => column) : options.labelColumn;
  return { text, ...(textPair ? { textPair } : {}), ...(label ? { label } : {}) };
}
