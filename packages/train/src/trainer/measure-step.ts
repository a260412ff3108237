import { defaultGenerator, device, scope } from "@gpugrad/tensor";
import type { Batch } from "../data/batch.ts";
import type { TrainableModel } from "../tasks/task.ts";
import type { LossFunction } from "./loss.ts";
import { inMode } from "./mode.ts";

/** Seconds that a forward and backward of a batch take, which change nothing: a first one compiles the kernels, a second is timed. */
export async function secondsOf(model: TrainableModel, batch: Batch, loss: LossFunction): Promise<number> {
  let seconds = 0;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    const generator = defaultGenerator.state;
    inMode(model, true, () => scope(() => loss.forward(model, batch.arrays).loss!.backward()));
    defaultGenerator.setState(generator);
    model.zeroGrad();
    await device().finish();
    seconds = (performance.now() - start) / 1000;
  }
  return seconds;
}
