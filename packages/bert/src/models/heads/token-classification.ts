import type { Dropout, Linear } from "@gpugrad/nn";
import { crossEntropy, reshape, type Tensor } from "@gpugrad/tensor";
import { checkInputs, toDevice, type ArrayInput } from "../inputs.ts";
import type { BaseModelOutput, HeadOutput } from "../outputs.ts";
import type { PretrainedConfig } from "../pretrained-config.ts";

/**
 * The mean loss over the tokens that have a class.
 *
 * @param logits [B, T, num_labels]
 * @param labels class numbers [B, T], −100 for tokens that do not count
 */
export function tokenClassificationLoss(config: PretrainedConfig, logits: Tensor, labels: ArrayInput): Tensor {
  const { tensor, values } = toDevice("labels", labels, "i32");
  checkInputs(config, { classes: values });
  return crossEntropy(reshape(logits, [-1, logits.shape.at(-1)!]), reshape(tensor, [-1]));
}

interface TokenClassifier {
  readonly config: PretrainedConfig;
  readonly dropout: Dropout;
  readonly classifier: Linear;
}

/** Dropout and a linear layer on each token: all families classify tokens like this. */
export function classifyTokens(
  { config, dropout, classifier }: TokenClassifier,
  { last_hidden_state, hidden_states, attentions }: BaseModelOutput,
  labels: ArrayInput | undefined,
): HeadOutput {
  const logits = classifier.forward(dropout.forward(last_hidden_state));
  const loss = labels === undefined ? undefined : tokenClassificationLoss(config, logits, labels);
  return { logits, ...(loss && { loss }), hidden_states, attentions };
}
