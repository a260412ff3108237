import { DataError } from "../../errors.ts";
import { named } from "../named.ts";
import { TABLE_EXTENSIONS, tableFormat, type OpenSource, type ReadLimits, type Table } from "./table.ts";
import { conllTable } from "./conll.ts";
import { documentTable } from "./documents.ts";
import { jsonTable, recordTable } from "./text-tables.ts";

/**
 * Opens a parquet, JSONL, JSON, CSV or TSV file; `file` is what messages call it. JSON is read whole; of the others, rows are
 * read when they are asked for.
 *
 * @throws {@link DataError} when the file as a whole is malformed.
 */
export function openTable(file: string, open: OpenSource, limits?: ReadLimits): Promise<Table> {
  const isText = limits?.textFiles !== undefined && /\.txt(\.gz)?$/i.test(file);
  const format = isText ? limits.textFiles : tableFormat(file);
  return named(file, async () => {
    // The parquet reader is loaded when a file needs it: a page that trains on its own rows does not carry it.
    if (format === "parquet") return (await import("./parquet.ts")).parquetTable(file, open);
    if (format === "csv" || format === "tsv") return recordTable(file, open, format, limits);
    if (format === "jsonl" || format === "ndjson") return recordTable(file, open, "jsonl", limits);
    if (format === "documents") return documentTable(file, open, limits);
    if (format === "lines") return recordTable(file, open, "lines", limits);
    if (["conll", "bio", "iob", "iob2"].includes(format!)) return conllTable(file, open, limits);
    if (format === "json") return jsonTable(file, open, limits);
    throw new DataError(`${file}: not a known kind of file. Known are ${TABLE_EXTENSIONS.join(", ")}.`);
  });
}
