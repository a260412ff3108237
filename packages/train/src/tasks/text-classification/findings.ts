import { precisionRecallF1PerClass } from "../../metrics/classification.ts";
import { calibration, rocAucScore, rocCurve } from "../../metrics/ranking.ts";
import { mistakesOf, spread, type Findings } from "../../report/findings.ts";
import { finiteRows, softmax, type PredictionOutput } from "../sequence-classification/predictions.ts";

/** Confusions, scores by class, calibration, and the most confident mistakes. */
export async function classFindings(found: PredictionOutput, names: string[]): Promise<Findings> {
  const { predictions, numLabels, classes, scores, labels, dataset } = found;
  const { finite, counts } = finiteRows(found);
  if (!labels || finite.length === 0) return { ...counts, mistakes: [], wrong: 0 };
  const pick = <T>(values: ArrayLike<T>): T[] => finite.map((i) => values[i]!);
  const wrong = finite.filter((i) => classes[i] !== labels[i]).sort((i, j) => scores[j]! - scores[i]!);
  const [ids, picked] = [pick(labels), pick(classes)];
  const ofOne = numLabels === 2 ? finite.map((i) => softmax(predictions.subarray(2 * i, 2 * i + 2))[1]!) : [];
  return {
    ...counts,
    mistakes: await mistakesOf(dataset, wrong, (i) => ({ label: names[labels[i]!] ?? String(labels[i]), predicted: names[classes[i]!]!, score: scores[i]! })), // prettier-ignore
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
