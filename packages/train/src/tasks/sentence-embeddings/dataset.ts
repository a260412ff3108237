import { DataError } from "../../errors.ts";
import { Dataset, type Row } from "../../data/dataset.ts";
import { columnOf, readRows, textIn } from "../../data/read-rows.ts";
import { cellOf, type Table } from "../../data/readers/table.ts";
import { shownValue } from "../../data/shown.ts";

/** Texts that belong together: an anchor, its positive and any number of negatives; or two texts with a score of how alike they are. */
export type SentenceRow = Row & { texts: readonly string[]; label?: number };

const [ANCHORS, POSITIVES, SCORES] = [
  ["anchor", "query"],
  ["positive", "pos"],
  ["score", "similarity_score", "label"],
];
const PAIRS = [
  ["sentence1", "sentence2"],
  ["text1", "text2"],
];

const isAmong = ({ columns }: Pick<Table, "columns">, names: readonly string[]): boolean => names.some((name) => columns.includes(name)); // prettier-ignore

/** Whether a table holds anchors with positives. Scored pairs are known by no column of their own: a regression has the same. */
export const holdsAnchors = (table: Pick<Table, "columns">): boolean =>
  isAmong(table, ANCHORS) && isAmong(table, POSITIVES);

/**
 * Pairs (`anchor`, `positive`), triplets (with `negative`, or `negative_1`, …) or scored pairs (`sentence1`, `sentence2`, `score`), in memory.
 * @param options.labelColumn of the scores
 * @see https://sbert.net/docs/sentence_transformer/dataset_overview.html
 */
export async function sentenceDataset(
  table: Table,
  options: { labelColumn?: string | null | undefined; onBadRow?: "throw" | "skip" | undefined } = {},
): Promise<Dataset> {
  const pair = PAIRS.find((names) => names.every((name) => table.columns.includes(name)));
  const isScored = pair !== undefined && !holdsAnchors(table);
  const texts = isScored
    ? pair
    : [
        columnOf(table, ANCHORS, { flag: "anchor", what: "anchors" }),
        columnOf(table, POSITIVES, { flag: "positive", what: "positives" }),
        ...table.columns.filter((name) => /^(neg|negative)(_?\d+)?$/.test(name)),
      ];
  const asked = options.labelColumn ?? undefined;
  const score = isScored ? columnOf(table, SCORES, { asked, flag: "--label_column", what: "scores" }) : undefined;
  const read = await readRows(
    table,
    [...texts, ...(score === undefined ? [] : [score])],
    (cells): SentenceRow => {
      const own = texts.map((name) => textIn(cells, name));
      return { text: own[0]!, texts: own, ...(score !== undefined && { label: scoreIn(cellOf(cells, score)) }) };
    },
    options,
  );
  return new Dataset({
    ...{ name: table.name, length: read.rows.length, labels: { numLabels: isScored ? 1 : 0 }, badRows: read.badRows },
    row: (i) => Promise.resolve(read.rows[i]!),
    where: (i) => table.where(read.numbers[i]!),
  });
}

function scoreIn(value: unknown): number {
  const number = typeof value === "string" && value.trim() === "" ? NaN : Number(value);
  if (value !== null && Number.isFinite(number)) return number;
  throw new DataError(`the score is ${shownValue(value)}, not a number.`);
}

/** What the rows of a dataset are like. */
export interface SentenceColumns {
  /** Texts of a row. */
  texts: number;
  /** Undefined where rows have no scores. */
  scores?: { least: number; most: number; areBinary: boolean };
}

/** @throws {@link DataError} for rows that are not {@link SentenceRow}s, or have different columns */
export async function sentenceColumns(rows: Dataset): Promise<SentenceColumns> {
  let texts: number | undefined;
  const scores = { least: Infinity, most: -Infinity, areBinary: true };
  let scored = 0;
  for await (const row of rows) {
    const own = row["texts"] as readonly string[] | undefined;
    if (!Array.isArray(own) || own.length < 2)
      throw new DataError(`${rows.name}: a row has no texts that belong together. Read it with sentenceDataset().`);
    if (own.length !== (texts ??= own.length))
      throw new DataError(`${rows.name}: rows of ${texts} and of ${own.length} texts.`);
    if (row.label === undefined) continue;
    scored++;
    scores.least = Math.min(scores.least, row.label);
    scores.most = Math.max(scores.most, row.label);
    scores.areBinary &&= row.label === 0 || row.label === 1;
  }
  if (texts === undefined) throw new DataError(`${rows.name}: no rows.`);
  if (scored > 0 && scored < rows.length)
    throw new DataError(`${rows.name}: ${scored} of ${rows.length} rows have a score.`);
  return { texts, ...(scored > 0 && { scores }) };
}
