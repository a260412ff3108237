import { numerics } from "./debug.ts";
import { checked } from "./arguments.ts";
import { check } from "./errors.ts";
import { defaultGenerator } from "./random.ts";
import { device, withDevice } from "./runtime/init.ts";
import { memory } from "./storage.ts";

/** What a {@link dryRun} took. */
export interface DryRun<T> {
  result: T;
  /** The most that tensors held at one time, as `memory().peakBytes`. */
  peakBytes: number;
  /** The most that was allocated, with what waited for reuse: this has to fit the device. */
  allocatedBytes: number;
}

/**
 * Does `work` as the present device would, with the same kernels, but without computing anything: how much memory does it take? A step of
 * a large model takes milliseconds so. Work makes all its tensors by itself, for those of the real device can't be used; numbers can't be
 * read. Random generators of its own aside, nothing is changed.
 *
 * @param options.memoryLimit as of `init()`
 * @throws OutOfMemoryError where `work` needs more than the limit, or a tensor that can't be bound
 */
export const dryRun = checked(
  "dryRun",
  { work: "function", options: { memoryLimit: "number?" } },
  <T>(work: () => T, { memoryLimit = Infinity } = {}): DryRun<T> => {
    const twin = device().imitation(memoryLimit);
    const generator = defaultGenerator.state;
    const checksNumerics = numerics.enabled;
    numerics.enabled = false; // there are none
    try {
      return withDevice(twin, () => {
        const result = work();
        check(!(result instanceof Promise), "dryRun: the work is asynchronous. Only what runs at once can be tried.");
        return { result, peakBytes: memory().peakBytes, allocatedBytes: twin.pool.peakBytes };
      });
    } finally {
      numerics.enabled = checksNumerics;
      defaultGenerator.setState(generator);
      void twin.destroy();
    }
  },
);
