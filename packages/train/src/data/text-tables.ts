import { byteSource } from "@gpugrad/bert";
import { DataError } from "../errors.ts";
import { findRecords, splitFields, type RecordFormat } from "./records.ts";
import { isCells, memoryTable, parseObject, readSource, unpacked, withSource } from "./table.ts";
import type { Cells, OpenSource, Table } from "./table.ts";

/** Bytes that are read together: few enough that one row taken at random costs little, enough that reading on is fast. */
const BLOCK = 16 << 10;

/** Rows whose keys are the columns of a JSONL file. */
const ROWS_FOR_COLUMNS = 1000;

/**
 * A JSONL, CSV or TSV file as a table: one pass finds where its rows are, then rows are read when they are asked for, so that
 * the text is never in memory as a whole. The first line of CSV and TSV names the columns. A file that ends in `.gz` is unpacked into memory.
 *
 * @throws {@link DataError} for a file without the first line, or with a quote that nothing closes.
 */
export async function recordTable(name: string, file: OpenSource, format: "jsonl" | "csv" | "tsv"): Promise<Table> {
  const open = await seekable(file);
  const layout: RecordFormat =
    format === "jsonl" ? { quotes: false } : { delimiter: format === "csv" ? "," : "\t", quotes: format === "csv" };
  const { starts, ends, lines } = await withSource(open, (source) => findRecords({ ...source, name }, layout));

  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Records `from` to `to - 1` as text; one that is no UTF-8 is the error that says so. */
  const texts = (from: number, to: number): Promise<(string | DataError)[]> =>
    withSource(open, async (source) => {
      if (from >= to) return [];
      const begin = starts[from]!;
      const bytes = await source.read(begin, ends[to - 1]! - begin);
      return Array.from({ length: to - from }, (_, k) => {
        try {
          return decoder.decode(bytes.subarray(starts[from + k]! - begin, ends[from + k]! - begin));
        } catch {
          return new DataError(`${name}, line ${lines[from + k]}: not UTF-8. Save the file as UTF-8.`);
        }
      });
    });

  const first = format === "jsonl" ? 0 : 1; // the record of row 0
  const length = Math.max(starts.length - first, 0);
  const where = (i: number) => `${name}, line ${lines[i + first]}`;
  let columns: string[];
  let parse: (text: string, where: string) => Cells | DataError;
  if (format === "jsonl") {
    parse = parseObject;
    const sample = await texts(0, Math.min(length, ROWS_FOR_COLUMNS));
    const keys = sample.flatMap((text, i) => {
      const cells = text instanceof DataError ? text : parse(text, where(i));
      return cells instanceof DataError ? [] : Object.keys(cells);
    });
    columns = [...new Set(keys)];
  } else {
    const [header] = await texts(0, Math.min(1, starts.length));
    if (header instanceof DataError) throw header;
    if (header === undefined) {
      throw new DataError(`${name}: empty. The first line names the columns, such as text,label.`);
    }
    columns = splitFields(header, layout).map((column) => column.trim());
    parse = (text, where) => {
      const fields = splitFields(text, layout);
      if (fields.length === columns.length) {
        return Object.fromEntries(columns.map((column, c) => [column, fields[c]]));
      }
      return new DataError(
        `${where}: ${fields.length} fields for ${columns.length} columns [${columns.join(", ")}]: ` +
          `${fields.join(" | ").slice(0, 80)}. ${format === "csv" ? "Quote a field that holds a comma." : "Is a tab missing?"}`,
      );
    };
  }

  const blockNumber = (i: number) => Math.floor(starts[i + first]! / BLOCK);
  return {
    ...{ name, length, columns, classNames: {}, where },
    async read(start, end) {
      const found = await texts(start + first, end + first);
      return found.map((text, k) => (text instanceof DataError ? text : parse(text, where(start + k))));
    },
    blockOf(i) {
      let [start, end] = [i, i + 1];
      while (start > 0 && blockNumber(start - 1) === blockNumber(i)) start--;
      while (end < length && blockNumber(end) === blockNumber(i)) end++;
      return [start, end];
    },
  };
}

/** The source of a file that can be read from any place: the file itself, or its bytes where it is packed. */
async function seekable(open: OpenSource): Promise<OpenSource> {
  const bytes = await withSource(open, async (source) => (source.name.endsWith(".gz") ? unpacked(source) : undefined));
  return bytes ? () => Promise.resolve(byteSource(bytes)) : open;
}

/** A JSON array of objects, the same under `data`, or an object of columns. */
export async function jsonTable(name: string, open: OpenSource): Promise<Table> {
  const text = await readSource(open);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${name}: not JSON: ${(error as Error).message}. One object per line is called .jsonl.`);
  }
  if (isCells(value) && Array.isArray(value["data"])) value = value["data"];
  if (isCells(value)) {
    const columns = Object.entries(value).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
    const length = columns[0]?.[1].length ?? 0;
    if (length === 0 || columns.some(([, values]) => values.length !== length)) {
      throw new DataError(
        `${name}: neither an array of objects nor an object of columns of one length: ` +
          `${columns.map(([column, values]) => `${column} ${values.length}`).join(" · ") || "no arrays"}.`,
      );
    }
    value = Array.from({ length }, (_, i) =>
      Object.fromEntries(columns.map(([column, values]) => [column, values[i]])),
    );
  }
  if (!Array.isArray(value)) throw new DataError(`${name}: expected an array of objects, found ${text.slice(0, 40)}`);
  const rows = value.map((row: unknown, i) =>
    isCells(row) ? row : new DataError(`${name}, row ${i}: expected an object, found ${JSON.stringify(row)}.`),
  );
  const columns = new Set(rows.flatMap((row) => (row instanceof DataError ? [] : Object.keys(row))));
  return memoryTable(name, rows, [...columns]);
}
