import { byteSource, type ByteSource } from "@gpugrad/bert";
import { DataError } from "../../errors.ts";
import { duplicateKey } from "./duplicate-key.ts";
import { named } from "../named.ts";
import { shownList, shownText, shownValue } from "../shown.ts";

/** One row of a file: values by column name. */
export type Cells = Readonly<Record<string, unknown>>;

/** The value of a column; undefined where a row has none, also of a column that is called as what every object has. */
export const cellOf = (cells: Cells, column: string): unknown =>
  Object.hasOwn(cells, column) ? cells[column] : undefined;

/** A file of rows and columns, read a block of rows at a time. */
export interface Table {
  readonly name: string;
  readonly length: number;
  readonly columns: readonly string[];
  /** Names of class ids that the file itself declares, by column. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
  /** Rows `start` to `end - 1`, with these columns; a malformed row is the error that says so. */
  read(start: number, end: number, columns: readonly string[]): Promise<(Cells | DataError)[]>;
  /** The range of rows around row `i` that is best read together, `[start, end]`. */
  blockOf(i: number): readonly [start: number, end: number];
  /** Where row `i` is, for messages: file and line. */
  where(i: number): string;
  /** Whether every row is known to have text in this column, so that none has to be looked at. */
  hasText?(column: string): boolean;
  /** Characters of its text that are worth keeping after they were read; default 1 Mi, for what is cheap to read again. */
  readonly keptCharacters?: number;
}

/** What `keptCharacters` is where a table says nothing. */
export const KEPT_CHARACTERS = 1 << 20;

/** Rows in memory as a table. */
export function memoryTable(name: string, rows: readonly (Cells | DataError)[], columns: readonly string[]): Table {
  return {
    name,
    length: rows.length,
    columns,
    classNames: new Map(),
    read: (start, end) => Promise.resolve(rows.slice(start, end)),
    blockOf: () => [0, rows.length],
    where: (i) => `${name}, row ${i}`,
  };
}

/** Which part holds row `i`, where part `k` has the rows from `starts[k]` to `starts[k + 1] - 1`. */
export function partOfRow(starts: readonly number[], i: number): number {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= i) low = middle;
    else high = middle;
  }
  return low;
}

/** Tables one after another, as the shards of a split are. @throws {@link DataError} when their columns differ. */
export function concatTables(name: string, all: readonly Table[]): Table {
  const filled = all.filter(({ length }) => length > 0); // an empty file has no columns to compare
  const tables = filled.length > 0 ? filled : all.slice(0, 1);
  const [first] = tables;
  if (!first) throw new DataError(`${name}: no files.`);
  if (tables.length === 1) return first;
  for (const table of tables) {
    if ([...table.columns].sort().join() !== [...first.columns].sort().join()) {
      throw new DataError(
        `${name}: files have different columns: ${first.name} [${shownList(first.columns)}] · ` +
          `${table.name} [${shownList(table.columns)}].`,
      );
    }
  }
  const starts = [0];
  for (const table of tables) starts.push(starts.at(-1)! + table.length);
  /** The table that holds row `i`, and the number of its first row. */
  const find = (i: number) => {
    const k = partOfRow(starts, i);
    return { table: tables[k]!, start: starts[k]! };
  };
  return {
    name,
    length: starts.at(-1)!,
    columns: first.columns,
    classNames: first.classNames,
    async read(from, to, columns) {
      const parts: (Cells | DataError)[] = [];
      for (let k = 0; k < tables.length; k++) {
        const start = starts[k]!;
        const [a, b] = [Math.max(from - start, 0), Math.min(to - start, tables[k]!.length)];
        if (a < b) for (const row of await tables[k]!.read(a, b, columns)) parts.push(row);
      }
      return parts;
    },
    blockOf(i) {
      const { table, start } = find(i);
      const [a, b] = table.blockOf(i - start);
      return [start + a, start + b];
    },
    where(i) {
      const { table, start } = find(i);
      return table.where(i - start);
    },
    hasText: (column) => tables.every((table) => table.hasText?.(column)),
    keptCharacters: Math.max(...tables.map((table) => table.keptCharacters ?? 0)) || KEPT_CHARACTERS,
  };
}

/** The formats that `openTable` reads, by the end of the file's name; each of the text formats also as `.gz`. */
export const TABLE_EXTENSIONS = [
  "parquet",
  "jsonl",
  "ndjson",
  "json",
  "csv",
  "tsv",
  "conll",
  "bio",
  "iob",
  "iob2",
] as const;

