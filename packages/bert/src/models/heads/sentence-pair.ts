import { add, crossEntropy, reshape, type Tensor } from "@gpugrad/tensor";
import { toDevice, type ArrayInput } from "../inputs.ts";
import { maskedLMLoss } from "./masked-lm.ts";

/**
 * How the second text of a pair relates to the first: 0 where it follows it, 1 where it doesn't (or where the two are swapped).
 *
 * @param name of the labels, for errors
 * @param logits [B, 2]
 * @param labels [B]
 */
export function sentencePairLoss(name: string, logits: Tensor, labels: ArrayInput): Tensor {
  const { tensor } = toDevice(name, labels, "i32");
  return crossEntropy(logits, reshape(tensor, [logits.shape[0]!]));
}

/** The loss of guessing words plus that of {@link sentencePairLoss}; undefined unless both have labels. */
export function preTrainingLoss(
  words: { logits: Tensor; labels: ArrayInput | undefined },
  pairs: { name: string; logits: Tensor; labels: ArrayInput | undefined },
): Tensor | undefined {
  if (words.labels === undefined || pairs.labels === undefined) return undefined;
  return add(maskedLMLoss(words.logits, words.labels), sentencePairLoss(pairs.name, pairs.logits, pairs.labels));
}
