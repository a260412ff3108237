import { DataError } from "../errors.ts";
import type { BadRows } from "./dataset.ts";
import { cellOf, type Cells, type Table } from "./readers/table.ts";
import { shownList, shownText, shownValue } from "./shown.ts";

/** Bad rows that are described; the others are counted. */
const DESCRIBED = 5;

/** Rows that are read together. */
const BLOCK = 1024;

/** The rows of a table that were made of its cells, and where each comes from. */
export interface ReadRows<R> {
  rows: R[];
  /** Their numbers in the table. */
  numbers: number[];
  badRows: BadRows;
}

/**
 * Makes a row of each row of a table. What `read` throws says what is wrong with it.
 * @throws {@link DataError} for a bad row, naming file and line, unless bad rows are to be skipped
 */
export async function readRows<R>(
  table: Table,
  columns: readonly string[],
  read: (cells: Cells, row: number) => R,
  { onBadRow = "throw" }: { onBadRow?: "throw" | "skip" | undefined } = {},
): Promise<ReadRows<R>> {
  const found: ReadRows<R> = { rows: [], numbers: [], badRows: { count: 0, first: [] } };
  const first: string[] = [];
  let count = 0;
  for (let start = 0; start < table.length; start += BLOCK) {
    const cells = await table.read(start, Math.min(start + BLOCK, table.length), columns);
    for (const [k, own] of cells.entries()) {
      try {
        if (own instanceof DataError) throw own;
        found.rows.push(read(own, start + k));
        found.numbers.push(start + k);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        const message = error === own ? error.message : `${table.where(start + k)}: ${error.message}`;
        if (onBadRow === "throw")
          throw new DataError(`${message} Bad rows are left out with --on_bad_row skip (onBadRow).`);
        count++;
        if (first.length < DESCRIBED) first.push(message);
      }
    }
  }
  return { ...found, badRows: { count, first } };
}

/** The first of these columns that a table has, or the one that an option names. @throws {@link DataError} listing the columns there are */
export function columnOf(
  table: Pick<Table, "name" | "columns">,
  names: readonly string[],
  { asked, flag, what }: { asked?: string | undefined; flag: string; what: string },
): string {
  const has = (column: string): boolean => table.columns.includes(column);
  const found = asked === undefined ? names.find(has) : [asked].find(has);
  if (found !== undefined) return found;
  const list = `columns [${shownList(table.columns)}]`;
  throw new DataError(
    asked === undefined
      ? `${table.name}: no column that is known to hold ${what} (${names.join(", ")}): ${list}. Name it with ${flag}.`
      : `${table.name}: ${flag} names a column that is not there: ${shownText(asked)} · ${list}.`,
  );
}

/** A text. @throws {@link DataError} for anything else */
export function textIn(cells: Cells, column: string): string {
  const value = cellOf(cells, column);
  if (typeof value === "string") return value;
  throw new DataError(`no text: column ${shownText(column)} holds ${shownValue(value)}.`);
}

/** A list whose entries are all `fits`. @throws {@link DataError} for anything else */
export function listIn<T>(
  cells: Cells,
  column: string,
  fits: (value: unknown) => value is T,
  what: string,
): readonly T[] {
  const value = cellOf(cells, column);
  if (Array.isArray(value) && value.every(fits)) return value;
  throw new DataError(`column ${shownText(column)} holds ${shownValue(value)}, not a list of ${what}.`);
}

export const isText = (value: unknown): value is string => typeof value === "string";
