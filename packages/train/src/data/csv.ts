import { parse, type CsvError } from "csv-parse/browser/esm/sync"; // the build that needs neither Buffer nor node:stream
import { DataError } from "../errors.ts";
import { memoryTable, type Cells, type Table } from "./table.ts";

/**
 * A CSV file (RFC 4180: quoted fields may hold separators and line ends) or a TSV file (GLUE's: a quote is a character
 * like any other). The first line names the columns.
 *
 * @throws {@link DataError} naming the line of a row with too few or too many fields.
 */
export function csvTable(name: string, text: string, format: "csv" | "tsv"): Table {
  const options =
    format === "csv" ? { delimiter: ",", relax_quotes: true } : ({ delimiter: "\t", quote: false } as const);
  let records: string[][];
  try {
    records = parse(text, { ...options, bom: true, relax_column_count: true });
  } catch (error) {
    const { message, lines } = error as CsvError & { lines?: number };
    throw new DataError(`${name}${lines === undefined ? "" : `, line ${lines}`}: ${message}.`);
  }
  const columns = records[0]?.map((column) => column.trim());
  if (!columns) throw new DataError(`${name}: empty. The first line names the columns, such as text,label.`);
  const rows: Cells[] = [];
  const lines: number[] = [];
  let line = 1;
  for (const record of records) {
    const isHeader = line === 1;
    const isEmpty = record.length === 1 && record[0] === "";
    if (!isHeader && !isEmpty) {
      if (record.length !== columns.length) {
        throw new DataError(
          `${name}, line ${line}: ${record.length} fields for ${columns.length} columns [${columns.join(", ")}]: ` +
            `${record.join(" | ").slice(0, 80)}. ${format === "csv" ? "Quote a field that holds a comma." : "Is a tab missing?"}`,
        );
      }
      rows.push(Object.fromEntries(columns.map((column, c) => [column, record[c]])));
      lines.push(line);
    }
    line += 1 + record.reduce((count, field) => count + (field.match(/\r\n|\n|\r/g)?.length ?? 0), 0); // within quotes
  }
  return memoryTable(name, rows, columns, lines);
}
