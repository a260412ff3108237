import { precisionRecallF1PerClass, type ClassScores } from "../metrics/classification.ts";
import { calibration, rocAucScore, rocCurve, type CalibrationBin } from "../metrics/ranking.ts";
import { softmax, type PredictionOutput } from "../trainer/prediction.ts";

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

/** What an evaluation found, beyond its metrics: small enough to be kept in the page. */
export interface Evaluation {
  step: number;
  dataset: string;
  rows: number;
  /** Rows left out here, since a logit or the label was NaN or infinite. */
  nonFinite: number;
  metrics: Record<string, number>;
  mistakes: Mistake[];
  /** How many there are in all; of a regression, all rows. */
  wrong: number;
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
}

/** What the report shows of an evaluation; the texts of the worst mistakes are read from the dataset. */
export async function evaluationOf(
  { predictions, numLabels, classes, scores, labels, dataset }: PredictionOutput,
  id2label: Readonly<Record<string, string>>,
  about: { step: number; dataset: string; metrics: Record<string, number> },
): Promise<Evaluation> {
  const logitsOf = (i: number): Float32Array => predictions.subarray(i * numLabels, (i + 1) * numLabels);
  const finite = (labels ?? []).flatMap((label, i) =>
    Number.isFinite(label) && logitsOf(i).every(Number.isFinite) ? [i] : [],
  );
  const found = { ...about, rows: classes.length, nonFinite: labels ? labels.length - finite.length : 0 };
  if (!labels || finite.length === 0) return { ...found, mistakes: [], wrong: 0 };

  const pick = <T>(values: ArrayLike<T>): T[] => finite.map((i) => values[i]!);
  const read = (order: readonly number[], mistake: (i: number) => Omit<Mistake, "row" | "text" | "textPair">) =>
    Promise.all(
      order.slice(0, MOST_MISTAKES).map(async (i): Promise<Mistake> => {
        const { text, text_pair } = await dataset.row(i);
        return { row: i, text: cut(text), ...(text_pair && { textPair: cut(text_pair) }), ...mistake(i) };
      }),
    );

  if (numLabels === 1) {
    const error = (i: number): number => predictions[i]! - labels[i]!;
    const worst = [...finite].sort((i, j) => Math.abs(error(j)) - Math.abs(error(i)));
    const shown = (value: number): string => String(Number(value.toPrecision(4)));
    const mistakes = await read(worst, (i) => ({ label: shown(labels[i]!), predicted: shown(predictions[i]!), score: error(i) })); // prettier-ignore
    const pairs = spread(finite).map((i): [number, number] => [labels[i]!, predictions[i]!]);
    return { ...found, mistakes, wrong: finite.length, pairs };
  }

  const names = Array.from({ length: numLabels }, (_, id) => {
    const unnamed = `LABEL_${id}`;
    const name = id2label[id] ?? unnamed;
    return name === unnamed ? (dataset.labels.names?.[id] ?? unnamed) : name;
  });
  const wrong = finite.filter((i) => classes[i] !== labels[i]).sort((i, j) => scores[j]! - scores[i]!);
  const mistakes = await read(wrong, (i) => ({ label: names[labels[i]!] ?? String(labels[i]), predicted: names[classes[i]!]!, score: scores[i]! })); // prettier-ignore
  const [ids, picked] = [pick(labels), pick(classes)];
  const ofOne = numLabels === 2 ? finite.map((i) => softmax(logitsOf(i))[1]!) : [];
  return {
    ...found,
    mistakes,
    wrong: wrong.length,
    classes: {
      names,
      scores: precisionRecallF1PerClass(ids, picked, { labels: names.map((_, id) => id) }),
      confusions: confusionsOf(ids, picked),
      calibration: calibration(pick(scores), ids.map((label, i) => label === picked[i])), // prettier-ignore
      ...(numLabels === 2 &&
        new Set(ids).size === 2 && {
          roc: {
            points: spread(rocCurve(ids, ofOne)).map((at): [number, number] => [at.falsePositiveRate, at.truePositiveRate]), // prettier-ignore
            area: rocAucScore(ids, ofOne),
          },
        }),
    },
  };
}

/** The confusion matrix where it isn't 0. */
function confusionsOf(labels: readonly number[], predicted: readonly number[]): [number, number, number][] {
  const counts = new Map<string, [number, number, number]>();
  for (const [i, label] of labels.entries()) {
    const key = `${label} ${predicted[i]}`;
    const entry = counts.get(key) ?? [label, predicted[i]!, 0];
    entry[2]++;
    counts.set(key, entry);
  }
  return [...counts.values()];
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
