import { DataError } from "../../errors.ts";
import { Dataset, type Row } from "../../data/dataset.ts";
import { columnOf, isText, listIn, readRows } from "../../data/read-rows.ts";
import type { Table } from "../../data/readers/table.ts";
import { shownList, shownValue } from "../../data/shown.ts";

/** A sentence: its words, and the id of each one's tag where it has tags. */
export type TaggedRow = Row & { words: readonly string[]; tags?: readonly number[] };

/** The usual names of columns. */
const TOKENS = ["tokens", "words"];
export const TAGS = ["ner_tags", "tags", "labels", "pos_tags", "chunk_tags"];

/** Whether a table holds words with tags. */
export const holdsTags = ({ columns }: Pick<Table, "columns">): boolean =>
  [TOKENS, TAGS].every((names) => names.some((name) => columns.includes(name)));

export interface TaggedOptions {
  /** Flag: `--text_column`. Default: `tokens` or `words`. */
  textColumn?: string | undefined;
  /** Flag: `--label_column`. Default: `ner_tags`, `tags`, `labels`, … `null`: read none. */
  labelColumn?: string | null | undefined;
  /** Names of the tags by id: of those to train on, or of the model. Default: those that occur, sorted as Transformers' example does. */
  labelNames?: readonly string[] | undefined;
  onBadRow?: "throw" | "skip" | undefined;
}

const isTag = (value: unknown): value is string | number => isText(value) || (Number.isInteger(value) && (value as number) >= 0); // prettier-ignore

/**
 * Sentences as words with a tag each, in memory: tags are names, or ids whose names the file declares.
 * @throws {@link DataError} for a row without words, or with more or fewer tags than words, or with a tag that isn't known
 */
export async function taggedDataset(table: Table, options: TaggedOptions = {}): Promise<Dataset> {
  const { textColumn, labelColumn, onBadRow } = options;
  const tokens = columnOf(table, TOKENS, { asked: textColumn, flag: "--text_column", what: "the words" });
  const column =
    labelColumn === null
      ? undefined
      : columnOf(table, TAGS, { asked: labelColumn, flag: "--label_column", what: "the tags" });
  const read = await readRows(
    table,
    [tokens, ...(column ? [column] : [])],
    (cells) => {
      const words = listIn(cells, tokens, isText, "words");
      if (words.length === 0) throw new DataError("no words.");
      if (column === undefined) return { words };
      const tags = listIn(cells, column, isTag, "tags");
      if (tags.length !== words.length) throw new DataError(`${words.length} words, but ${tags.length} tags.`);
      return { words, tags };
    },
    { onBadRow },
  );
  const declared = column === undefined ? undefined : table.classNames.get(column);
  const all = new Set(read.rows.flatMap(({ tags }) => tags ?? []));
  const given = [...all].map((tag) => (typeof tag === "number" ? (declared?.[tag] ?? tag) : tag));
  const numbers = given.filter((tag) => typeof tag === "number");
  if (numbers.length > 0 && numbers.length < given.length)
    throw new DataError(`${table.name}: tags are names and numbers: ${shownList(given.slice(0, 6).map(shownValue))}.`);
  const names =
    options.labelNames ?? (numbers.length > 0 ? undefined : (declared ?? (given as string[]).toSorted((a, b) => (a < b ? -1 : 1)))); // prettier-ignore
  const ids = new Map(names?.map((name, id) => [name, id]));
  const idOf = (tag: string | number, row: number): number => {
    const name = typeof tag === "number" ? declared?.[tag] : tag;
    const id = name === undefined ? (tag as number) : ids.get(name);
    if (id !== undefined && !(names && id >= names.length)) return id;
    throw new DataError(`${table.where(row)}: the tag ${shownValue(tag)} is none of [${shownList(names ?? [])}].`);
  };
  const rows = read.rows.map(({ words, tags }, i) => ({
    ...{ text: words.join(" "), words },
    ...(tags && { tags: tags.map((tag) => idOf(tag, read.numbers[i]!)) }),
  }));
  const numLabels = column === undefined ? 0 : (names?.length ?? Math.max(-1, ...numbers) + 1);
  return new Dataset({
    ...{ name: table.name, length: rows.length, badRows: read.badRows },
    labels: { numLabels, ...(names && { names }) },
    row: (i) => Promise.resolve(rows[i]!),
    where: (i) => table.where(read.numbers[i]!),
  });
}
