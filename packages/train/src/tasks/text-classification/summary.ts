import { classificationReport } from "../../metrics/classification.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { predictedClasses, type Predictions } from "../sequence-classification/predictions.ts";
import type { Evaluated, Labelled } from "../task.ts";

/** Of more classes, the report has lines for the first. */
const LISTED = 40;

/** Accuracy, precision, recall and F1 by class, then the other metrics. */
export function classSummary(found: Evaluated<Labelled<Predictions>>, names: string[], unit: string): string {
  const { metrics, labels } = found;
  const { runtime: _, accuracy, precision: _p, recall: _r, f1: _f, ...others } = plainMetrics(metrics); // the report has them
  const report = classificationReport(labels, predictedClasses(found), {
    labels: [...names.keys()],
    targetNames: names,
    digits: 4,
  });
  const lines = report.split("\n"); // a heading, an empty line, and a line for each class
  if (names.length > LISTED)
    lines.splice(2 + LISTED, names.length - LISTED, `  … and ${names.length - LISTED} more classes`);
  return `accuracy ${(100 * (accuracy ?? NaN)).toFixed(2)} % on ${labels.length} ${unit}\n\n${lines.join("\n")}\n${metricsTable(others)}`;
}
