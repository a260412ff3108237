import { add, check, concat, mul, type Tensor } from "@gpugrad/tensor";

/** How adapters are combined: `linear` mixes their A and B, `cat` adds their updates exactly. */
export type CombinationType = "linear" | "cat";

/** An adapter's A and B in a layer, and what their product is multiplied with. */
export interface Part {
  A: Tensor;
  B: Tensor;
  factor: number;
}

/** One A and B whose product is the sum of all updates. */
export const concatenated = (parts: readonly Part[]): { A: Tensor; B: Tensor } => ({
  A: concat(parts.map(({ A, factor }) => mul(A, factor)), { dim: 0 }), // prettier-ignore
  B: concat(parts.map(({ B }) => B), { dim: 1 }), // prettier-ignore
});

/** Sums of A and of B, each with √factor. @throws where ranks differ */
export function mixed(path: string, parts: readonly Part[]): { A: Tensor; B: Tensor } {
  const ranks = new Set(parts.map(({ A }) => A.shape[0]));
  check(ranks.size === 1, () => `addWeightedAdapter: ${path}: ranks ${[...ranks].join(", ")} differ. "cat" takes any.`);
  const total = (tensors: Tensor[]): Tensor => tensors.reduce((a, b) => add(a, b));
  return {
    A: total(parts.map(({ A, factor }) => mul(A, Math.sign(factor) * Math.sqrt(Math.abs(factor))))),
    B: total(parts.map(({ B, factor }) => mul(B, Math.sqrt(Math.abs(factor))))),
  };
}
