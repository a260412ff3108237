import type { ColumnMetaData, Compressors, DataReader, FileMetaData, SchemaElement } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readVarInt } from "hyparquet/src/thrift.js";

// hyparquet believes what a file says of itself: it allocates arrays of the sizes that headers announce and repeats values as
// often as they say. A damaged file could so take all memory, or hours. What is checked here bounds both by the file's own size.

/** Rows of a row group, and of a file. */
const [MAX_GROUP_ROWS, MAX_ROWS] = [2 ** 24, 2 ** 28];

/** Bytes that a column of a row group may unpack to at any rate, and how many times its packed bytes where that is more. */
const [FEW_BYTES, MAX_RATIO] = [64 << 20, 200];

const MAX_TEXT_BYTES = 2 ** 30;

/** A column that has one value for each row, of which one may be missing; undefined for columns of lists and objects. */
export type FlatColumn = { name: string; element: SchemaElement };

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}

const isCount = (value: unknown, most: number): value is number | bigint =>
  (typeof value === "number" || typeof value === "bigint") &&
  Number.isInteger(Number(value)) &&
  value >= 0 &&
  value <= most;

/**
 * The columns of a file by position; undefined for those that are lists or objects.
 * @throws where the metadata contradicts itself or the file's size
 */
export function checkMetadata(
  metadata: FileMetaData,
  fileSize: number,
): { names: string[]; flat: Map<string, FlatColumn> } {
  const names: string[] = [];
  const flat = new Map<string, FlatColumn>();
  const { schema } = metadata;
  /** Passes an element and those below it. */
  const end = (at: number, depth: number): number => {
    const element = schema[at];
    ensure(element !== undefined && typeof element.name === "string" && depth < 64, "its schema is incomplete");
    ensure(isCount(element.num_children ?? 0, schema.length), "its schema is incomplete");
    let next = at + 1;
    for (let k = 0; k < (element.num_children ?? 0); k++) next = end(next, depth + 1);
    return next;
  };
  const count = schema[0]?.num_children ?? 0;
  ensure(isCount(count, schema.length), "its schema is incomplete");
  for (let k = 0, at = 1; k < count; k++) {
    const next = end(at, 1);
    const element = schema[at]!;
    names.push(element.name);
    if (next === at + 1 && element.repetition_type !== "REPEATED" && !flat.has(element.name)) {
      flat.set(element.name, { name: element.name, element });
    }
    at = next;
  }

  let rows = 0;
  for (const group of metadata.row_groups) {
    ensure(
      isCount(group.num_rows, MAX_GROUP_ROWS),
      `a row group of ${group.num_rows} rows; at most ${MAX_GROUP_ROWS} are read`,
    );
    rows += Number(group.num_rows);
    for (const { meta_data: meta, file_path } of group.columns) {
      ensure(meta !== undefined && !file_path, "a column is in another file, or encrypted");
      const path = meta.path_in_schema;
      ensure(Array.isArray(path) && names.includes(path[0]!), "a column that its schema does not have");
      if (!flat.has(path[0]!)) continue;
      ensure(path.length === 1, "a column that its schema does not have");
      ensure(
        meta.num_values === group.num_rows,
        `column ${path[0]} has ${meta.num_values} values for ${group.num_rows} rows`,
      );
      const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
      const size = Number(meta.total_compressed_size);
      ensure(
        isCount(start, fileSize) && isCount(size, fileSize) && start + size <= fileSize,
        `column ${path[0]} is at bytes ${start} to ${start + size} of ${fileSize}`,
      );
    }
  }
  ensure(rows <= MAX_ROWS, `${rows} rows; at most ${MAX_ROWS} are read`);
  return { names, flat };
}

