import type { ByteSource } from "@gpugrad/bert";
import { parquetMetadataAsync, parquetReadObjects, type FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError } from "../errors.ts";
import { partOfRow, withSource, type Cells, type OpenSource, type Table } from "./table.ts";

/** To read one row is to read its row group, so all of IMDB's 25,000 reviews, which are most of it, stay. */
const KEPT_CHARACTERS = 40 << 20;

/**
 * A parquet file as a table whose blocks are its row groups. Names of classes come from the `huggingface` entry that the
 * datasets library leaves in the file's metadata.
 *
 * @throws {@link DataError} when the file is no parquet file, or cut short.
 * @see https://parquet.apache.org/docs/file-format/
 */
export async function parquetTable(name: string, open: OpenSource): Promise<Table> {
  const asyncBuffer = (source: ByteSource) => ({
    byteLength: source.size,
    slice: async (start: number, end = source.size) => (await source.read(start, end - start)).buffer,
  });
  const metadata = await withSource(open, (source) => parquetMetadataAsync(asyncBuffer(source))).catch(
    (error: Error) => {
      throw new DataError(`${name}: not a readable parquet file: ${error.message}. Is it complete?`);
    },
  );
  const [root] = metadata.schema;
  const columns = topLevelColumns(metadata.schema.slice(1), root?.num_children ?? 0);
  const starts = [0];
  for (const group of metadata.row_groups) starts.push(starts.at(-1)! + Number(group.num_rows));
  const length = starts.at(-1)!;
  return {
    name,
    length,
    columns,
    classNames: classNamesOf(metadata),
    async read(rowStart, rowEnd, wanted) {
      try {
        return await withSource(open, async (source) => {
          const options = { file: asyncBuffer(source), metadata, compressors, columns: [...wanted] };
          return (await parquetReadObjects({ ...options, rowStart, rowEnd })) as Cells[];
        });
      } catch (error) {
        throw new DataError(
          `${name}: cannot read rows ${rowStart} to ${rowEnd} of ${length}: ${(error as Error).message}. Is the file complete?`,
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

type SchemaNode = { name: string; num_children?: number };

/** Names of the root's children: the schema lists the tree in depth-first order. */
function topLevelColumns(nodes: readonly SchemaNode[], count: number): string[] {
  const names: string[] = [];
  let at = 0;
  const skip = () => {
    const children = nodes[at++]?.num_children ?? 0;
    for (let k = 0; k < children; k++) skip();
  };
  for (let k = 0; k < count; k++) {
    names.push(nodes[at]!.name);
    skip();
  }
  return names;
}

function classNamesOf(metadata: FileMetaData): Record<string, readonly string[]> {
  const entry = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  if (!entry) return {};
  const features = (JSON.parse(entry) as { info?: { features?: Record<string, { _type?: string; names?: string[] }> } })
    .info?.features;
  return Object.fromEntries(
    Object.entries(features ?? {}).flatMap(([column, feature]) =>
      feature._type === "ClassLabel" && feature.names ? [[column, feature.names]] : [],
    ),
  );
}
