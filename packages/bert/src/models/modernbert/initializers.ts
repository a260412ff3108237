import { beginWith, initializers, type Linear } from "@gpugrad/nn";
import type { ModernBertConfig } from "./modernbert-config.ts";

/** Where a weight is: it says how far from 0 it begins. */
export type Place = "in" | "out" | "embedding" | "final_out";

/**
 * How a weight begins: N(0, std²) without what lies beyond `initializer_cutoff_factor` standard deviations.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/modernbert/modeling_modernbert.py (_init_weights)
 */
export function truncated(config: ModernBertConfig, place: Place) {
  const { initializer_range: range, initializer_cutoff_factor, num_hidden_layers, hidden_size } = config;
  const std = { in: range, embedding: range, out: range / Math.sqrt(2 * num_hidden_layers), final_out: hidden_size ** -0.5 }[place]; // prettier-ignore
  const cutoff = initializer_cutoff_factor * std;
  return (weight: Parameters<typeof initializers.normal>[0]): void =>
    std > 0 && cutoff > 0
      ? initializers.truncatedNormal(weight, { std, low: -cutoff, high: cutoff })
      : initializers.zeros(weight);
}

/** A linear layer whose weight begins so, and whose bias, if it has one, is 0. */
export function beginTruncated<L extends Linear<boolean>>(layer: L, config: ModernBertConfig, place: Place): L {
  beginWith(layer.weight, truncated(config, place));
  if (layer.bias) beginWith(layer.bias, initializers.zeros);
  return layer;
}
