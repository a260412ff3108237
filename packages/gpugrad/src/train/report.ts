import {
  classificationReport,
  formatNumber,
  formatTable,
  predictedClasses,
  type PredictionOutput,
} from "@gpugrad/train";

/** Metrics by their names without `eval_` or `test_`; how long it took is `runtime`. */
export function plainMetrics(metrics: Readonly<Record<string, number>>): Record<string, number> {
  const named = Object.entries(metrics).map(([name, value]) => [name.replace(/^(eval|test)_/, ""), value] as const);
  return Object.fromEntries(named.filter(([name]) => !/^(epoch|step|.*_per_second)$/.test(name)));
}

/** Of more classes, the report has lines for the first. */
const LISTED = 40;

/**
 * What a labelled dataset says of a model, to be read: for classes, accuracy, precision, recall and F1 by class, then the other
 * metrics; for a regression, all metrics.
 */
export function metricsReport(
  prediction: Pick<PredictionOutput, "metrics" | "labels" | "predictions" | "classes" | "numLabels">,
  names: string[],
  unit: string,
): string {
  const { metrics, labels, numLabels } = prediction;
  const { runtime: _, ...plain } = plainMetrics(metrics);
  const rows = labels?.length ?? 0;
  const table = (all: Record<string, number>): string =>
    `${formatTable(Object.entries(all).map(([name, value]) => [name, formatNumber(value)]))}\n`;
  if (numLabels === 1) return `on ${rows} ${unit}\n\n${table(plain)}`;
  const { accuracy, precision: _p, recall: _r, f1: _f, ...others } = plain; // the report has them
  const report = classificationReport(labels!, predictedClasses(prediction), {
    labels: [...names.keys()],
    targetNames: names,
    digits: 4,
  });
  const lines = report.split("\n"); // a heading, an empty line, and a line for each class
  if (names.length > LISTED)
    lines.splice(2 + LISTED, names.length - LISTED, `  … and ${names.length - LISTED} more classes`);
  return `accuracy ${(100 * (accuracy ?? NaN)).toFixed(2)} % on ${rows} ${unit}\n\n${lines.join("\n")}\n${table(others)}`;
}
