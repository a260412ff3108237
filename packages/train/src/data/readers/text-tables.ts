import { DataError } from "../../errors.ts";
import { duplicateKey } from "./duplicate-key.ts";
import { named } from "../named.ts";
import { findRecords, splitFields, type RecordFormat } from "./records.ts";
import { shownList, shownText, shownValue } from "../shown.ts";
import { decodeText, isCells, memoryTable, parseObject, readSource, unpacked, withSource } from "./table.ts";
import type { Cells, OpenSource, ReadLimits, Table } from "./table.ts";

/** Bytes that are read together: few enough that one row taken at random costs little, enough that reading on is fast. */
const BLOCK = 16 << 10;

/** Bytes of a row; a longer one is bad. Without a bound, a file without line ends would fill the memory. */
const MAX_ROW = 16 << 20;

/** Columns of a file. More are keys that differ from row to row, or not a table at all. */
const MAX_COLUMNS = 10_000;

/**
 * A JSONL, CSV or TSV file as a table: one pass finds where its rows are, then rows are read when they are asked for, so that
 * the text is never in memory as a whole. The first line of CSV and TSV names the columns; those of JSONL are the keys of all
 * rows, which takes a second pass. A file that ends in `.gz` is unpacked into memory.
 *
 * @throws {@link DataError} for a file without the first line, or with a quote that nothing closes.
 */
export async function recordTable(
  name: string,
  file: OpenSource,
  format: "jsonl" | "csv" | "tsv" | "lines",
  limits?: ReadLimits,
): Promise<Table> {
  const open = await seekable(name, file, limits);
  const layout: RecordFormat =
    format === "jsonl" || format === "lines"
      ? { quotes: false }
      : { delimiter: format === "csv" ? "," : "\t", quotes: format === "csv" };
  const { starts, ends, lines } = await withSource(open, async (source) => {
    await checkIsText(name, source);
    return findRecords({ ...source, name }, layout);
  });

  /** Records `from` to `to - 1` as text, or the errors that say what is wrong with them. */
  const texts = (from: number, to: number): Promise<(string | DataError)[]> =>
    withSource(open, async (source) => {
      const found: (string | DataError)[] = [];
      for (let first = from; first < to;) {
        const begin = starts[first]!;
        let end = first + 1; // of those that are read at once
        while (end < to && ends[end]! - begin <= MAX_ROW) end++;
        const isTooLong = ends[first]! - begin > MAX_ROW;
        const bytes = isTooLong ? undefined : await source.read(begin, ends[end - 1]! - begin);
        for (; first < end; first++) {
          const where = `${name}, line ${lines[first]}`;
          if (bytes) found.push(textOf(bytes.subarray(starts[first]! - begin, ends[first]! - begin), where));
          else found.push(new DataError(`${where}: longer than ${MAX_ROW >> 20} MiB.`));
        }
      }
      return found;
    });

  const first = layout.delimiter === undefined ? 0 : 1; // the record of row 0
  const length = Math.max(starts.length - first, 0);
  const where = (i: number) => `${name}, line ${lines[i + first]}`;
  const blockNumber = (i: number) => Math.floor(starts[i + first]! / BLOCK);
  const blockOf = (i: number): readonly [number, number] => {
    let [start, end] = [i, i + 1];
    while (start > 0 && blockNumber(start - 1) === blockNumber(i)) start--;
    while (end < length && blockNumber(end) === blockNumber(i)) end++;
    return [start, end];
  };

  let parse: (text: string, where: string) => Cells | DataError = parseObject;
  const columns: string[] = [];
  if (format === "lines") {
    columns.push("text");
    parse = (text) => ({ text: text.replace(/\r$/, "") });
  } else if (format === "jsonl") {
    const keys = new Set<string>();
    let problem: DataError | undefined; // of the first row that has one
    for (let start = 0; start < length;) {
      const [, end] = blockOf(start);
      for (const text of await texts(start, end)) {
        const cells = text instanceof DataError ? text : parseObject(text, where(start));
        if (cells instanceof DataError) problem ??= cells;
        else for (const key of Object.keys(cells)) keys.add(key);
        checkColumns(keys.size, where(start++));
      }
    }
    if (keys.size === 0 && problem) throw problem;
    columns.push(...keys);
  } else {
    const [header] = await texts(0, Math.min(1, starts.length));
    if (header instanceof DataError) throw header;
    if (header === undefined) {
      throw new DataError(`${name}: empty. The first line names the columns, such as text,label.`);
    }
    for (const field of splitFields(header, layout)) columns.push(field.trim());
    checkColumns(columns.length, `${name}, line ${lines[0]}`);
    const places = new Map(columns.map((column, c) => [column, c] as const).reverse()); // of two of one name, the first
    parse = (text, where) => {
      const fields = splitFields(text, layout);
      if (fields.length === columns.length) {
        return Object.fromEntries(Array.from(places, ([column, c]) => [column, fields[c]]));
      }
      return new DataError(
        `${where}: ${fields.length} fields for ${columns.length} columns [${shownList(columns)}]: ` +
          `${shownText(fields.slice(0, 8).join(" | "))}. ${format === "csv" ? "Quote a field that holds a comma." : "Is a tab missing?"}`,
      );
    };
  }
  return {
    ...{ name, length, columns, classNames: new Map(), where, blockOf },
    read: (start, end) =>
      named(name, async () => {
        const found = await texts(start + first, end + first);
        return found.map((text, k) => (text instanceof DataError ? text : parse(text, where(start + k))));
      }),
  };
}

