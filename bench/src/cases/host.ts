import { device, scope } from "@gpugrad/tensor";
import { messageOf, statistics, watch, type Row } from "../harness.ts";
import { classifier, trainingStep } from "./training.ts";

export const HOST_CASE = "host_train_tiny";
const SAMPLES = 30;

/**
 * What JavaScript costs: a training step of a tiny BERT is recorded, and only then waited for. Its kernels have next to nothing to
 * compute, so the time is that of our own code and of Dawn's.
 */
export async function measureHost(): Promise<Row> {
  const row: Row = {
    case: HOST_CASE,
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
      const { step } = trainingStep(classifier({ hidden: 32, layers: 2, heads: 2, inner: 64, vocab: 100, length: 8 }), {
        rows: 2,
        length: 8,
      });
      for (let i = 0; i < 3; i++) scope(() => void step()); // compiles, and fills the caches of bind groups
      await device().finish();
      const samples: number[] = [];
      for (let i = 0; i < SAMPLES; i++) {
        const start = performance.now();
        scope(() => void step());
        device().queue.flush();
        samples.push(performance.now() - start);
        await device().finish();
      }
      const { dispatches, submits } = watch(() => scope(() => void step()));
      await device().finish();
      const { median, spread } = statistics(samples);
      return { ...row, ms: median, spread, dispatches, submits, us_per_dispatch: (1000 * median) / dispatches };
    });
  } catch (error) {
    return { ...row, error: messageOf(error) };
  }
}
