import type { EncodedRow, NamedArray } from "../../data/batch.ts";
import { DataError } from "../../errors.ts";
import { answerScores, squadV1, squadV2, type AnsweredQuestion } from "../../metrics/squad.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { mistakesOf, type Findings } from "../../report/findings.ts";
import type { Evaluated, Found, Task } from "../task.ts";
import { shiftsOf } from "../token-classification/encode-words.ts";
import { bestAnswers, type AnswerWindow, type BestAnswers, type BestAnswersOptions } from "./best-answers.ts";
import type { WindowRow } from "./dataset.ts";

/** What a model says of a window. */
interface WindowPrediction {
  row: WindowRow;
  window: AnswerWindow;
}

/** The answer to a question. */
export interface PredictedAnswer extends BestAnswers {
  id: string;
  question: string;
}

/** The answers to all questions. */
export interface AnswerPredictions extends Found {
  predictions: PredictedAnswer[];
  /** The answers that count as right, for each question. */
  labels: string[][] | undefined;
  /** The first window of each question. */
  windows: number[];
}

const [START, END] = ["start_positions", "end_positions"] as const;

/**
 * The answer to a question in a context: its first and its last token. Rows are windows, made by `questionWindows`.
 * @param options how answers are found; `version2`: a question may have none
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/question-answering/run_qa.py
 */
export function questionAnswering(options: BestAnswersOptions = {}): Task<AnswerPredictions, WindowPrediction> {
  const { version2 = false } = options;
  return {
    name: "question-answering",
    labelNames: [START, END],
    encode: (rows) =>
      rows.map((row) => {
        const own = row as WindowRow;
        if (!own.window) throw new DataError("question-answering: a row is not a window. Make windows with questionWindows(dataset, tokenizer)."); // prettier-ignore
        const { input_ids, token_type_ids } = own.window;
        return { input_ids, token_type_ids, row: own };
      }),
    collate(rows, pad) {
      const arrays = pad(rows);
      const spans = rows.map((row) => row["row"] as WindowRow | undefined);
      const shifts = shiftsOf(arrays);
      if (!spans.every((row) => row?.window.start !== undefined)) return arrays;
      const positions = (key: "start" | "end"): NamedArray => ({
        ...{
          data: Int32Array.from(spans, (row, b) => row!.window[key]! + shifts[b]!),
          shape: [rows.length],
          dtype: "i32",
        },
      });
      return { ...arrays, [START]: positions("start"), [END]: positions("end") };
    },
    example: () => ({ row: { window: { start: 0, end: 0 } } }),
    problemWith: ({ classWeights, labelSmoothingFactor }) =>
      classWeights === null && labelSmoothingFactor === 0 ? undefined : "classWeights and labelSmoothingFactor are for classes, not for answers", // prettier-ignore
    read: ({ start_logits, end_logits }) => ({ start_logits: start_logits as never, end_logits: end_logits as never }),
    decode({ start_logits, end_logits }, { arrays, encoded }) {
      const T = start_logits!.shape[1]!;
      return shiftsOf(arrays).map((shift, b) => {
        const { input_ids, row } = encoded![b] as EncodedRow & { row: WindowRow };
        const of = ({ data }: NamedArray) => data.slice(b * T + shift, b * T + shift + input_ids.length);
        const { offsets } = row.window;
        const pairs = Array.from(input_ids, (_, t) => (offsets[2 * t]! < 0 ? undefined : ([offsets[2 * t]!, offsets[2 * t + 1]!] as const))); // prettier-ignore
        return { row, window: { startLogits: of(start_logits!), endLogits: of(end_logits!), offsets: pairs } };
      });
    },
    gather(rows) {
      const questions = new Map<number, { row: WindowRow; windows: AnswerWindow[]; first: number }>();
      for (const [i, { row, window }] of rows.entries()) {
        const known = questions.get(row.window.question) ?? { row, windows: [], first: i };
        known.windows.push(window);
        questions.set(row.window.question, known);
      }
      const all = [...questions.values()];
      return {
        predictions: all.map(({ row, windows }) => ({
          ...{ id: row.id, question: row.text },
          ...bestAnswers(row.text_pair, windows, options),
        })),
        labels: all.every(({ row }) => row.answers) ? all.map(({ row }) => row.answers!.map(({ text }) => text)) : undefined, // prettier-ignore
        windows: all.map(({ first }) => first),
      };
    },
    metrics(found) {
      const answered = answeredOf(found);
      if (!version2) return squadV1(answered);
      return Object.fromEntries(Object.entries(squadV2(answered)).filter(([name]) => !name.startsWith("best_")));
    },
    metricNames: ["loss", "f1", ...(version2 ? ["exact", "total", "HasAns_exact", "HasAns_f1", "HasAns_total", "NoAns_exact", "NoAns_f1", "NoAns_total"] : ["exact_match"])], // prettier-ignore
    findings: answerFindings,
    summary({ metrics, predictions }) {
      const { runtime: _, ...plain } = plainMetrics(metrics);
      const exact = plain["exact_match"] ?? plain["exact"] ?? NaN;
      return `exact match ${exact.toFixed(2)} %, F1 ${(plain["f1"] ?? NaN).toFixed(2)} % on ${predictions.length} questions\n\n${metricsTable(plain)}`;
    },
    output: "the first and the last token of an answer",
    card: {
      ...{ tag: "question-answering", name: "Question Answering" },
      usage: (repository) =>
        `from transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\nmodel = AutoModelForQuestionAnswering.from_pretrained(${JSON.stringify(repository)})\ntokenizer = AutoTokenizer.from_pretrained(${JSON.stringify(repository)})`,
    },
  };
}

const answeredOf = ({ predictions, labels }: AnswerPredictions & { labels: string[][] }): AnsweredQuestion[] =>
  predictions.map(({ answer }, i) => ({ prediction: answer, answers: labels[i]! }));

/** The questions that were answered worst. */
async function answerFindings(found: Evaluated<AnswerPredictions>): Promise<Findings> {
  const { predictions, labels, windows, dataset } = found;
  const nonFinite = predictions.filter(({ nBest }) => !nBest.every(({ score }) => Number.isFinite(score))).length;
  const counts = { rows: predictions.length, nonFinite };
  if (!labels) return { ...counts, mistakes: [], wrong: 0 };
  const f1 = answeredOf({ ...found, labels }).map((question) => answerScores(question, 2).f1);
  const order = [...f1.keys()].filter((i) => f1[i]! < 1).sort((i, j) => f1[i]! - f1[j]!);
  const at = new Map(order.map((i) => [windows[i]!, i]));
  const shown = (text: string): string => (text === "" ? "no answer" : text);
  return {
    ...counts,
    mistakes: await mistakesOf(dataset, order.map((i) => windows[i]!), (window) => {
      const i = at.get(window)!;
      const { answer, nBest } = predictions[i]!;
      return { label: shown(labels[i]!.join(" / ")), predicted: shown(answer), score: nBest.find(({ text }) => text === answer)?.probability ?? 0 }; // prettier-ignore
    }),
    wrong: order.length,
  }; // prettier-ignore
}
