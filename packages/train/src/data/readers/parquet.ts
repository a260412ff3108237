import type { ByteSource } from "@gpugrad/bert";
import { parquetMetadataAsync, parquetRead, type FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError } from "../../errors.ts";
import { checkMetadata, checkPages } from "./parquet-check.ts";
import { shownText } from "../shown.ts";
import { isCells, partOfRow, withSource, type Cells, type OpenSource, type Table } from "./table.ts";

/** To read one row is to read its row group, so all of IMDB's 25,000 reviews, which are most of it, stay. */
const KEPT_CHARACTERS = 40 << 20;

/**
 * A parquet file as a table whose blocks are its row groups. Names of classes come from the `huggingface` entry that the
 * datasets library leaves in the file's metadata.
 *
 * @throws {@link DataError} when the file is not a parquet file, or damaged.
 * @see https://parquet.apache.org/docs/file-format/
 */
export async function parquetTable(name: string, open: OpenSource): Promise<Table> {
  const asyncBuffer = (source: ByteSource) => ({
    byteLength: source.size,
    slice: async (start: number, end = source.size) => (await source.read(start, end - start)).buffer,
  });
  const { metadata, names, flat } = await withSource(open, async (source) => {
    const metadata = await parquetMetadataAsync(asyncBuffer(source));
    return { metadata, ...checkMetadata(metadata, source.size) };
  }).catch((error: Error) => {
    throw new DataError(`${name}: not a readable parquet file: ${shownText(error.message)}. Is it complete?`);
  });
  const starts = [0];
  for (const group of metadata.row_groups) starts.push(starts.at(-1)! + Number(group.num_rows));
  const length = starts.at(-1)!;
  const checked = new Set<string>(); // columns of row groups whose pages were looked through

  /** The bytes of these columns, as far as rows need them: in memory at once, so that no read is left that could fail unheard. */
  async function bytesOf(source: ByteSource, wanted: readonly string[], rowStart: number, rowEnd: number) {
    const chunks = new Map<number, ArrayBuffer>();
    for (let group = partOfRow(starts, rowStart); group < starts.length - 1 && starts[group]! < rowEnd; group++) {
      for (const { meta_data: meta } of metadata.row_groups[group]!.columns) {
        const column = flat.get(meta!.path_in_schema[0]!);
        if (!column || !wanted.includes(column.name)) continue;
        const start = Number(meta!.dictionary_page_offset || meta!.data_page_offset);
        const chunk = (await source.read(start, Number(meta!.total_compressed_size))).buffer;
        const key = `${group} ${column.name}`;
        if (!checked.has(key)) checkPages(chunk, meta!, column, compressors);
        checked.add(key);
        chunks.set(start, chunk);
      }
    }
    return {
      byteLength: source.size,
      /** What lies between two columns is read with them, and not looked at. */
      slice(start: number, end = source.size) {
        const bytes = new Uint8Array(end - start);
        for (const [begin, chunk] of chunks) {
          const [from, to] = [Math.max(begin, start), Math.min(begin + chunk.byteLength, end)];
          if (from < to) bytes.set(new Uint8Array(chunk, from - begin, to - from), from - start);
        }
        return bytes.buffer;
      },
    };
  }

  return {
    name,
    length,
    columns: names,
    classNames: classNamesOf(metadata),
    async read(rowStart, rowEnd, wanted) {
      const nested = wanted.find((column) => !flat.has(column));
      if (nested !== undefined) {
        throw new DataError(
          `${name}: column ${shownText(nested)} holds lists or objects in place of texts or numbers. Choose columns with --text_column and --label_column.`,
        );
      }
      try {
        const file = await withSource(open, (source) => bytesOf(source, wanted, rowStart, rowEnd));
        let rows: unknown[][] = [];
        const onComplete = (read: unknown[][]): void => void (rows = read);
        const columns = [...wanted];
        await parquetRead({ file, metadata, compressors, columns, rowStart, rowEnd, rowFormat: "array", onComplete });
        return rows.map((row): Cells => Object.fromEntries(columns.map((column, c) => [column, row[c]])));
      } catch (error) {
        throw new DataError(
          `${name}: cannot read rows ${rowStart} to ${rowEnd} of ${length}: ${shownText((error as Error).message)}. Is the file complete?`,
        );
      }
    },
    blockOf(i) {
      const group = partOfRow(starts, i);
      return [starts[group]!, starts[group + 1] ?? length];
    },
    where: (i) => `${name}, row ${i}`,
    keptCharacters: KEPT_CHARACTERS,
    hasText: (column) =>
      metadata.row_groups.every(({ columns }) => {
        const about = columns.find(({ meta_data }) => meta_data?.path_in_schema.join(".") === column)?.meta_data;
        return about?.type === "BYTE_ARRAY" && about.statistics?.null_count === 0n;
      }),
  };
}

/** Names of classes in the metadata; what is not as the datasets library writes it says nothing. */
function classNamesOf(metadata: FileMetaData): Map<string, readonly string[]> {
  const classNames = new Map<string, readonly string[]>();
  const entry = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  let about: unknown;
  try {
    about = JSON.parse(entry ?? "null");
  } catch {
    return classNames;
  }
  const own = (of: unknown, key: string): unknown => (isCells(of) && Object.hasOwn(of, key) ? of[key] : undefined);
  const features = own(own(about, "info"), "features");
  for (const [column, feature] of Object.entries(isCells(features) ? features : {})) {
    const names = own(feature, "names");
    if (own(feature, "_type") !== "ClassLabel" || !Array.isArray(names)) continue;
    if (names.every((each) => typeof each === "string")) classNames.set(column, names);
  }
  return classNames;
}
