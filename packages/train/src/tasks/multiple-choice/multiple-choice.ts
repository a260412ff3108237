import { DataError } from "../../errors.ts";
import { encodeRows, type EncodedRow, type NamedArray, type Tokens } from "../../data/batch.ts";
import { Dataset, type Row } from "../../data/dataset.ts";
import { columnOf, isText, listIn, readRows, textIn } from "../../data/read-rows.ts";
import { cellOf, type Cells, type Table } from "../../data/readers/table.ts";
import { shownValue } from "../../data/shown.ts";
import { accuracyScore } from "../../metrics/classification.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { mistakesOf } from "../../report/findings.ts";
import { joined, predictedClasses, predictionsOf, rowsOf, type Predictions, type RowPrediction } from "../sequence-classification/predictions.ts"; // prettier-ignore
import type { Task } from "../task.ts";

/** A text with its possible continuations, and which is right. */
export type ChoiceRow = Row & { text: string; choices: readonly string[]; label?: number };

const [PROMPTS, LISTS] = [
  ["sent1", "context", "prompt", "question", "text"],
  ["choices", "endings", "options"],
];
const endingsOf = ({ columns }: Pick<Table, "columns">): string[] => columns.filter((name) => /^ending\d+$/.test(name)).sort(); // prettier-ignore

/** Whether a table holds choices: SWAG's columns, or a list of them. */
export const holdsChoices = (table: Pick<Table, "columns">): boolean =>
  endingsOf(table).length > 1 || LISTS.some((name) => table.columns.includes(name));

/** How a table's rows hold a text and its choices. */
export interface ChoiceColumns {
  /** The columns that are read. */
  columns: string[];
  /** @throws {@link DataError} for a row without a text, or without choices */
  read: (cells: Cells) => { text: string; choices: readonly string[] };
}

/**
 * Where a text and its choices are: SWAG's columns (`sent1`, `sent2`, `ending0`, …), or a text and a list of `choices`.
 * @throws {@link DataError} listing the columns there are
 */
export function choiceColumns(
  table: Pick<Table, "name" | "columns">,
  options: { textColumn?: string | undefined } = {},
): ChoiceColumns {
  const endings = endingsOf(table);
  const prompt = columnOf(table, PROMPTS, { asked: options.textColumn, flag: "--text_column", what: "the text" });
  const list = endings.length > 1 ? undefined : columnOf(table, LISTS, { flag: "choices", what: "the choices" });
  const start = endings.length > 1 && table.columns.includes("sent2") ? "sent2" : undefined;
  return {
    columns: [prompt, ...endings, ...[list, start].filter((name) => name !== undefined)],
    read(cells) {
      const before = start === undefined ? "" : `${textIn(cells, start)} `;
      const choices = list === undefined ? endings.map((name) => before + textIn(cells, name)) : listIn(cells, list, isText, "texts"); // prettier-ignore
      if (choices.length === 0) throw new DataError("no choices.");
      return { text: textIn(cells, prompt), choices };
    },
  };
}

/**
 * Texts with choices, in memory: SWAG's columns (`sent1`, `sent2`, `ending0`, …, `label`), or a text and a list of `choices`.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/multiple-choice/run_swag.py
 */
export async function choiceDataset(
  table: Table,
  options: { textColumn?: string | undefined; onBadRow?: "throw" | "skip" | undefined } = {},
): Promise<Dataset> {
  const found = choiceColumns(table, options);
  const hasLabels = table.columns.includes("label");
  const read = await readRows(
    table,
    [...found.columns, ...(hasLabels ? ["label"] : [])],
    (cells): ChoiceRow => {
      const { text, choices } = found.read(cells);
      const label = Number(cellOf(cells, "label"));
      if (hasLabels && !(Number.isInteger(label) && label >= 0 && label < choices.length))
        throw new DataError(`the label is ${shownValue(cellOf(cells, "label"))}, not the number of one of ${choices.length} choices, from 0 on.`); // prettier-ignore
      return { text, choices, ...(hasLabels && { label }) };
    },
    options,
  );
  return new Dataset({
    ...{ name: table.name, length: read.rows.length, labels: { numLabels: 0 }, badRows: read.badRows },
    row: (i) => Promise.resolve(read.rows[i]!),
    where: (i) => table.where(read.numbers[i]!),
  });
}

