import { checked } from "../arguments.ts";
import { check } from "../errors.ts";
import { device } from "./init.ts";
import { BATCH } from "./queue.ts";
import { Timestamps, totalsOf, type DispatchTime, type KernelTime } from "./timestamps.ts";

/**
 * Runs `work` and returns how long each kernel took on the device. Each dispatch gets a pass of its own, so the whole takes a little
 * longer than without.
 * @throws when the adapter has no timestamp queries
 */
export const profile = checked("profile", { work: "function" }, async (work: () => unknown): Promise<KernelTime[]> =>
  totalsOf(await traceDispatches(work)),
);

/**
 * Runs `work` and returns for each dispatch when it began and ended on the device, in the order in which they were recorded; as
 * {@link profile} does, which adds them up.
 * @throws when the adapter has no timestamp queries
 */
export const traceDispatches = checked(
  "traceDispatches",
  { work: "function" },
  async (work: () => unknown): Promise<DispatchTime[]> => {
    const { gpu, queue } = device();
    check(gpu.features.has("timestamp-query"), "profile: this adapter has no timestamp queries.");
    const timestamps = new Timestamps(gpu, BATCH);
    queue.time(timestamps);
    try {
      await work();
    } finally {
      queue.stopTiming();
      await device().finish();
    }
    return timestamps.finish();
  },
);
