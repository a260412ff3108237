import { crossEntropy, reshape, type Tensor } from "@gpugrad/tensor";
import { toDevice, type ArrayInput } from "../inputs.ts";
import type { BaseModelOutput, HeadOutput } from "../outputs.ts";

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

/** What a model that guesses words gives: logits [B, T, V] made by `head` of the hidden states, and the loss when there are labels. */
export function guessWords(
  head: { forward(x: Tensor): Tensor },
  { last_hidden_state, hidden_states, attentions }: BaseModelOutput,
  labels: ArrayInput | undefined,
): HeadOutput {
  const logits = head.forward(last_hidden_state);
  return { logits, ...(labels !== undefined && { loss: maskedLMLoss(logits, labels) }), hidden_states, attentions };
}
