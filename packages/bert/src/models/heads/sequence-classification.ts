import { bceWithLogits, crossEntropy, mseLoss, reshape, type Tensor } from "@gpugrad/tensor";
import { areClasses, checkInputs, toDevice, type ArrayInput } from "../inputs.ts";
import type { HeadOutput, States } from "../outputs.ts";
import type { PretrainedConfig, ProblemType } from "../pretrained-config.ts";

/**
 * The loss of a classifier of whole texts, by the configuration's `problem_type`, which the first labels decide where it is not set.
 *
 * @param logits [B, num_labels]
 * @param labels class numbers [B]; or targets [B, num_labels] in [0, 1] for several labels; or [B] for a number
 */
export function sequenceClassificationLoss(config: PretrainedConfig, logits: Tensor, labels: ArrayInput): Tensor {
  const problem = (config.problem_type ??= problemOf(config.num_labels, labels));
  if (problem === "single_label_classification") {
    const { tensor, values } = toDevice("labels", labels, "i32");
    checkInputs(config, { classes: values });
    return crossEntropy(logits, reshape(tensor, [logits.shape[0]!]));
  }
  const { tensor } = toDevice("labels", labels, "f32");
  if (problem === "multi_label_classification") return bceWithLogits(logits, tensor);
  return mseLoss(reshape(logits, tensor.shape), tensor);
}

/** What a classifier of whole texts gives: its logits [B, num_labels], and the loss when there are labels. */
export function classified<S extends States>(
  config: PretrainedConfig,
  logits: Tensor,
  labels: ArrayInput | undefined,
  states: S,
): HeadOutput & S {
  const loss = labels === undefined ? undefined : sequenceClassificationLoss(config, logits, labels);
  return { logits, ...(loss && { loss }), ...states };
}

/** Hugging Face's rule: one label is a number to hit; whole numbers are classes; anything else several labels. */
function problemOf(numLabels: number, labels: ArrayInput): ProblemType {
  if (numLabels === 1) return "regression";
  return areClasses(labels) ? "single_label_classification" : "multi_label_classification";
}
