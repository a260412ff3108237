import type { Tokenizer } from "@gpugrad/bert";
import { Dataset, type Row } from "../../data/dataset.ts";
import { columnOf, readRows, textIn } from "../../data/read-rows.ts";
import { cellOf, isCells, memoryTable, type Cells, type Table } from "../../data/readers/table.ts";
import { shownValue } from "../../data/shown.ts";
import { DataError } from "../../errors.ts";

/** An answer that counts as right, and where it begins in the context, in code points. */
export interface Answer {
  text: string;
  answer_start: number;
}

/** A question about a context. */
export type QuestionRow = Row & {
  /** The question. */
  text: string;
  /** The context. */
  text_pair: string;
  id: string;
  /** None where the question can't be answered; undefined where it isn't known. */
  answers?: readonly Answer[];
};

const [QUESTIONS, CONTEXTS] = [["question"], ["context", "passage"]];

/** Whether a table holds questions about contexts: SQuAD's own files, or a row for each question. */
export const holdsQuestions = ({ columns }: Pick<Table, "columns">): boolean =>
  columns.includes("paragraphs") ||
  [QUESTIONS, CONTEXTS].every((names) => names.some((name) => columns.includes(name)));

/**
 * Questions about contexts, in memory: of SQuAD's JSON (`data` → `paragraphs` → `qas`), or of rows `question`, `context` and `answers`, as the Hub has
 * them: `{ text: […], answer_start: […] }`, or a list of `{ text, answer_start }`.
 * @throws {@link DataError} for a question or context without text, or an answer that isn't where it should be
 * @see https://rajpurkar.github.io/SQuAD-explorer/
 */
export async function questionDataset(
  table: Table,
  options: { onBadRow?: "throw" | "skip" | undefined } = {},
): Promise<Dataset> {
  const flat = table.columns.includes("paragraphs") ? await flattened(table) : table;
  const context = columnOf(flat, CONTEXTS, { flag: "--text_pair_column", what: "the context" });
  const columns = [...QUESTIONS, context, "answers", "id"].filter((name) => flat.columns.includes(name));
  const hasAnswers = flat.columns.includes("answers");
  const read = await readRows(
    flat,
    columns,
    (cells, row): QuestionRow => {
      const id = cellOf(cells, "id");
      const text_pair = textIn(cells, context);
      const text = textIn(cells, "question").trimStart(); // spaces would fill tokens that can't be cut
      const answers = hasAnswers && { answers: answersIn(cellOf(cells, "answers"), text_pair) };
      return {
        text,
        text_pair,
        id: typeof id === "string" || typeof id === "number" ? String(id) : String(row),
        ...answers,
      };
    },
    options,
  );
  return new Dataset({
    ...{ name: table.name, length: read.rows.length, labels: { numLabels: 0 }, badRows: read.badRows },
    row: (i) => Promise.resolve(read.rows[i]!),
    where: (i) => flat.where(read.numbers[i]!),
  });
}

/** SQuAD's articles as a row for each question. */
async function flattened(table: Table): Promise<Table> {
  const rows: (Cells | DataError)[] = [];
  const places: string[] = [];
  const list = (value: unknown): Cells[] => (Array.isArray(value) ? value.filter(isCells) : []);
  for (const [i, article] of (await table.read(0, table.length, ["paragraphs"])).entries()) {
    if (article instanceof DataError) throw article;
    for (const [p, paragraph] of list(article["paragraphs"]).entries())
      for (const [q, { question, id, answers }] of list(paragraph["qas"]).entries()) {
        rows.push({ question, id, answers: answers ?? [], context: paragraph["context"] });
        places.push(`${table.where(i)}, paragraph ${p}, question ${q}`);
      }
  }
  const flat = memoryTable(table.name, rows, ["question", "context", "answers", "id"]);
  return { ...flat, where: (i) => places[i]! };
}

