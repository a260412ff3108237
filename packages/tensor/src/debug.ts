import type { Tensor } from "./tensor.ts";

/** The seam between ops and the tracing of NaN: `numerics.ts` fills it in, so that ops need not import it. */
export const numerics: {
  enabled: boolean;
  /** Takes note of what `op` made of `args`; in backward, also of the leaf whose gradient it is. */
  inspect: (op: string, args: readonly unknown[], output: Tensor, leaf?: Tensor) => void;
  /** Throws if something noted so far was NaN or infinite without a reason. */
  report: () => Promise<void>;
} = {
  enabled: false,
  inspect: () => undefined,
  report: () => Promise.resolve(),
};
