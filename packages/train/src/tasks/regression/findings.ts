import { mistakesOf, spread, type Findings } from "../../report/findings.ts";
import { finiteRows, type PredictionOutput } from "../sequence-classification/predictions.ts";

/** Predictions beside labels, and the largest errors. */
export async function regressionFindings(found: PredictionOutput): Promise<Findings> {
  const { predictions, labels, dataset } = found;
  const { finite, counts } = finiteRows(found);
  if (!labels || finite.length === 0) return { ...counts, mistakes: [], wrong: 0 };
  const error = (i: number): number => predictions[i]! - labels[i]!;
  const worst = [...finite].sort((i, j) => Math.abs(error(j)) - Math.abs(error(i)));
  const shown = (value: number): string => String(Number(value.toPrecision(4)));
  return {
    ...counts,
    mistakes: await mistakesOf(dataset, worst, (i) => ({ label: shown(labels[i]!), predicted: shown(predictions[i]!), score: error(i) })), // prettier-ignore
    wrong: finite.length,
    pairs: spread(finite).map((i): [number, number] => [labels[i]!, predictions[i]!]),
  };
}
