import { crossEntropy, reshape, type Tensor } from "@gpugrad/tensor";
import { toDevice, type ArrayInput } from "../inputs.ts";

/**
 * The mean loss over the words to guess.
 *
 * @param logits [B, T, V]
 * @param labels [B, T], −100 where there is nothing to guess
 */
export function maskedLMLoss(logits: Tensor, labels: ArrayInput): Tensor {
  const { tensor } = toDevice("labels", labels, "i32");
  return crossEntropy(reshape(logits, [-1, logits.shape.at(-1)!]), reshape(tensor, [-1]));
}
