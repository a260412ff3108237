import { DataError } from "../errors.ts";
import type { Cells, Table } from "./table.ts";

/** One example: a text or a pair of texts, and its label: a class id, or a number where the task is a regression. */
export type Row = { text: string; text_pair?: string; label?: number };

/** What a dataset's `label` means. */
export type LabelInfo = {
  /** Classes, or 1 for a regression, or 0 where rows have no labels. */
  numLabels: number;
  /** Names of the classes by id, where they are known. */
  names?: readonly string[];
};

type Source = {
  name: string;
  length: number;
  labels: LabelInfo;
  row: (i: number) => Promise<Row>;
  where?: (i: number) => string;
};

/**
 * Rows that are read when they are asked for.
 *
 * @example
 * const train = await loadDataset("stanfordnlp/imdb", { split: "train" });
 * const { text, label } = await train.row(0);
 */
export class Dataset {
  readonly name: string;
  readonly length: number;
  readonly labels: LabelInfo;
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
    this.name = source.name;
    this.length = source.length;
    this.labels = source.labels;
  }

  /** Rows in memory as a dataset; without `labelNames`, classes are counted from the labels. */
  static fromRows(rows: readonly Row[], options: { name?: string; labelNames?: readonly string[] } = {}): Dataset {
    const { name = "rows", labelNames } = options;
    const ids = rows.flatMap(({ label }) => (label === undefined ? [] : [label]));
    const labels = labelNames ? { numLabels: labelNames.length, names: labelNames } : { numLabels: countLabels(ids) };
    return new Dataset({ name, length: rows.length, labels, row: (i) => Promise.resolve(rows[i]!) });
  }

  /** Names of classes as a model's configuration has them; undefined where they are not known. */
  get id2label(): Record<string, string> | undefined {
    return this.labels.names && Object.fromEntries(this.labels.names.map((name, id) => [String(id), name]));
  }

  /** Row `i`, from 0. @throws {@link DataError} when there is no such row or it is malformed, naming file and line. */
  async row(i: number): Promise<Row> {
    if (!Number.isInteger(i) || i < 0 || i >= this.length) {
      throw new DataError(`${this.name}: no row ${i}: it has ${this.length} rows.`);
    }
    return this.#source.row(i);
  }

  /** Where row `i` comes from: file and line. */
  where(i: number): string {
    return this.#source.where?.(i) ?? `${this.name}, row ${i}`;
  }

  /** The first `count` rows, or all where there are fewer. */
  take(count: number): Dataset {
    const length = Math.min(count, this.length);
    return new Dataset({ ...this.#source, length });
  }

  /** These rows, in this order. @throws {@link DataError} when there is no such row. */
  select(indices: ArrayLike<number>): Dataset {
    const rows = Array.from(indices);
    const bad = rows.find((i) => !Number.isInteger(i) || i < 0 || i >= this.length);
    if (bad !== undefined) throw new DataError(`${this.name}: no row ${bad}: it has ${this.length} rows.`);
    return new Dataset({
      ...this.#source,
      length: rows.length,
      row: (i) => this.#source.row(rows[i]!),
      where: (i) => this.where(rows[i]!),
    });
  }

  /** Each row changed by `change` when it is read, as `--clean-html` does. */
  map(change: (row: Row) => Row): Dataset {
    return new Dataset({ ...this.#source, row: async (i) => change(await this.#source.row(i)) });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    for (let i = 0; i < this.length; i++) yield this.row(i);
  }
}

/** Which columns hold what. Flags: `--text_column`, `--text_pair_column`, `--label_column`. */
export type ColumnOptions = {
  textColumn?: string;
  textPairColumn?: string;
  /** `null`: read no labels. */
  labelColumn?: string | null;
  /** Names of classes by id, where the files don't say; labels given as text are looked up here. */
  labelNames?: readonly string[];
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

/** How a column's values become labels: class ids as they stand, names looked up, or plain numbers. */
type LabelReader = LabelInfo & { read: (value: unknown) => number };

const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Numbers, also as BigInt, boolean or text; undefined for anything else. */
function asNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  return typeof value === "string" && NUMERIC.test(value.trim()) ? Number(value) : undefined;
}

/** Classes that the ids speak of: one more than the largest and at least 2; 1 for fractions, 0 for none (-1: not labelled). */
function countLabels(values: readonly number[]): number {
  if (values.every((value) => value === -1)) return 0;
  if (values.some((value) => !Number.isInteger(value))) return 1;
  return values.reduce((most, value) => Math.max(most, value + 1), 2);
}

function labelReader(table: Table, column: string, values: readonly unknown[], given?: readonly string[]): LabelReader {
  const fail = (i: number, what: string): never => {
    throw new DataError(`${table.where(i)}: ${what}: column ${column} holds ${JSON.stringify(String(values[i]))}.`);
  };
  const missing = values.findIndex((value) => value === null || value === undefined || value === "");
  if (missing >= 0) fail(missing, "no label");
  const numbers = values.map(asNumber);
  const names = given ?? table.classNames[column];

  if (numbers.every((number) => number !== undefined)) {
    const unlabelled = numbers.length > 0 && numbers.every((number) => number === -1);
    const numLabels = unlabelled ? 0 : (names?.length ?? countLabels(numbers));
    const bad = numLabels < 2 ? -1 : numbers.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= numLabels);
    if (bad >= 0) fail(bad, `a class id is not within 0 to ${numLabels - 1}`);
    return { numLabels, ...(names ? { names } : {}), read: (value) => asNumber(value)! };
  }
  const texts = values.map((value) => (typeof value === "string" ? value.trim() : undefined));
  const odd = texts.indexOf(undefined);
  if (odd >= 0) fail(odd, "a label is neither text nor number");
  const classNames = names ?? [...new Set(texts as string[])].sort((a, b) => (a < b ? -1 : 1));
  const ids = new Map(classNames.map((name, id) => [name, id]));
  const unknown = texts.findIndex((text) => !ids.has(text!));
  if (unknown >= 0) fail(unknown, `a label is none of [${classNames.join(", ")}]`);
  return { numLabels: classNames.length, names: classNames, read: (value) => ids.get(String(value).trim())! };
}

/** Characters of text that stay in memory after they were read; IMDB's 25,000 reviews are half of it. */
const CACHED_CHARACTERS = 64 << 20;

/**
 * A table as a dataset: finds the columns, maps labels to ids (labels given as text: sorted), reads blocks as rows are asked
 * for and keeps the latest of them.
 *
 * @throws {@link DataError} when columns cannot be told or a label is missing or unknown, naming file and line.
 */
export async function tableDataset(table: Table, options: ColumnOptions = {}): Promise<Dataset> {
  const columns = findColumns(table, options);
  const wanted = Object.values(columns);
  const labels = columns.label
    ? labelReader(table, columns.label, await readColumn(table, columns.label), options.labelNames)
    : undefined;

  const text = (cells: Cells, column: string, i: number): string => {
    const value = cells[column];
    if (typeof value !== "string") {
      throw new DataError(`${table.where(i)}: no text: column ${column} holds ${JSON.stringify(value) ?? "nothing"}.`);
    }
    return value;
  };
  const toRow = (cells: Cells, i: number): Row => ({
    text: text(cells, columns.text, i),
    ...(columns.textPair ? { text_pair: text(cells, columns.textPair, i) } : {}),
    ...(labels && labels.numLabels > 0 ? { label: labels.read(cells[columns.label!]) } : {}),
  });

  const blocks = new Map<number, { rows: Promise<Cells[]>; characters: number }>();
  const readBlock = (start: number, end: number) => {
    const known = blocks.get(start);
    blocks.delete(start);
    const block = known ?? { rows: table.read(start, end, wanted), characters: 0 };
    blocks.set(start, block); // a Map keeps its order: the first is now the one that was not used for longest
    if (!known) block.rows = block.rows.then((rows) => (forget(block, rows), rows));
    return block.rows;
  };
  const forget = (block: { characters: number }, rows: readonly Cells[]) => {
    for (const row of rows) block.characters += String(row[columns.text]).length;
    let total = [...blocks.values()].reduce((sum, { characters }) => sum + characters, 0);
    for (const [start, { characters }] of blocks) {
      if (total <= CACHED_CHARACTERS || blocks.size === 1) break;
      blocks.delete(start);
      total -= characters;
    }
  };

  return new Dataset({
    name: table.name,
    length: table.length,
    labels: labels
      ? { numLabels: labels.numLabels, ...(labels.names ? { names: labels.names } : {}) }
      : { numLabels: 0 },
    async row(i) {
      const [start, end] = table.blockOf(i);
      return toRow((await readBlock(start, end))[i - start]!, i);
    },
    where: (i) => table.where(i),
  });
}

async function readColumn(table: Table, column: string): Promise<unknown[]> {
  const values: unknown[] = [];
  for (let i = 0; i < table.length;) {
    const [start, end] = table.blockOf(i);
    for (const cells of await table.read(start, end, [column])) values.push(cells[column]);
    i = end;
  }
  return values;
}
