import type { LabelConfig } from "./names.ts";

/** What turns logits into scores; `default` goes by the model's task. */
export const SCORE_FUNCTIONS = ["default", "softmax", "sigmoid", "none"] as const;
export type ScoreFunction = (typeof SCORE_FUNCTIONS)[number];

/** A class and its score. */
export interface Score {
  label: string;
  score: number;
}

/**
 * Scores of all classes, the best first, as Transformers' text-classification pipeline has them: softmax over classes, sigmoid for
 * several labels or one, the numbers themselves for a regression. Equal scores keep the order of the classes.
 *
 * @see https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline
 */
export function scoresOf(
  logits: ArrayLike<number>,
  config: LabelConfig,
  functionToApply: ScoreFunction = "default",
): Score[] {
  const apply = functionToApply === "default" ? defaultFunction(config) : functionToApply;
  const x = Array.from(logits);
  const top = Math.max(...x);
  const sum = x.reduce((total, logit) => total + Math.exp(logit - top), 0);
  const score = {
    softmax: (logit: number) => Math.exp(logit - top) / sum,
    sigmoid: (logit: number) => 1 / (1 + Math.exp(-logit)),
    none: (logit: number) => logit,
  }[apply];
  return x.map((logit, i) => ({ label: config.id2label[i]!, score: score(logit) })).sort((a, b) => b.score - a.score);
}

function defaultFunction({ problem_type, num_labels }: Pick<LabelConfig, "problem_type" | "num_labels">) {
  if (problem_type === "regression") return "none";
  return problem_type === "multi_label_classification" || num_labels === 1 ? "sigmoid" : "softmax";
}
