import type { Dataset } from "../../data/dataset.ts";

/** The parts of a configuration that say what the logits of a classifier mean. */
export interface LabelConfig {
  num_labels: number;
  problem_type: "regression" | "single_label_classification" | "multi_label_classification" | null;
  id2label: Readonly<Record<string, string>>;
}

/** The names of the classes: the model's, or the data's where the model has none. */
export const namesOf = ({ num_labels, id2label }: LabelConfig, { labels }: Dataset): string[] =>
  Array.from({ length: num_labels }, (_, id) => {
    const unnamed = `LABEL_${id}`;
    const name = id2label[id] ?? unnamed;
    return name === unnamed ? (labels.names?.[id] ?? unnamed) : name;
  });
