import type { ByteSource } from "@gpugrad/bert";
import { DataError } from "../errors.ts";

/** One row of a file: values by column name. */
export type Cells = Readonly<Record<string, unknown>>;

/** A file of rows and columns, read a block of rows at a time. */
export interface Table {
  readonly name: string;
  readonly length: number;
  readonly columns: readonly string[];
  /** Names of class ids that the file itself declares, by column. */
  readonly classNames: Readonly<Record<string, readonly string[]>>;
  /** Rows `start` to `end - 1`, with these columns; a malformed row is the error that says so. */
  read(start: number, end: number, columns: readonly string[]): Promise<(Cells | DataError)[]>;
  /** The range of rows around row `i` that is best read together, `[start, end]`. */
  blockOf(i: number): readonly [start: number, end: number];
  /** Where row `i` stands, for messages: file and line. */
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
    classNames: {},
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
        `${name}: files have different columns: ${first.name} [${first.columns.join(", ")}] · ` +
          `${table.name} [${table.columns.join(", ")}].`,
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
export const TABLE_EXTENSIONS = ["parquet", "jsonl", "ndjson", "json", "csv", "tsv"] as const;

/** The format of a file by its name; undefined for anything else. */
export function tableFormat(file: string): (typeof TABLE_EXTENSIONS)[number] | undefined {
  const extension = /\.(\w+)(\.gz)?$/.exec(file)?.[1]?.toLowerCase();
  return TABLE_EXTENSIONS.find((known) => known === extension);
}

/** Opens a file anew for each use, so that no file stays open between two blocks of rows. */
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

/** The whole text (UTF-8) of a file; one that ends in `.gz` is unpacked. */
export const readSource = (open: OpenSource): Promise<string> =>
  withSource(open, async (source) =>
    new TextDecoder().decode(source.name.endsWith(".gz") ? await unpacked(source) : await source.read(0, source.size)),
  );

/** The content of a `.gz` file. */
export async function unpacked(source: ByteSource): Promise<Uint8Array> {
  const packed = new Blob([await source.read(0, source.size)]);
  return new Uint8Array(await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

export const isCells = (value: unknown): value is Cells =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object that a line holds, or the error that says what is wrong with it. */
export function parseObject(line: string, where: string): Cells | DataError {
  try {
    const value: unknown = JSON.parse(line);
    return isCells(value) ? value : new DataError(`${where}: expected an object, found ${line.slice(0, 60)}`);
  } catch (error) {
    return new DataError(`${where}: not JSON: ${(error as Error).message}: ${line.slice(0, 60)}`);
  }
}
