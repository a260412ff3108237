import { DataError } from "../errors.ts";
import { findColumns, type ColumnOptions } from "./columns.ts";
import { Dataset, type BadRows, type Row } from "./dataset.ts";
import { LabelValues, type LabelInfo } from "./labels.ts";
import { shownText, shownValue } from "./shown.ts";
import { cellOf, KEPT_CHARACTERS, type Cells, type Table } from "./readers/table.ts";

/** Bad rows that are described; the others are counted. */
const DESCRIBED = 5;

/** Rows, and blocks of them, that are checked together. */
const [SCANNED_ROWS, SCANNED_BLOCKS] = [256, 32];

type Columns = ReturnType<typeof findColumns>;

/**
 * A table as a dataset: finds the columns, looks through all rows for labels and for what is wrong, maps labels to ids (labels
 * given as text: sorted), then reads blocks as rows are asked for and keeps the latest of them.
 *
 * @throws {@link DataError} when columns cannot be found, or for bad rows that are not to be left out, naming file and line.
 */
export async function tableDataset(table: Table, options: ColumnOptions = {}): Promise<Dataset> {
  const columns = findColumns(table, options);
  const { labels, labelOf, rows, badRows } = await scan(table, columns, options);
  if (badRows.count > 0 && options.onBadRow !== "skip") {
    const more = badRows.count > 1 ? ` (and ${badRows.count - 1} more)` : "";
    throw new DataError(
      `${badRows.first[0]!.replace(/\.?$/, ".")}${more} Bad rows are left out with --on_bad_row skip (onBadRow).`,
    );
  }
  const numberOf = (i: number) => rows?.[i] ?? i; // in the table, where bad rows count
  const texts = [columns.text, ...(columns.textPair ? [columns.textPair] : [])];
  const readBlock = blockCache(table, texts);
  return new Dataset({
    name: table.name,
    length: rows?.length ?? table.length,
    labels,
    badRows,
    async row(i) {
      const number = numberOf(i);
      const [start, end] = table.blockOf(number);
      const cells = (await readBlock(start, end))[number - start]!;
      const problem = problemOf(cells, texts, table, number);
      if (problem !== undefined) throw new DataError(problem);
      const [text, pair] = texts.map((column) => cellOf(cells as Cells, column) as string);
      const row: Row = { text: text! };
      if (pair !== undefined) row.text_pair = pair;
      const label = labelOf?.(number);
      if (typeof label === "number") row.label = label;
      else if (label !== undefined) row.labels = label;
      return row;
    },
    where: (i) => table.where(numberOf(i)),
    label(i) {
      const label = labelOf?.(numberOf(i));
      return typeof label === "number" ? label : undefined;
    },
    blockOf: (i) => table.blockOf(numberOf(i))[0],
  });
}

type Scan = {
  labels: LabelInfo;
  /** The label of a good row of the table, or all of them where it may have several; undefined where they have none. */
  labelOf: ((row: number) => number | readonly number[]) | undefined;
  /** The rows that are good; undefined when all are. */
  rows: Int32Array | undefined;
  badRows: BadRows;
};