/** The format of a file by its name; undefined for anything else. */
export function tableFormat(file: string): (typeof TABLE_EXTENSIONS)[number] | undefined {
  const extension = /\.(\w+)(\.gz)?$/.exec(file)?.[1]?.toLowerCase();
  return TABLE_EXTENSIONS.find((known) => known === extension);
}

/** Opens a file again for each use, so that no file stays open between two blocks of rows. */
export type OpenSource = () => Promise<ByteSource>;

/** Opens, uses and closes a file. */
export async function withSource<T>(open: OpenSource, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await open();
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** What lines of a text file are: texts, tokens with tags in CoNLL's format, or sentences of documents that empty lines separate. */
export type TextFiles = "lines" | "conll" | "documents";

/** How much a reader takes from a file, and how it reads it. */
export type ReadLimits = {
  /** Bytes that a `.gz` file may have when it is unpacked (default 1 GiB). Flag: `--max_unpacked_bytes`. */
  maxUnpackedBytes?: number;
  /** What a `.txt` file holds. Default: it is not read. */
  textFiles?: TextFiles;
};

const MAX_UNPACKED = 2 ** 30;

/** No text is packed to a smaller part than this, once it is larger than a few pages. */
const [MAX_RATIO, FEW_BYTES] = [200, 64 << 20];

/** About the number of characters of the longest string that V8 makes. */
const MAX_TEXT = 2 ** 29 - 64;

/** The whole text (UTF-8) of a file; one that ends in `.gz` is unpacked. @throws {@link DataError} naming the file. */
export const readSource = (open: OpenSource, name: string, limits?: ReadLimits): Promise<string> =>
  named(name, () =>
    withSource(open, async (source) => {
      const whole = source.name.endsWith(".gz") ? await unpacked(source, name, limits) : source;
      if (whole.size > MAX_TEXT) {
        throw new DataError(
          `${name}: ${whole.size} bytes, read as one text of at most ${MAX_TEXT}. JSONL has no such limit.`,
        );
      }
      return decodeText(await whole.read(0, whole.size), name).replace(/^\uFEFF/, "");
    }),
  );

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws {@link DataError} naming the place, where bytes are not UTF-8 */
export function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new DataError(`${where}: not UTF-8. Save the file as UTF-8.`);
  }
}

/** The content of a `.gz` file, in memory. @throws {@link DataError} when it is damaged, or more than the limits allow. */
export async function unpacked(
  source: ByteSource,
  name: string,
  { maxUnpackedBytes = MAX_UNPACKED }: ReadLimits = {},
): Promise<ByteSource> {
  const [pieces, PIECE]: [Uint8Array<ArrayBuffer>[], number] = [[], 1 << 18];
  let [offset, size] = [0, 0];
  const packed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const length = Math.min(PIECE, source.size - offset);
      if (length === 0) return controller.close();
      controller.enqueue(await source.read(offset, length));
      offset += length;
    },
  });
  const reader = packed.pipeThrough(new DecompressionStream("gzip")).getReader();
  for (;;) {
    const { value, done } = await reader.read().catch((error: Error) => {
      throw new DataError(`${name}: not a whole gzip file: ${shownText(error.message)}. Copy or download it again.`);
    });
    if (done) break;
    size += value.length;
    const isBomb = size > FEW_BYTES && size > MAX_RATIO * source.size;
    if (isBomb || size > maxUnpackedBytes) {
      await reader.cancel().catch(() => {});
      throw new DataError(
        `${name}: unpacks to more than ${isBomb ? `${MAX_RATIO} times its ${source.size} bytes` : `${maxUnpackedBytes} bytes`}. ` +
          `If that is right, unpack it yourself (gunzip)${isBomb ? "" : " or set --max_unpacked_bytes (maxUnpackedBytes)"}.`,
      );
    }
    pieces.push(value);
  }
  return byteSource(new Blob(pieces), name);
}

export const isCells = (value: unknown): value is Cells =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object that a line holds, or the error that says what is wrong with it. */
export function parseObject(line: string, where: string): Cells | DataError {
  try {
    const value: unknown = JSON.parse(line);
    if (!isCells(value)) return new DataError(`${where}: expected an object, found ${shownValue(value)}.`);
    const twice = duplicateKey(line);
    return twice === undefined ? value : new DataError(`${where}: two values for the key ${shownValue(twice)}.`);
  } catch (error) {
    return new DataError(`${where}: not JSON: ${shownText((error as Error).message)}: ${shownText(line)}`);
  }
}