function answersIn(value: unknown, context: string): Answer[] {
  const columns = isCells(value) ? value : undefined;
  const texts = columns && Array.isArray(columns["text"]) ? (columns["text"] as unknown[]) : [];
  const starts = columns && Array.isArray(columns["answer_start"]) ? (columns["answer_start"] as unknown[]) : [];
  const list: unknown[] = columns ? texts.map((text, i) => ({ text, answer_start: starts[i] })) : Array.isArray(value) ? value : []; // prettier-ignore
  const seen = new Set<string>();
  return list.flatMap((answer) => {
    const { text, answer_start } = isCells(answer) ? answer : {};
    if (typeof text !== "string" || !Number.isInteger(answer_start))
      throw new DataError(`an answer is ${shownValue(answer)}, not a text and where it begins (answer_start).`);
    const start = answer_start as number;
    if (!matches(context, text, start))
      throw new DataError(
        `the answer ${shownValue(text)} is not at ${start} in the context (answer_start counts characters as Python does).`,
      );
    const key = `${start} ${text}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ text, answer_start: start }];
  });
}

/** Whether a text is in the context at this code point. */
function matches(context: string, text: string, start: number): boolean {
  const isPlain = !/[\u{10000}-\u{10ffff}]/u.test(context); // code points are then what JavaScript counts
  return isPlain ? context.startsWith(text, start) : [...context].slice(start).join("").startsWith(text);
}

/** A question with one of the windows over its context. */
export type WindowRow = QuestionRow & {
  window: AnswerSpan & {
    input_ids: readonly number[];
    token_type_ids: readonly number[];
    /** Where each token lies in the context, two numbers each; −1 for what isn't of it. */
    offsets: Int32Array;
    /** Which question it is. */
    question: number;
  };
};

/** The first and the last token of an answer; those of no answer are the first token, [CLS]. */
interface AnswerSpan {
  start?: number;
  end?: number;
}

/**
 * Windows over the contexts of questions: a row for each. They overlap by `stride` tokens; an answer that isn't whole in a window is none there.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/question-answering/run_qa.py
 */
export async function questionWindows(
  questions: Dataset,
  tokenizer: Tokenizer,
  { maxLength = 384, stride = 128 }: { maxLength?: number; stride?: number } = {},
): Promise<Dataset> {
  const windows: WindowRow[] = [];
  const of: number[] = [];
  for (let i = 0; i < questions.length; i++) {
    const row = (await questions.row(i)) as QuestionRow;
    const encoded = tokenizer.encodeBatch([row.text], {
      ...{ textPairs: [row.text_pair], truncation: "only_second", maxLength, stride, returnOverflowingTokens: true },
    });
    for (const { input_ids, token_type_ids, ...encoding } of encoded.map((each) => ({
      ...{ input_ids: each.input_ids, token_type_ids: each.token_type_ids },
      ...{ offsets: each.offsets, sequences: each.sequence_ids() },
    }))) {
      const offsets = Int32Array.from(encoding.offsets.flatMap((pair, t) => (encoding.sequences[t] === 1 ? pair : [-1, -1]))); // prettier-ignore
      const span = row.answers && spanOf(row.answers[0], offsets);
      windows.push({ ...row, window: { input_ids, token_type_ids, offsets, question: i, ...span } });
      of.push(i);
    }
  }
  return new Dataset({
    ...{ name: questions.name, length: windows.length, labels: questions.labels, badRows: questions.badRows },
    row: (i) => Promise.resolve(windows[i]!),
    where: (i) => questions.where(of[i]!),
  });
}

/** The tokens of a window that hold an answer. */
function spanOf(answer: Answer | undefined, offsets: Int32Array): Required<AnswerSpan> {
  const none = { start: 0, end: 0 };
  if (!answer) return none;
  const [from, to] = [answer.answer_start, answer.answer_start + [...answer.text].length];
  let first = offsets.findIndex((value) => value >= 0) / 2;
  let last = offsets.findLastIndex((value) => value >= 0) >> 1;
  if (first < 0 || !(offsets[2 * first]! <= from && offsets[2 * last + 1]! >= to)) return none;
  const end = last;
  while (first <= end && offsets[2 * first]! <= from) first++;
  while (last >= 0 && offsets[2 * last + 1]! >= to) last--;
  return { start: first - 1, end: last + 1 };
}
