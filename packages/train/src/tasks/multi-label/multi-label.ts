import { GpugradError } from "@gpugrad/tensor";
import { withLabelSets } from "../../data/batch.ts";
import { multiLabelF1, multiLabelScores, subsetAccuracy } from "../../metrics/multi-label.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { formatTable } from "../../format.ts";
import type { Findings } from "../../report/findings.ts";
import { textClassificationCard } from "../sequence-classification/card.ts";
import { namesOf, type LabelConfig } from "../sequence-classification/names.ts";
import {
  finiteRows,
  joined,
  nonFiniteRows,
  predictionsOf,
  rowsOf,
  sigmoid,
  type PredictionOutput,
  type Predictions,
  type RowPrediction,
} from "../sequence-classification/predictions.ts";
import type { Task } from "../task.ts";

export interface MultiLabelOptions {
  /** The probability from which on a class is predicted: for all classes, or one for each. Default 0.5. */
  thresholds?: number | readonly number[];
}

/**
 * Any number of classes for each text, each decided by itself: binary cross-entropy of the logits, as Transformers' models have it for
 * `problem_type: "multi_label_classification"`.
 * @param config of the model
 */
export function multiLabelClassification(
  config: LabelConfig,
  { thresholds = 0.5 }: MultiLabelOptions = {},
): Task<Predictions, RowPrediction> {
  const classes = config.num_labels;
  const limits = typeof thresholds === "number" ? new Array<number>(classes).fill(thresholds) : thresholds;
  if (limits.length !== classes || !limits.every((limit) => limit >= 0 && limit <= 1))
    throw new GpugradError(
      `multiLabelClassification: thresholds are ${String(thresholds)}; a probability is needed, or one for each of ${classes} classes.`,
    );
  /** 1 for each class that is predicted. */
  const decide = (logits: Float32Array): Int8Array =>
    Int8Array.from(sigmoid(logits), (p, i) => Number(p > limits[i % classes]!));
  return {
    name: "multi-label-classification",
    collate: withLabelSets(classes),
    problemWith: ({ labelSmoothingFactor, classWeights }) =>
      labelSmoothingFactor > 0 || classWeights !== null
        ? "labelSmoothingFactor and classWeights are for one class per row, but a row of this task may have several"
        : undefined,
    decode: rowsOf,
    gather(rows) {
      const { predictions, labels } = joined(rows);
      return predictionsOf(predictions, classes, labels, sigmoid);
    },
    metrics({ predictions, numLabels, labels }) {
      const f1 = (average: "micro" | "macro" | "samples", picked: Int8Array): number =>
        multiLabelF1(labels, picked, { classes, average }).f1;
      if (nonFiniteRows({ predictions, numLabels }).length > 0) return { accuracy: NaN, f1_micro: NaN, f1_macro: NaN, f1_samples: NaN }; // prettier-ignore
      const picked = decide(predictions);
      return {
        accuracy: subsetAccuracy(labels, picked, classes),
        ...{ f1_micro: f1("micro", picked), f1_macro: f1("macro", picked), f1_samples: f1("samples", picked) },
      };
    },
    metricNames: ["loss", "accuracy", "f1_micro", "f1_macro", "f1_samples"],
    findings: (found) => findingsOf(found, namesOf(config, found.dataset), decide),
    summary(found, unit) {
      const { accuracy, runtime: _, ...others } = plainMetrics(found.metrics);
      const names = namesOf(config, found.dataset);
      const scores = multiLabelScores(found.labels, decide(found.predictions), classes);
      const table = formatTable([
        ["", "precision", "recall", "f1-score", "support"],
        ...scores.map((each) => [
          names[each.label]!,
          ...[each.precision, each.recall, each.f1].map((value) => value.toFixed(4)),
          String(each.support),
        ]),
      ]);
      const rows = found.labels.length / classes;
      return `all classes right ${(100 * (accuracy ?? NaN)).toFixed(2)} % on ${rows} ${unit}\n\n${table}\n\n${metricsTable(others)}`;
    },
    output: `${classes} labels, any number of them for a row`,
    get card() {
      return textClassificationCard(Object.values(config.id2label));
    },
  };
}

/** Scores by class, and how many rows have all classes right. */
async function findingsOf(
  found: PredictionOutput,
  names: string[],
  decide: (logits: Float32Array) => Int8Array,
): Promise<Findings> {
  const { finite, counts } = finiteRows(found);
  const { labels, predictions, numLabels } = found;
  if (!labels || finite.length === 0) return { ...counts, mistakes: [], wrong: 0 };
  const picked = decide(predictions);
  const pick = (values: ArrayLike<number>): number[] =>
    finite.flatMap((row) => Array.from({ length: numLabels }, (_, id) => values[row * numLabels + id]!));
  const [actual, predicted] = [pick(labels), pick(picked)];
  const right = Math.round(subsetAccuracy(actual, predicted, numLabels) * finite.length);
  const scores = multiLabelScores(actual, predicted, numLabels);
  return {
    ...counts,
    mistakes: [],
    wrong: finite.length - right,
    tables: [
      {
        title: "By class",
        columns: ["class", "precision", "recall", "F1", "rows"],
        rows: scores.map(({ label, precision, recall, f1, support }) => [
          names[label]!,
          ...[precision, recall, f1].map((value) => value.toFixed(3)),
          support,
        ]),
      },
    ],
  };
}
