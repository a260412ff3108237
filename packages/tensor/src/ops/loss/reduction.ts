import type { Tensor } from "../../tensor.ts";
import { applyBinary } from "../elementwise/apply.ts";
import { mean, sum } from "../reduce/sum.ts";

/** How the losses of all elements (or rows) become one: their mean, their sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

/** How dloss reaches each element: from an element of its own or one for all, times a scale. */
export interface Upstream {
  each: 0 | 1;
  scale: number;
}

/** Reduces losses, and says how the gradient comes back. `batchmean` divides the sum by the first dimension. */
export function reduceLoss(loss: Tensor, reduction: Reduction | "batchmean"): { output: Tensor; upstream: Upstream } {
  switch (reduction) {
    case "none":
      return { output: loss, upstream: { each: 1, scale: 1 } };
    case "sum":
      return { output: sum(loss), upstream: { each: 0, scale: 1 } };
    case "mean":
      return { output: mean(loss), upstream: { each: 0, scale: 1 / loss.size } };
    case "batchmean": {
      const scale = 1 / (loss.shape[0] ?? 1);
      return { output: applyBinary("mul", sum(loss), scale, [], "f32"), upstream: { each: 0, scale } };
    }
  }
}

export const reductions = ["mean", "sum", "none"] as const;
