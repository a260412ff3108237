import { checkInputs } from "@gpugrad/bert";
import { withLabels } from "../../data/batch.ts";
import type { Dataset } from "../../data/dataset.ts";
import { textClassificationCard } from "../sequence-classification/card.ts";
import { classMetrics, defaultMetricNames } from "../sequence-classification/metrics.ts";
import { namesOf, type LabelConfig } from "../sequence-classification/names.ts";
import {
  joined,
  predictionsOf,
  rowsOf,
  type Predictions,
  type RowPrediction,
} from "../sequence-classification/predictions.ts";
import type { Task } from "../task.ts";
import { classFindings } from "./findings.ts";
import { balancedWeights, classLoss } from "./loss.ts";
import { classSummary } from "./summary.ts";

/** One class for each text. @param config of the model: it is looked at when it is needed */
export function textClassification(config: LabelConfig): Task<Predictions, RowPrediction> {
  const balanced = new WeakMap<Dataset, Promise<readonly number[]>>();
  const balancedOn = (dataset: Dataset | undefined): Promise<readonly number[]> => {
    const known = dataset && balanced.get(dataset);
    if (known) return known;
    const counted = balancedWeights(dataset, config.num_labels);
    if (dataset) balanced.set(dataset, counted);
    return counted;
  };
  return {
    name: "text-classification",
    collate: withLabels("i32"),
    check: ({ labels }, model) => checkInputs(model.config, { classes: labels?.data }),
    createLoss: async ({ args, trainDataset }) =>
      classLoss(args, args.classWeights === "balanced" ? await balancedOn(trainDataset) : undefined),
    problemWith: ({ classWeights: weights }) =>
      Array.isArray(weights) && weights.length !== config.num_labels
        ? `there are ${weights.length} classWeights, but the model has ${config.num_labels} labels`
        : undefined,
    decode: rowsOf,
    gather(rows) {
      const { predictions, labels } = joined(rows);
      return predictionsOf(predictions, config.num_labels, labels);
    },
    metrics: classMetrics,
    metricNames: defaultMetricNames(config.num_labels),
    findings: (found) => classFindings(found, namesOf(config, found.dataset)),
    summary: (found, unit) => classSummary(found, Object.values(config.id2label), unit),
    output: `${config.num_labels} labels`,
    get card() {
      return textClassificationCard(Object.values(config.id2label));
    },
  };
}