/** Looks through the pages of a column of a row group. @throws where they contradict themselves or the metadata */
export function checkPages(
  chunk: ArrayBuffer,
  meta: ColumnMetaData,
  { name, element }: FlatColumn,
  compressors: Compressors,
): void {
  const reader: DataReader = { view: new DataView(chunk), offset: 0 };
  const rows = Number(meta.num_values);
  let [values, unpacked] = [0, 0];
  while (reader.offset < chunk.byteLength - 1 && values < rows) {
    const header = parquetHeader(reader);
    const [packed, size] = [header.compressed_page_size, header.uncompressed_page_size];
    const where = `a page of column ${name}`;
    ensure(isCount(packed, chunk.byteLength - reader.offset), `${where} has ${packed} bytes, more than there are`);
    ensure(isCount(size, MAX_TEXT_BYTES), `${where} has ${size} bytes`);
    unpacked += size;
    ensure(
      unpacked <= Math.max(FEW_BYTES, MAX_RATIO * chunk.byteLength),
      `column ${name} unpacks to more than ${MAX_RATIO} times its bytes`,
    );
    const bytes = new Uint8Array(chunk, reader.offset, packed);
    reader.offset += packed;
    if (header.type === "DICTIONARY_PAGE") {
      ensure(isCount(header.dictionary_page_header?.num_values, 8 * size), `${where} has more values than bytes`);
    } else if (header.type === "DATA_PAGE") {
      const { num_values: count, encoding } = header.data_page_header ?? {};
      ensure(isCount(count, rows - values), `${where} has ${count} values, more than there are rows`);
      values += count;
      const page = readerOf(decompressPage(bytes, size, meta.codec, compressors));
      let present = count;
      if (element.repetition_type !== "REQUIRED")
        present = checkRuns(page, 1, count, page.view.getUint32((page.offset += 4) - 4, true));
      checkValues(page, encoding, element, present);
    } else if (header.type === "DATA_PAGE_V2") {
      const about = header.data_page_header_v2;
      ensure(about !== undefined, `${where} has no header`);
      const { num_values: count, num_nulls: missing, num_rows, encoding, is_compressed } = about;
      const [a, b] = [about.definition_levels_byte_length, about.repetition_levels_byte_length];
      ensure(
        isCount(count, rows - values) && isCount(missing, count) && num_rows === count,
        `${where} has ${count} values, more than there are rows`,
      );
      ensure(isCount(a, packed) && isCount(b, packed - a) && a + b <= size, `${where} has levels longer than itself`);
      values += count;
      if (element.repetition_type !== "REQUIRED") checkRuns(readerOf(bytes.subarray(b, a + b)), 1, count, a);
      const rest = bytes.subarray(a + b);
      const page = is_compressed === false ? rest : decompressPage(rest, size - a - b, meta.codec, compressors);
      checkValues(readerOf(page), encoding, element, count - missing);
    }
  }
  ensure(values === rows, `column ${name} has ${values} values for ${rows} rows`);
}

const readerOf = (bytes: Uint8Array): DataReader => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  offset: 0,
});

/** Values of a page, where their number is not bounded by their bytes. */
function checkValues(page: DataReader, encoding: string | undefined, element: SchemaElement, count: number): void {
  if (encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY" || encoding === "RLE") {
    if (element.type === "BOOLEAN") checkRuns(page, 1, count, page.view.getUint32((page.offset += 4) - 4, true));
    else {
      const width = page.view.getUint8(page.offset++);
      ensure(width <= 32, `indices of ${width} bits`);
      if (width > 0) checkRuns(page, width, count, page.view.byteLength - page.offset);
    }
  } else if (encoding === "DELTA_BYTE_ARRAY") {
    const [prefixes, suffixes] = [new Int32Array(count), new Int32Array(count)];
    if (count > 0) for (const lengths of [prefixes, suffixes]) deltaBinaryUnpack(page, count, lengths);
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      ensure(prefixes[i]! >= 0 && suffixes[i]! >= 0, "a text of negative length");
      bytes += prefixes[i]! + suffixes[i]!;
    }
    ensure(bytes <= MAX_TEXT_BYTES, `texts of ${bytes} bytes in one page`);
  }
}

/** Runs of repeated or packed values, `length` bytes. Leaves the reader behind them. @returns how many values are 1 */
function checkRuns(page: DataReader, width: number, count: number, length: number): number {
  const start = page.offset;
  ensure(isCount(length, page.view.byteLength - start), "values that end behind their page");
  let [seen, ones] = [0, 0];
  while (seen < count) {
    ensure(page.offset < start + length, "fewer values than announced");
    const header = readVarInt(page);
    if (header & 1) {
      const [packed, bytes] = [(header >>> 1) * 8, (header >>> 1) * width];
      if (width === 1) {
        for (let k = 0; k < packed && seen + k < count; k++)
          ones += (page.view.getUint8(page.offset + (k >> 3)) >> (k & 7)) & 1;
      }
      page.offset += bytes;
      seen += packed;
    } else {
      const run = header >>> 1;
      ensure(run <= count - seen, "a run of more values than announced");
      if (page.view.getUint8(page.offset) === 1) ones += run;
      page.offset += (width + 7) >> 3;
      seen += run;
    }
  }
  page.offset = start + length;
  return ones;
}
