import { GpugradError } from "@gpugrad/tensor";
import type { Dataset } from "../data/dataset.ts";
import { multipleChoice } from "./multiple-choice/multiple-choice.ts";
import { multiLabelClassification } from "./multi-label/multi-label.ts";
import { regression } from "./regression/regression.ts";
import type { LabelConfig } from "./sequence-classification/names.ts";
import type { Predictions, RowPrediction } from "./sequence-classification/predictions.ts";
import type { Found, Task, TrainableModel } from "./task.ts";
import { tokenClassification } from "./token-classification/token-classification.ts";
import { textClassification } from "./text-classification/text-classification.ts";

/** The task that a model's head is for. @throws for a model whose task needs more than the model says: give one */
export function taskOf(model: TrainableModel, dataset: Dataset | undefined): Task<Found> {
  const { architecture = "" } = model.constructor as { architecture?: string };
  if (architecture.endsWith("ForTokenClassification")) return tokenClassification(model.config);
  if (architecture.endsWith("ForMultipleChoice")) return multipleChoice;
  return taskFor(model, dataset);
}

/**
 * The task that a sequence classifier was made for: as `problem_type` says, else by Transformers' rule, a regression with one label, several
 * labels for a row where the data has them, and one class for each text otherwise.
 * @throws for a model with another head
 */
export function taskFor(model: TrainableModel, dataset: Dataset | undefined): Task<Predictions, RowPrediction> {
  const { architecture = "" } = model.constructor as { architecture?: string };
  if (!architecture.endsWith("ForSequenceClassification"))
    throw new GpugradError(
      `Trainer: no task is known for ${architecture || model.constructor.name}. Give one: new Trainer({ model, task, … }).`,
    );
  const config: LabelConfig = model.config;
  const problem = config.problem_type ?? (dataset?.labels.multiLabel ? "multi_label_classification" : null);
  if (problem === "multi_label_classification") return multiLabelClassification(config);
  return config.num_labels === 1 ? regression : textClassification(config);
}
