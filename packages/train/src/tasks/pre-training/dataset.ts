import { Dataset, type Row } from "../../data/dataset.ts";
import { columnOf, isText, listIn, readRows } from "../../data/read-rows.ts";
import type { Table } from "../../data/readers/table.ts";
import { DataError } from "../../errors.ts";

/** A document: its sentences in their order. */
export type DocumentRow = Row & { readonly sentences: readonly string[] };

/** The usual name of the column. */
const SENTENCES = ["sentences"];

/** Whether a table holds documents as lists of sentences. */
export const holdsDocuments = ({ columns }: Pick<Table, "columns">): boolean =>
  SENTENCES.some((name) => columns.includes(name));

/**
 * Documents as lists of sentences, in memory.
 * @param options `textColumn`: the flag `--text_column`; default `sentences`
 * @throws {@link DataError} for a row without sentences
 */
export async function documentDataset(
  table: Table,
  { textColumn, onBadRow }: { textColumn?: string | undefined; onBadRow?: "throw" | "skip" | undefined } = {},
): Promise<Dataset> {
  const column = columnOf(table, SENTENCES, { asked: textColumn, flag: "--text_column", what: "sentences" });
  const { rows, numbers, badRows } = await readRows(
    table,
    [column],
    (cells): DocumentRow => {
      const sentences = listIn(cells, column, isText, "sentences");
      if (sentences.length === 0) throw new DataError("no sentences.");
      return { text: sentences.join(" "), sentences };
    },
    { onBadRow },
  );
  return new Dataset({
    ...{ name: table.name, length: rows.length, badRows, labels: { numLabels: 0 } },
    row: (i) => Promise.resolve(rows[i]!),
    where: (i) => table.where(numbers[i]!),
  });
}
