import type { Tensor } from "@gpugrad/tensor";
import type { LayerStack, Shared, StackedLayer } from "./layer-stack.ts";
import type { BaseModelOutput, OutputOptions } from "./outputs.ts";

/** What a model without a head gives: its layers one after the other, then the pooler where it has one. */
export function runEncoder<S extends Shared>(
  encoder: LayerStack<StackedLayer<S>, S>,
  embedded: Tensor,
  shared: S,
  { outputHiddenStates = false, outputAttentions = false }: OutputOptions,
  pooler?: { forward(x: Tensor): Tensor },
): BaseModelOutput {
  const keep = { hiddenStates: outputHiddenStates, attentions: outputAttentions };
  const { last, hiddenStates, attentions } = encoder.forward(embedded, shared, keep);
  return {
    last_hidden_state: last,
    ...(pooler && { pooler_output: pooler.forward(last) }),
    hidden_states: hiddenStates,
    attentions,
  };
}
