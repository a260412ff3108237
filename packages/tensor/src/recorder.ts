import type { Tensor } from "./tensor.ts";

/** One call of an op, as it is passed to the recorder. */
export interface Call {
  readonly op: string;
  /** The tensors that gradients can flow to, by name. */
  readonly inputs: Record<string, Tensor | undefined>;
  /** The result; only the first of several is differentiated. */
  readonly output: Tensor;
  /** What backward needs; tensors in it (also in arrays) are retained by the tape. */
  readonly saved: unknown;
  readonly backward: Backward | NotDifferentiable;
  /** Leaves other than the inputs, whose gradients backward adds by itself. */
  readonly leaves?: Iterable<Tensor>;
}

/**
 * Gradients of the inputs by name, from what was saved and the gradient of the output. `needs` says which are wanted, and `onto` has those that
 * came by other ways already: one may be added to in place, and is then given back itself.
 */
export type Backward = (
  saved: never,
  dy: Tensor,
  needs: Record<string, boolean>,
  onto?: Record<string, Tensor | undefined>,
) => Record<string, Tensor | undefined>;

/** Says why an op has no gradient. */
export interface NotDifferentiable {
  readonly why: string;
}

/** What backward takes beside the loss. */
export interface BackwardOptions {
  /** dy of the loss, of its shape; 1 where it is a single number. */
  gradient?: Tensor;
  /** Whether what the tape saved is kept, for another backward (false). */
  retainGraph?: boolean;
  /** Called with each leaf once its `.grad` is complete, while backward continues to the others. */
  onGradient?: (leaf: Tensor) => void;
}

/** The only seam between tensors and autograd: what records calls, and can go back through them. */
export interface Recorder {
  record(call: Call): void;
  /** Whether calls are recorded now. */
  isRecording(): boolean;
  backward(loss: Tensor, options: BackwardOptions): void;
}

/** Autograd puts itself here when it is imported. */
export const hooks: { recorder: Recorder | null } = { recorder: null };
