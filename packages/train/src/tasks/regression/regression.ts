import { withLabels } from "../../data/batch.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { textClassificationCard } from "../sequence-classification/card.ts";
import { defaultMetricNames, regressionMetrics } from "../sequence-classification/metrics.ts";
import {
  joined,
  predictionsOf,
  rowsOf,
  type Predictions,
  type RowPrediction,
} from "../sequence-classification/predictions.ts";
import type { Task } from "../task.ts";
import { regressionFindings } from "./findings.ts";

/** A number for each text. */
export const regression: Task<Predictions, RowPrediction> = {
  name: "regression",
  collate: withLabels("f32"),
  problemWith: ({ labelSmoothingFactor, classWeights }) =>
    labelSmoothingFactor > 0 || classWeights !== null
      ? "labelSmoothingFactor and classWeights are for classes, but the model has one label: a regression"
      : undefined,
  decode: rowsOf,
  gather(rows) {
    const { predictions, labels } = joined(rows);
    return predictionsOf(predictions, 1, labels);
  },
  metrics: regressionMetrics,
  metricNames: defaultMetricNames(1),
  findings: regressionFindings,
  summary({ metrics, labels }, unit) {
    const { runtime: _, ...plain } = plainMetrics(metrics);
    return `on ${labels.length} ${unit}\n\n${metricsTable(plain)}`;
  },
  output: "a number",
  card: textClassificationCard(),
};
