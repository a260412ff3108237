import { DataError } from "../errors.ts";
import {
  jsonLinesTable,
  jsonTable,
  readSource,
  TABLE_EXTENSIONS,
  tableFormat,
  type OpenSource,
  type Table,
} from "./table.ts";

/**
 * Opens a parquet, JSONL, JSON, CSV or TSV file; `file` is what messages call it. Parquet is read one row group at a time,
 * the text formats whole.
 *
 * @throws {@link DataError} naming file and line when the file is malformed.
 */
export async function openTable(file: string, open: OpenSource): Promise<Table> {
  const format = tableFormat(file);
  // Parquet and CSV readers are loaded when a file needs one: a page that trains on its own rows carries neither.
  if (format === "parquet") return (await import("./parquet.ts")).parquetTable(file, open);
  const text = await readSource(open);
  if (format === "csv" || format === "tsv") return (await import("./csv.ts")).csvTable(file, text, format);
  if (format === "json") return jsonTable(file, text);
  if (format === "jsonl" || format === "ndjson") return jsonLinesTable(file, text);
  throw new DataError(`${file}: not a known kind of file. Known are ${TABLE_EXTENSIONS.join(", ")}.`);
}
