import { device, scope } from "@gpugrad/tensor";
import { messageOf, statistics, watch, type Row } from "../harness.ts";
import { classifier, recorded, trainingStep } from "./training.ts";

/** The step called afresh each time, and replayed from a recording, as the Trainer does from the third batch of a shape on. */
export const HOST_CASES = ["host_train_tiny_called", "host_train_tiny_replayed"] as const;
const SAMPLES = 30;

/**
 * What JavaScript costs: a training step of a tiny BERT is recorded and sent off, and only then waited for. Its kernels have next to
 * nothing to compute, so the time is that of our own code and of Dawn's.
 */
export async function measureHost(name: (typeof HOST_CASES)[number]): Promise<Row> {
  const row: Row = {
    case: name,
    room: "host",
    ...{
      ms: null,
      spread: null,
      compile: null,
      gflops: null,
      gbs: null,
      intensity: 0,
      arithmetic: "f32",
      of_limit: null,
    },
    ...{ clock: "wall", kernel: "", dispatches: null, submits: null, adapter: device().adapter.description },
  };
  try {
    return await scope(async () => {
      const model = classifier({ hidden: 32, layers: 2, heads: 2, inner: 64, vocab: 100, length: 8 });
      const called = trainingStep(model, { rows: 2, length: 8 }).step;
      const step = name === "host_train_tiny_called" ? called : recorded(called);
      const once = (): void => {
        scope(() => void step());
        device().queue.flush();
      };
      const samples: number[] = [];
      let counts = { dispatches: 0, submits: 0 };
      for (let i = -3; i < SAMPLES; i++) {
        const start = performance.now();
        counts = watch(once);
        if (i >= 0) samples.push(performance.now() - start); // the first ones compile, and fill caches
        await device().finish();
      }
      const { dispatches, submits } = counts;
      const { median, spread } = statistics(samples);
      return { ...row, ms: median, spread, dispatches, submits, us_per_dispatch: (1000 * median) / dispatches };
    });
  } catch (error) {
    return { ...row, error: messageOf(error) };
  }
}
