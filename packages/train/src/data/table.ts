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
  /** Rows `start` to `end - 1`, with these columns. */
  read(start: number, end: number, columns: readonly string[]): Promise<Cells[]>;
  /** The range of rows around row `i` that is best read together, `[start, end]`. */
  blockOf(i: number): readonly [start: number, end: number];
  /** Where row `i` stands, for messages: file and line. */
  where(i: number): string;
}

/** Rows in memory as a table. `lines[i]` is the line that row `i` starts at. */
export function memoryTable(
  name: string,
  rows: readonly Cells[],
  columns: readonly string[],
  lines?: ArrayLike<number>,
): Table {
  return {
    name,
    length: rows.length,
    columns,
    classNames: {},
    read: (start, end) => Promise.resolve(rows.slice(start, end)),
    blockOf: () => [0, rows.length],
    where: (i) => (lines ? `${name}, line ${lines[i]}` : `${name}, row ${i}`),
  };
}

/** Tables one after another, as the shards of a split are. @throws {@link DataError} when their columns differ. */
export function concatTables(name: string, tables: readonly Table[]): Table {
  const [first] = tables;
  if (!first) throw new DataError(`${name}: no files.`);
  if (tables.length === 1) return first;
  for (const table of tables) {
    if (table.columns.join() !== first.columns.join()) {
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
    const k = starts.findLastIndex((start, t) => start <= i && t < tables.length);
    return { table: tables[k]!, start: starts[k]! };
  };
  return {
    name,
    length: starts.at(-1)!,
    columns: first.columns,
    classNames: first.classNames,
    async read(from, to, columns) {
      const parts: Cells[] = [];
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
  withSource(open, async (source) => {
    const bytes = await source.read(0, source.size);
    if (!source.name.endsWith(".gz")) return new TextDecoder().decode(bytes);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  });

const isCells = (value: unknown): value is Cells =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One JSON object per line; empty lines are skipped. */
export function jsonLinesTable(name: string, text: string): Table {
  const rows: Cells[] = [];
  const lines: number[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    rows.push(parseObject(line, `${name}, line ${i + 1}`));
    lines.push(i + 1);
  });
  return memoryTable(name, rows, columnsOf(rows), lines);
}

/** A JSON array of objects, the same under `data`, or an object of columns. */
export function jsonTable(name: string, text: string): Table {
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
  value.forEach((row: unknown, i) => {
    if (!isCells(row)) throw new DataError(`${name}, row ${i}: expected an object, found ${JSON.stringify(row)}.`);
  });
  const rows = value as Cells[];
  return memoryTable(name, rows, columnsOf(rows));
}

function parseObject(line: string, where: string): Cells {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new DataError(`${where}: not JSON: ${(error as Error).message}: ${line.slice(0, 60)}`);
  }
  if (!isCells(value)) throw new DataError(`${where}: expected an object, found ${line.slice(0, 60)}`);
  return value;
}

const columnsOf = (rows: readonly Cells[]) => [...new Set(rows.flatMap((row) => Object.keys(row)))];
