import { destroy, init } from "@gpugrad/tensor";
import { afterEach, expect, test, vi } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { Trainer } from "./trainer.ts";

afterEach(destroy);

/** Kernels for GPUs that take long to compile here. */
const leaveOut = ["matmul/tiled", "matmul/tiledLarge", "attention/tiled"];

/** Two updates on an adapter that passes for a GPU. */
async function train({ ahead }: { ahead: boolean }) {
  const { adapter, pipelines } = await init({ leaveOut });
  Object.assign(adapter, { cpu: false });
  if (!ahead) vi.spyOn(pipelines, "compileAhead").mockResolvedValue();
  let atBegin = 0;
  const model = tinyModel();
  const args = { maxSteps: 2, perDeviceTrainBatchSize: 4, outputDir: null };
  const callbacks = [{ onTrainBegin: () => void (atBegin = pipelines.sources.length) }];
  const { trainingLoss } = await new Trainer({ model, tokenizer, trainDataset: dataset, args, callbacks }).train();
  const weights = await Promise.all(model.parameters().map((parameter) => parameter.data()));
  const later = pipelines.sources.slice(atBegin).map(({ kernel }) => kernel.file);
  await destroy();
  return { trainingLoss, weights, later };
}

test("on a GPU nearly all kernels are compiled before the first update, which computes the same", async () => {
  const one = await train({ ahead: false });
  const two = await train({ ahead: true });
  expect(two.trainingLoss).toBe(one.trainingLoss);
  expect(two.weights).toEqual(one.weights);
  expect(one.later.length).toBeGreaterThan(20);
  expect(two.later.length).toBeLessThan(one.later.length / 5);
  expect(two.later.filter((file) => /matmul|attention|norm-|adamw/.test(file))).toEqual([]);
});
