import { numerics } from "./debug.ts";
import { checked } from "./arguments.ts";
import { check } from "./errors.ts";
import { defaultGenerator } from "./random.ts";
import type { AdapterInfo } from "./runtime/adapter.ts";
import { device, withDevice } from "./runtime/init.ts";
import { nullGpu } from "./runtime/null-gpu.ts";
import type { PipelineSource } from "./runtime/pipelines.ts";
import { workOf, type DispatchWork } from "./runtime/timestamps.ts";
import { memory } from "./storage.ts";

/** What a {@link dryRun} took. */
export interface DryRun<T> {
  result: T;
  /** The most that tensors held at one time, as `memory().peakBytes`. */
  peakBytes: number;
  /** The most that was allocated, with what waited for reuse: this has to fit the device. */
  allocatedBytes: number;
  /** What would be dispatched, in order. */
  dispatches: DispatchWork[];
  /** What would be compiled: see {@link compileAhead}. */
  pipelines: readonly PipelineSource[];
}

/**
 * Does `work` as the present device would, with the same kernels, but without computing anything: how much memory does it take? A step of
 * a large model takes milliseconds so. Work makes all its tensors by itself, for those of the real device can't be used; numbers can't be
 * read. Random generators of its own aside, nothing is changed.
 *
 * @param options.memoryLimit as of `init()`
 * @param options.adapter what another adapter offers: its kernels are chosen
 * @throws OutOfMemoryError where `work` needs more than the limit, or a tensor that can't be bound
 */
export const dryRun = checked(
  "dryRun",
  { work: "function", options: { memoryLimit: "number?", adapter: "object?" } },
  <T>(work: () => T, options: { memoryLimit?: number; adapter?: Partial<AdapterInfo> } = {}): DryRun<T> => {
    const twin = device().imitation(nullGpu(device().gpu), options.memoryLimit ?? Infinity, options.adapter);
    const dispatches: DispatchWork[] = [];
    const dispatch = twin.queue.dispatch.bind(twin.queue);
    twin.queue.dispatch = (kernel, pipeline, buffers, params, workgroups) => {
      dispatches.push(workOf(kernel.file, buffers, params, workgroups));
      dispatch(kernel, pipeline, buffers, params, workgroups);
    };
    const generator = defaultGenerator.state;
    const checksNumerics = numerics.enabled;
    numerics.enabled = false; // there are none
    try {
      return withDevice(twin, () => {
        const result = work();
        check(!(result instanceof Promise), "dryRun: the work is asynchronous. Only what runs at once can be tried.");
        const { pool, pipelines } = twin;
        const allocatedBytes = pool.peakBytes;
        return { result, peakBytes: memory().peakBytes, allocatedBytes, dispatches, pipelines: pipelines.sources };
      });
    } finally {
      numerics.enabled = checksNumerics;
      defaultGenerator.setState(generator);
      void twin.destroy();
    }
  },
);

/**
 * Compiles the kernels that `work` would use, side by side, where the first call of each would compile one after the other. `work` is tried by
 * {@link dryRun}, so it makes all its tensors by itself; nothing is computed, and what is compiled already costs nothing.
 *
 * ```ts
 * await compileAhead(() => step(new Model(config)));
 * ```
 * @throws what `dryRun` throws; a kernel that does not compile is reported by the op that uses it
 */
export const compileAhead = checked(
  "compileAhead",
  { work: "function" },
  async (work: () => unknown): Promise<void> => {
    await device().pipelines.compileAhead(dryRun(work).pipelines);
  },
);