/** One of several continuations of each text. */
export const multipleChoice: Task<Predictions, RowPrediction> = {
  name: "multiple-choice",
  encode: (rows, tokenizer, maxLength) =>
    (rows as readonly ChoiceRow[]).map(({ text, choices, label }) => {
      if (!Array.isArray(choices))
        throw new DataError("multiple-choice: a row has no choices. Read it with choiceDataset().");
      const tokens: Tokens[] = encodeRows(tokenizer, choices.map((text_pair: string) => ({ text, text_pair })), maxLength); // prettier-ignore
      return { input_ids: tokens[0]!.input_ids, tokens, ...(label !== undefined && { label }) };
    }),
  collate(rows, pad) {
    const choices = rows.map((row) => row["tokens"] as readonly EncodedRow[]);
    const count = choices[0]!.length;
    const other = choices.find((own) => own.length !== count);
    if (other) throw new DataError(`multiple-choice: rows of ${count} and of ${other.length} choices in one batch.`);
    const arrays = Object.entries(pad(choices.flat())).map(([name, { data, shape, dtype }]) => [
      name,
      { data, shape: [rows.length, count, shape[1]!], dtype },
    ]) as [string, NamedArray][];
    const labels = rows.flatMap(({ label }) => (label === undefined ? [] : [label]));
    const found = Object.fromEntries(arrays) as ReturnType<typeof pad>;
    if (labels.length < rows.length) return found;
    return { ...found, labels: { data: Int32Array.from(labels), shape: [rows.length], dtype: "i32" } };
  },
  example: (length) => ({ tokens: Array.from({ length: 4 }, () => ({ input_ids: new Int32Array(length) })) }),
  problemWith: ({ classWeights, labelSmoothingFactor }) =>
    classWeights === null && labelSmoothingFactor === 0 ? undefined : "classWeights and labelSmoothingFactor are for classes, not for choices", // prettier-ignore
  decode: rowsOf,
  gather(rows) {
    const { predictions, labels } = joined(rows);
    return predictionsOf(predictions, rows[0]?.logits.length ?? 1, labels);
  },
  metrics: (found) => ({ accuracy: accuracyScore(found.labels, predictedClasses(found)) }),
  metricNames: ["loss", "accuracy"],
  async findings({ classes, scores, labels, dataset }) {
    const counts = { rows: classes.length, nonFinite: 0 };
    if (!labels) return { ...counts, mistakes: [], wrong: 0 };
    const wrong = [...classes.keys()].filter((i) => classes[i] !== labels[i]).sort((i, j) => scores[j]! - scores[i]!);
    const rows = new Map(await Promise.all(wrong.slice(0, 20).map(async (i) => [i, (await dataset.row(i)) as ChoiceRow] as const))); // prettier-ignore
    const shown = (i: number, choice: number): string => rows.get(i)?.choices[choice] ?? String(choice);
    const mistakes = await mistakesOf(dataset, wrong, (i) => ({ label: shown(i, labels[i]!), predicted: shown(i, classes[i]!), score: scores[i]! })); // prettier-ignore
    return { ...counts, mistakes, wrong: wrong.length };
  },
  summary({ metrics, labels }, unit) {
    const { runtime: _, ...plain } = plainMetrics(metrics);
    return `accuracy ${(100 * (plain["accuracy"] ?? NaN)).toFixed(2)} % on ${labels.length} ${unit}\n\n${metricsTable(plain)}`;
  },
  output: "a score for each choice",
  card: {
    ...{ tag: "multiple-choice", name: "Multiple Choice" },
    usage: (repository) =>
      `from transformers import AutoModelForMultipleChoice\n\nmodel = AutoModelForMultipleChoice.from_pretrained(${JSON.stringify(repository)})`,
  },
};
