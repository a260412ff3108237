import type { ByteSource } from "@gpugrad/bert";
import { DataError } from "../../errors.ts";

/** How a text file is cut into records. */
export type RecordFormat = {
  /** Between the fields of a record; undefined where a record is one value, as in JSONL. */
  delimiter?: "," | "\t";
  /** A field that begins with a quote extends to the closing quote, over delimiters and line ends. */
  quotes: boolean;
};

/** Where the records of a file are: their bytes and their lines. */
export type Records = { starts: Float64Array; ends: Float64Array; lines: Uint32Array };

const [LF, CR, QUOTE] = [10, 13, 34];
const PIECE = 1 << 20;

/**
 * Reads a file once, a piece at a time, and notes where its records begin and end: 20 bytes of memory for a record, however
 * long it is. Works on bytes: in UTF-8 a line end, a quote or a delimiter is never part of another character.
 *
 * @throws {@link DataError} naming the line of a quote that nothing closes.
 * @see https://www.rfc-editor.org/rfc/rfc4180
 */
export async function findRecords(source: ByteSource, { delimiter, quotes }: RecordFormat): Promise<Records> {
  const separator = delimiter?.charCodeAt(0);
  const [starts, ends, lines] = [growing(Float64Array), growing(Float64Array), growing(Uint32Array)];
  let line = 1;
  let start = 0;
  let startLine = 1;
  let last = 0; // the byte before
  let isBlank = true;
  let atFieldStart = true;
  let quoted = false; // within a quoted field; a quote in it that another follows leaves it and enters it again
  let leftQuotes = false; // the byte before was a quote within a quoted field
  const endRecord = (end: number) => {
    if (!isBlank) {
      starts.push(start);
      ends.push(end);
      lines.push(startLine);
    }
    isBlank = atFieldStart = true;
    leftQuotes = false;
  };
  let offset = (await hasByteOrderMark(source)) ? 3 : 0;
  start = offset;
  for (; offset < source.size; offset += PIECE) {
    const piece = await source.read(offset, Math.min(PIECE, source.size - offset));
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      const isLineEnd = byte === LF || (byte === CR && separator !== undefined);
      if (isLineEnd && !(byte === LF && last === CR && separator !== undefined)) line++;
      if (quoted) {
        if (byte === QUOTE) [quoted, leftQuotes] = [false, true];
      } else if (isLineEnd) {
        endRecord(offset + i);
        [start, startLine] = [offset + i + 1, line];
      } else {
        if (byte === QUOTE && quotes && (atFieldStart || leftQuotes)) quoted = true;
        leftQuotes = false;
        atFieldStart = byte === separator;
        if (separator !== undefined || byte > 32) isBlank = false;
      }
      last = byte;
    }
  }
  if (quoted) {
    throw new DataError(
      `${source.name}, line ${startLine}: a quote opens a field that nothing closes. Double a quote within quotes: "".`,
    );
  }
  endRecord(source.size);
  return { starts: starts.values(), ends: ends.values(), lines: lines.values() };
}

async function hasByteOrderMark(source: ByteSource): Promise<boolean> {
  const [a, b, c] = await source.read(0, Math.min(3, source.size));
  return a === 0xef && b === 0xbb && c === 0xbf;
}

/** A list of numbers that grows. */
function growing<List extends Float64Array | Uint32Array>(TypedArray: new (length: number) => List) {
  let list = new TypedArray(1024);
  let length = 0;
  return {
    push(value: number) {
      if (length === list.length) {
        const longer = new TypedArray(2 * length);
        longer.set(list);
        list = longer;
      }
      list[length++] = value;
    },
    values: () => list.slice(0, length) as List,
  };
}

/** The fields of one record; what follows a closing quote belongs to the field, as in Python's csv. */
export function splitFields(record: string, { delimiter = ",", quotes }: RecordFormat): string[] {
  if (!quotes || !record.includes('"')) return record.split(delimiter);
  const fields: string[] = [];
  for (let at = 0; at <= record.length;) {
    let field = "";
    while (record[at] === '"') {
      const close = record.indexOf('"', at + 1);
      field += record.slice(at + 1, close);
      at = close + 1;
      if (record[at] === '"') field += '"'; // a doubled quote: the text continues
    }
    const end = record.indexOf(delimiter, at);
    fields.push(field + record.slice(at, end < 0 ? record.length : end));
    at = end < 0 ? record.length + 1 : end + 1;
  }
  return fields;
}