/** Goes through a table once. Text is read only where the file doesn't promise that it is there, and is not kept. */
async function scan(table: Table, columns: Columns, options: ColumnOptions): Promise<Scan> {
  const { label } = columns;
  const texts = [columns.text, columns.textPair].filter((c) => c !== undefined && !table.hasText?.(c)) as string[];
  const wanted = [...new Set([...texts, ...(label ? [label] : [])])];
  const values =
    label === undefined
      ? undefined
      : new LabelValues(`${table.name}, column ${shownText(label)}`, {
          names: options.labelNames,
          numLabels: options.numLabels,
          fileNames: table.classNames.get(label),
          modelNames: options.modelLabels,
        });
  const codes = new Int32Array(table.length); // which of the different labels a row has; -1 for a bad row
  const lists: number[][] = []; // the same of rows that have several, by what `codes` says of them
  const problems = new Map<number, string>(); // of the first bad rows
  const bad = (row: number, problem: string): void => {
    codes[row] = -1;
    if (problems.size < DESCRIBED) problems.set(row, problem);
  };
  for (let start = 0; wanted.length > 0 && start < table.length;) {
    let end = start;
    for (let k = 0; k < SCANNED_BLOCKS && end < table.length && end - start < SCANNED_ROWS; k++) {
      end = table.blockOf(end)[1];
    }
    for (const [k, cells] of (await table.read(start, end, wanted)).entries()) {
      const row = start + k;
      const problem = problemOf(cells, texts, table, row);
      if (problem !== undefined) bad(row, problem);
      else if (values) {
        const value = cellOf(cells as Cells, label!);
        const code = values.addRow(value);
        if (typeof code === "number") codes[row] = code;
        else if (Array.isArray(code)) codes[row] = lists.push(code) - 1;
        else bad(row, `${table.where(row)}: ${code}: column ${shownText(label!)} holds ${shownValue(value)}.`);
      }
    }
    start = end;
  }

  const reader = values?.reader();
  const different = values?.values ?? [];
  const meanings = different.map((value) => reader!.read(value));
  /** What a row's code means: a label, several, or what is wrong with one. */
  const meaningOf = (code: number): number | number[] | string => {
    if (!reader?.multiLabel) return meanings[code] ?? 0;
    const own = lists[code]!.map((one) => meanings[one]!);
    return own.find((meaning) => typeof meaning === "string") ?? (own as number[]);
  };
  /** The value behind it, for a message. */
  const valueOf = (code: number): unknown =>
    reader?.multiLabel ? lists[code]!.map((one) => different[one]) : different[code];
  const first: string[] = [];
  let count = 0;
  for (const [row, code] of codes.entries()) {
    const meaning = code < 0 ? problems.get(row) : meaningOf(code);
    if (typeof meaning === "number" || Array.isArray(meaning)) continue;
    codes[row] = -1;
    count++;
    if (first.length >= DESCRIBED || meaning === undefined) continue;
    first.push(
      code < 0
        ? meaning
        : `${table.where(row)}: ${meaning}: column ${shownText(label!)} holds ${shownValue(valueOf(code))}.`,
    );
  }
  const rows = count > 0 ? codes.map((_, row) => row).filter((row) => codes[row]! >= 0) : undefined;
  return {
    labels: {
      numLabels: reader ? reader.numLabels : 0,
      ...(reader?.names && { names: reader.names }),
      ...(reader?.multiLabel && { multiLabel: true }),
    },
    labelOf: reader && reader.numLabels > 0 ? (row) => meaningOf(codes[row]!) as number | readonly number[] : undefined,
    rows,
    badRows: { count, first },
  };
}

/** What is wrong with a row, beginning with file and line: it is malformed, or one of these columns holds no text. */
function problemOf(cells: Cells | DataError, texts: readonly string[], table: Table, row: number): string | undefined {
  if (cells instanceof DataError) return cells.message;
  const column = texts.find((column) => typeof cellOf(cells, column) !== "string");
  if (column === undefined) return undefined;
  return `${table.where(row)}: no text: column ${shownText(column)} holds ${shownValue(cellOf(cells, column))}.`;
}

/** Reads blocks of a table, and keeps those that were used last. */
function blockCache(table: Table, columns: readonly string[]) {
  type Block = { rows: Promise<(Cells | DataError)[]>; characters: number };
  const blocks = new Map<number, Block>(); // a Map keeps its order: the first is the one that was not used for longest
  const limit = table.keptCharacters ?? KEPT_CHARACTERS;
  let lastRead: Promise<unknown> = Promise.resolve();
  /** Large blocks one after the other: a batch of rows at random asks for as many blocks as it has rows. */
  const read = (start: number, end: number): Block["rows"] => {
    if (limit === KEPT_CHARACTERS) return table.read(start, end, columns); // blocks are small
    const rows = lastRead.then(() => table.read(start, end, columns));
    const done = (): void => {}; // an error is thrown where the rows are awaited
    lastRead = rows.then(done, done);
    return rows;
  };
  let total = 0;
  const keep = (block: Block, rows: readonly (Cells | DataError)[]) => {
    for (const row of rows) {
      if (!(row instanceof DataError))
        for (const column of columns) block.characters += String(cellOf(row, column)).length;
    }
    total += block.characters;
    for (const [start, other] of blocks) {
      if (total <= limit) break;
      if (other === block || other.characters === 0) continue; // those without characters are still being read
      blocks.delete(start);
      total -= other.characters;
    }
  };
  return (start: number, end: number): Block["rows"] => {
    const known = blocks.get(start);
    if (known) {
      blocks.delete(start);
      blocks.set(start, known);
      return known.rows;
    }
    const block: Block = { rows: read(start, end), characters: 0 };
    blocks.set(start, block);
    block.rows.then(
      (rows) => keep(block, rows),
      () => blocks.delete(start), // read again when it is asked for again
    );
    return block.rows;
  };
}