function textOf(bytes: Uint8Array, where: string): string | DataError {
  try {
    return decodeText(bytes, where);
  } catch (error) {
    return error as DataError;
  }
}

function checkColumns(count: number, where: string): void {
  if (count > MAX_COLUMNS) throw new DataError(`${where}: more than ${MAX_COLUMNS.toLocaleString("en-US")} columns.`);
}

/** Text has no zero bytes; those of UTF-16, and nearly all other kinds of files, have some near the beginning. */
async function checkIsText(
  name: string,
  source: { size: number; read: (at: number, n: number) => Promise<Uint8Array> },
) {
  const beginning = await source.read(0, Math.min(source.size, 4096));
  const isGzip = beginning[0] === 0x1f && beginning[1] === 0x8b;
  if (isGzip) throw new DataError(`${name}: packed by gzip. Its name has to end in .gz.`);
  if (beginning.includes(0)) {
    throw new DataError(
      `${name}: not text: it has zero bytes. Save UTF-16 as UTF-8; give other kinds of files their own names.`,
    );
  }
}

/** The source of a file that can be read from any place: the file itself, or its bytes where it is packed. */
async function seekable(name: string, open: OpenSource, limits?: ReadLimits): Promise<OpenSource> {
  const content = await withSource(open, async (source) =>
    source.name.endsWith(".gz") ? unpacked(source, name, limits) : undefined,
  );
  return content ? () => Promise.resolve(content) : open;
}

/** A JSON array of objects, the same under `data`, or an object of columns. */
export async function jsonTable(name: string, open: OpenSource, limits?: ReadLimits): Promise<Table> {
  const text = await readSource(open, name, limits);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(
      `${name}: not JSON: ${shownText((error as Error).message)}. One object per line is called .jsonl.`,
    );
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw new DataError(`${name}: an object has two values for the key ${shownValue(twice)}.`);
  if (isCells(value) && Object.hasOwn(value, "data") && Array.isArray(value["data"])) value = value["data"];
  if (isCells(value)) {
    const columns = Object.entries(value).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
    checkColumns(columns.length, name);
    const length = columns[0]?.[1].length ?? 0;
    if (length === 0 || columns.some(([, values]) => values.length !== length)) {
      throw new DataError(
        `${name}: neither an array of objects nor an object of columns of one length: ` +
          `${shownList(columns.map(([column, values]) => `${column} ${values.length}`)) || "no arrays"}.`,
      );
    }
    value = Array.from({ length }, (_, i) =>
      Object.fromEntries(columns.map(([column, values]) => [column, values[i]])),
    );
  }
  if (!Array.isArray(value)) throw new DataError(`${name}: expected an array of objects, found ${shownValue(value)}.`);
  const columns = new Set<string>();
  const rows = value.map((row: unknown, i) => {
    if (!isCells(row)) return new DataError(`${name}, row ${i}: expected an object, found ${shownValue(row)}.`);
    for (const key of Object.keys(row)) columns.add(key);
    checkColumns(columns.size, `${name}, row ${i}`);
    return row;
  });
  return memoryTable(name, rows, [...columns]);
}
