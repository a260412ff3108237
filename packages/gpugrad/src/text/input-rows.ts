import { openFile } from "@gpugrad/bert";
import { check, GpugradError } from "@gpugrad/tensor";
import {
  cellOf,
  choiceColumns,
  DataError,
  findColumns,
  namedError,
  openTable,
  parseObject,
  shownText,
  shownValue,
  type Cells,
  type ColumnOptions,
} from "@gpugrad/train";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** A text, a pair of texts, or a text with choices. */
export type TextRow = {
  text: string;
  text_pair?: string;
  choices?: readonly string[];
};

/** In place of a row that can't be read: what is wrong, with file and line. */
export interface BadRow {
  error: string;
}

/** What lines may hold: a text, or a JSON object. */
export const LINE_FORMATS = ["text", "jsonl"] as const;

/** Where rows come from. */
export interface InputOptions {
  /** Default: standard input. */
  file?: string;
  /** Default: by the end of the file's name, else text; JSONL where a column is named. */
  format?: (typeof LINE_FORMATS)[number];
  textColumn?: string;
  textPairColumn?: string;
  /** Rows have choices. */
  hasChoices?: boolean;
}

/** How a table's rows become texts. */
interface RowReader {
  columns: readonly string[];
  /** @throws where there is no text */
  read: (cells: Cells) => TextRow;
}
type ReaderOf = (table: { name: string; columns: readonly string[] }) => RowReader;

/** Bytes of a line; a longer one is bad. Without a bound, a file without line ends would fill the memory. */
const MAX_LINE = 16 << 20;

/**
 * The rows of a file or of standard input, one after the other, each read when it is asked for. Lines of text and JSONL, also as
 * `.gz`, take no memory that grows with their number; CSV, TSV, parquet and JSON are read as datasets are. A row that can't be
 * read comes as a {@link BadRow}.
 *
 * @throws when the file can't be read, or its columns are not those that were named
 */
export async function* inputRows(options: InputOptions, signal?: AbortSignal): AsyncGenerator<TextRow | BadRow> {
  const { file, format, textColumn, textPairColumn, hasChoices = false } = options;
  const columns = { labelColumn: null, ...(textColumn && { textColumn }), ...(textPairColumn && { textPairColumn }) };
  const readerOf: ReaderOf = (table) =>
    hasChoices ? choiceColumns(table, { textColumn }) : textReader(table, columns);
  const name = file === undefined ? "stdin" : basename(file);
  const isNamed = (extensions: RegExp): boolean => format === undefined && extensions.test(name);
  if (file !== undefined && isNamed(/\.((csv|tsv)(\.gz)?|json|parquet)$/i)) yield* tableRows(file, readerOf);
  else if (format === "jsonl" || isNamed(/\.(jsonl|ndjson)(\.gz)?$/i) || (!format && textColumn))
    yield* jsonRows(name, bytesOf(file, signal), readerOf);
  else if (hasChoices)
    throw new GpugradError(`${name}: lines of text have no choices. Give JSON lines with --format jsonl: {"text": "…", "choices": ["…", "…"]}.`); // prettier-ignore
  else
    for await (const line of linesOf(bytesOf(file, signal)))
      yield orBad(`${name}, line ${line.number}`, () => ({ text: line.text() }));
}

/** The bytes of a file, unpacked, or of standard input. @throws errors that name the file */
async function* bytesOf(file: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  try {
    yield* openBytes(file, signal);
  } catch (error) {
    throw signal?.aborted ? error : namedError(file ?? "stdin", error);
  }
}

function openBytes(file: string | undefined, signal: AbortSignal | undefined): Readable {
  const source: Readable = file === undefined ? process.stdin : createReadStream(file);
  if (signal) addAbortSignal(signal, source); // a read that waits for input would never end
  if (!file?.endsWith(".gz")) return source;
  const unpacked = createGunzip();
  return source.on("error", (error) => unpacked.destroy(error)).pipe(unpacked);
}

/** A line, counted from 1. */
interface Line {
  number: number;
  /** Holds nothing but spaces. */
  isBlank: boolean;
  /** @throws when it is too long, or not UTF-8 */
  text: () => string;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Lines of bytes. A last line end ends the last line and begins no other. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  let count = 0;
  const add = (piece: Uint8Array): void => {
    length += piece.length;
    if (length <= MAX_LINE) pieces.push(piece);
    else pieces = [];
  };
  const end = (): Line => {
    const number = ++count;
    const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    const isTooLong = length > MAX_LINE;
    [pieces, length] = [[], 0];
    const text = (): string => {
      check(!isTooLong, `longer than ${MAX_LINE >> 20} MiB.`);
      const line = decode(bytes).replace(/\r$/, "");
      return number === 1 ? line.replace(/^\uFEFF/, "") : line;
    };
    return { number, isBlank: !isTooLong && bytes.every((byte) => byte <= 32), text };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let at; (at = chunk.indexOf(0x0a, start)) >= 0; start = at + 1) {
      add(chunk.subarray(start, at));
      yield end();
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (length > 0) yield end();
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    const beginning = JSON.stringify(Buffer.from(bytes.subarray(0, 60)).toString("utf8"));
    throw new GpugradError(`not UTF-8: ${beginning}. iconv -t UTF-8 converts a file.`);
  }
}

/** One JSON object per line; empty lines are skipped. */
async function* jsonRows(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  readerOf: ReaderOf,
): AsyncGenerator<TextRow | BadRow> {
  for await (const line of linesOf(bytes)) {
    if (line.isBlank) continue;
    const where = `${name}, line ${line.number}`;
    yield orBad(where, () => {
      const cells = parseObject(line.text(), where);
      if (cells instanceof DataError) throw cells;
      return readerOf({ name: `${where}: no text`, columns: Object.keys(cells) }).read(cells);
    });
  }
}

/** Rows of a file with columns. */
async function* tableRows(file: string, readerOf: ReaderOf): AsyncGenerator<TextRow | BadRow> {
  const table = await openTable(basename(file), () => openFile(file));
  const { columns, read } = readerOf(table);
  for (let row = 0; row < table.length;) {
    const [, end] = table.blockOf(row);
    for (const cells of await table.read(row, end, columns)) {
      const where = table.where(row++);
      yield cells instanceof DataError ? { error: cells.message } : orBad(where, () => read(cells));
    }
  }
}

/** Reads the texts, by the usual names of their columns or those that the options have. */
function textReader(table: Parameters<ReaderOf>[0], options: ColumnOptions): RowReader {
  const { text, textPair } = findColumns(table, options);
  const value = (cells: Cells, column: string): string => {
    const found = cellOf(cells, column);
    check(typeof found === "string", () => `no text: column ${shownText(column)} holds ${shownValue(found)}.`);
    return found;
  };
  return {
    columns: textPair === undefined ? [text] : [text, textPair],
    read: (cells) => ({
      text: value(cells, text),
      ...(textPair !== undefined && { text_pair: value(cells, textPair) }),
    }),
  };
}

/** A row, or what is wrong with it and where. */
function orBad(where: string, row: () => TextRow): TextRow | BadRow {
  try {
    return row();
  } catch (error) {
    // A DataError says where it is.
    return { error: error instanceof DataError ? error.message : `${where}: ${(error as Error).message}` };
  }
}
