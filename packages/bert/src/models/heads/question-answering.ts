import type { Linear } from "@gpugrad/nn";
import { add, crossEntropy, maximum, minimum, mul, reshape, select, type Tensor } from "@gpugrad/tensor";
import type { AnswerPositions } from "../family.ts";
import { toDevice, type ArrayInput } from "../inputs.ts";
import type { BaseModelOutput, QuestionAnsweringOutput } from "../outputs.ts";

/**
 * The mean of two cross-entropies over the T tokens: where the answer begins, and where it ends. A position beyond the text counts for
 * nothing: the answer is in another window of it.
 *
 * @param start_logits [B, T]
 * @param end_logits [B, T]
 */
export function questionAnsweringLoss(
  { start_logits, end_logits }: { start_logits: Tensor; end_logits: Tensor },
  { start_positions, end_positions }: { start_positions: ArrayInput; end_positions: ArrayInput },
): Tensor {
  const [B, T] = start_logits.shape as [number, number];
  const loss = (name: string, logits: Tensor, positions: ArrayInput): Tensor => {
    const target = reshape(toDevice(name, positions, "i32").tensor, [B]);
    return crossEntropy(logits, maximum(minimum(target, T), 0), { ignoreIndex: T });
  };
  const start = loss("start_positions", start_logits, start_positions);
  return mul(add(start, loss("end_positions", end_logits, end_positions)), 0.5);
}

/** A linear layer that gives each token two scores, of being the first and the last of the answer: all families answer like this. */
export function findAnswers(
  qa_outputs: Linear,
  { last_hidden_state, hidden_states, attentions }: BaseModelOutput,
  { start_positions, end_positions }: AnswerPositions,
): QuestionAnsweringOutput {
  const logits = qa_outputs.forward(last_hidden_state);
  const found = { start_logits: select(logits, 2, 0), end_logits: select(logits, 2, 1) };
  if (start_positions === undefined || end_positions === undefined) return { ...found, hidden_states, attentions };
  const loss = questionAnsweringLoss(found, { start_positions, end_positions });
  return { ...found, loss, hidden_states, attentions };
}
