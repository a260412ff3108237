import type { Dataset } from "../data/dataset.ts";
import type { ClassScores } from "../metrics/classification.ts";
import type { CalibrationBin } from "../metrics/ranking.ts";

/** A confusion matrix of more classes can't be read. */
export const MOST_CLASSES = 30;
const MOST_MISTAKES = 20;
/** Of a curve, or of a cloud of predictions. */
const MOST_POINTS = 400;
/** Characters of a text that are kept. */
const LONGEST_TEXT = 10_000;

/** A row that the model got wrong. */
export interface Mistake {
  row: number;
  text: string;
  textPair?: string;
  label: string;
  predicted: string;
  /** Probability that the model gave to its prediction; of a regression, prediction minus label. */
  score: number;
}

/** Numbers by class, or the like. */
export interface Table {
  title: string;
  columns: string[];
  rows: (string | number)[][];
}

/** What a task finds in an evaluation for the report, beyond metrics: small enough to be kept in the page. */
export interface Findings {
  rows: number;
  /** Rows left out here, since a logit or the label was NaN or infinite. */
  nonFinite: number;
  mistakes: Mistake[];
  /** How many there are in all; of a regression, all rows. */
  wrong: number;
  /** Of classes. */
  classes?: {
    names: string[];
    scores: ClassScores[];
    /** `[label, predicted, rows]`, where there are any. */
    confusions: [label: number, predicted: number, rows: number][];
    calibration: { error: number; bins: CalibrationBin[] };
    /** Of two classes: [false positive rate, true positive rate], and the area under them. */
    roc?: { points: [number, number][]; area: number };
  };
  /** Of a regression: [label, prediction]. */
  pairs?: [number, number][];
  /** What else there is to show. */
  tables?: Table[];
}

/** An evaluation as the report keeps it. */
export interface Evaluation extends Findings {
  step: number;
  dataset: string;
  metrics: Record<string, number>;
}

/** The first of some rows, the worst ones, with their texts. */
export function mistakesOf(
  dataset: Dataset,
  order: readonly number[],
  mistake: (row: number) => Omit<Mistake, "row" | "text" | "textPair">,
): Promise<Mistake[]> {
  const read = async (row: number): Promise<Mistake> => {
    const { text, text_pair } = await dataset.row(row);
    return { row, text: cut(text), ...(text_pair && { textPair: cut(text_pair) }), ...mistake(row) };
  };
  return Promise.all(order.slice(0, MOST_MISTAKES).map(read));
}

/** At most MOST_POINTS of them, evenly, with the first and the last. */
export function spread<T>(values: readonly T[], most: number = MOST_POINTS): T[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);
}

const cut = (text: string): string =>
  text.length <= LONGEST_TEXT
    ? text
    : `${text.slice(0, LONGEST_TEXT)} … (${text.length - LONGEST_TEXT} characters more)`;
