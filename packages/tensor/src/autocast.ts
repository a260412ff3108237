import { checked } from "./arguments.ts";
import { check } from "./errors.ts";

/** What the factors of a product are rounded to; sums are f32 always. */
export type ComputeType = "f32" | "f16";

let current: ComputeType = "f32";

/** The type in force: an op reads it in forward, and keeps it for its backward. */
export const computeType = (): ComputeType => current;

/** What {@link autocast} takes. */
export interface AutocastOptions {
  /** The type of factors inside: `"f32"` turns an outer autocast off. */
  dtype?: ComputeType;
}

/**
 * Mixed precision: inside, matmul, linear and attention round their factors to f16 and add the products up in f32, forward and backward;
 * all else, weights and results included, stays f32. Gradients below 6e-8 (on some adapters 6e-5) become 0 in f16, so scale the loss.
 * @throws when `work` is asynchronous: what it does after its first await would be outside
 * @see https://docs.pytorch.org/docs/stable/amp.html#torch.autocast, and docs/decisions/mixed-precision.md for what differs
 */
export const autocast = checked(
  "autocast",
  { work: "function", options: { dtype: ["f32", "f16"] } },
  <T>(work: () => T, { dtype = "f16" }: AutocastOptions = {}): T => {
    const outer = current;
    current = dtype;
    try {
      const result = work();
      check(
        !(result instanceof Promise),
        "autocast: the work is asynchronous. Record the forward pass inside, and await outside.",
      );
      return result;
    } finally {
      current = outer;
    }
  },
);
