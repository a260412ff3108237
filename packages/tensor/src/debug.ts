import type { Shape } from "./shape.ts";
import type { DeviceArray } from "./storage.ts";

/** What is recorded about a tensor when its numbers are looked through. */
export interface Inspectable extends DeviceArray {
  readonly shape: Shape;
  readonly size: number;
  /** The op that made it. */
  readonly op: string;
}

/** The seam between ops and the tracing of NaN: `numerics.ts` fills it in, so that ops need not import it. */
export const numerics: {
  enabled: boolean;
  /** Takes note of what `op` made of `args`; in backward, also of the leaf whose gradient it is. */
  inspect: (op: string, args: readonly unknown[], output: Inspectable, leaf?: Inspectable) => void;
  /** Throws if something noted so far was NaN or infinite without a reason. */
  report: () => Promise<void>;
} = {
  enabled: false,
  inspect: () => undefined,
  report: () => Promise.resolve(),
};
