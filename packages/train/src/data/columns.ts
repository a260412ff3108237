import { DataError } from "../errors.ts";
import { shownList, shownText } from "./shown.ts";
import type { ReadLimits, Table } from "./readers/table.ts";

/** Which columns hold what. Flags: `--text_column`, `--text_pair_column`, `--label_column`. */
export type ColumnOptions = ReadLimits & {
  textColumn?: string;
  textPairColumn?: string;
  /** `null`: read no labels. */
  labelColumn?: string | null;
  /** Names of classes by id, where the files don't say; labels given as text are looked up here. */
  labelNames?: readonly string[];
  /** The classes of a model that is to be trained on, by id: where the data has the same classes, they keep the model's ids. */
  modelLabels?: readonly string[];
  /** Classes where ids have no names; 1: labels are numbers (a regression), also whole ones. Default: what the labels say. */
  numLabels?: number;
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
  const list = `columns [${shownList(columns)}]`;
  /** The one column that `isWanted`; undefined where there is none. */
  const find = (isWanted: (column: string) => boolean, flag: string): string | undefined => {
    const places = columns.flatMap((column, c) => (isWanted(column) ? [c] : []));
    if (places.length > 1) {
      throw new DataError(
        `${name}: ${places.length} columns are called ${shownText(columns[places[0]!]!)}: ` +
          `${shownList(places.map((c) => `column ${c + 1}`))} of [${shownList(columns)}]. Rename all but one, or name another with ${flag}.`,
      );
    }
    return columns[places[0] ?? -1];
  };
  const named = (column: string, flag: string): string => {
    const found = find((each) => each === column, flag);
    if (found === undefined) {
      throw new DataError(`${name}: ${flag} names a column that is not there: ${shownText(column)} · ${list}.`);
    }
    return found;
  };
  const usual = (wanted: string, flag: string) => find((column) => column.toLowerCase() === wanted, flag);
  const has = (wanted: string) => columns.some((column) => column.toLowerCase() === wanted);

  const { textColumn, textPairColumn, labelColumn } = options;
  const pair = textColumn ? undefined : PAIRS.find((names) => names.every(has));
  const text = textColumn ? named(textColumn, TEXT_FLAG) : usual(pair?.[0] ?? TEXTS.find(has) ?? "", TEXT_FLAG);
  if (!text) {
    throw new DataError(
      `${name}: no column that is known to hold the text (${TEXTS.join(", ")}): ${list}. ` +
        "Name it with --text_column (textColumn), and the labels with --label_column (labelColumn).",
    );
  }
  const textPair = textPairColumn ? named(textPairColumn, PAIR_FLAG) : pair && usual(pair[1], PAIR_FLAG);
  const usualLabel = LABELS.find(has);
  const label =
    labelColumn === undefined
      ? usualLabel && usual(usualLabel, LABEL_FLAG)
      : labelColumn && named(labelColumn, LABEL_FLAG);
  return { text, ...(textPair ? { textPair } : {}), ...(label ? { label } : {}) };
}

const [TEXT_FLAG, PAIR_FLAG, LABEL_FLAG] = ["--text_column", "--text_pair_column", "--label_column"];
