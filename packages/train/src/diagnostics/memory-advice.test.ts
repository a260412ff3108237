import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import {
  autocast,
  defaultGenerator,
  destroy,
  device,
  fromArray,
  init,
  leaks,
  manualSeed,
  memory,
  undisposed,
  mul,
  OutOfMemoryError,
  record,
  resetPeakMemory,
  scope,
  type Tensor,
  zeros,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { tokenizer } from "../../test/tiny-task.ts";
import { Dataset } from "../data/dataset.ts";
import { AdamW } from "../optim/adamw.ts";
import { clipGradNorm } from "../optim/clip.ts";
import { SGD } from "../optim/sgd.ts";
import { Trainer } from "../trainer/trainer.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { TrainOutput } from "../trainer/run-parts.ts";
import { memoryAdvice, stepMemory, withMemoryAdvice, type StepShape } from "./memory-advice.ts";

const configOf = (hidden: number, layers: number, vocabulary: number): BertConfig =>
  new BertConfig({
    vocab_size: vocabulary,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: hidden / 32,
    intermediate_size: 4 * hidden,
    max_position_embeddings: 128,
  });
const tiny = configOf(32, 2, 500);

interface Training {
  step: () => void;
  dispose: () => void;
}

/** A loop of one's own: inputs on the device, micro-batches, clipping in place. */
function training(config: BertConfig, shape: StepShape): Training {
  const { batchSize: B, length: T, accumulation = 1, gradientCheckpointing, fp16 } = shape;
  const model = BertForSequenceClassification.fromConfig(config).train();
  if (gradientCheckpointing) model.gradientCheckpointingEnable();
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-3 });
  const input_ids = fromArray(Int32Array.from({ length: B * T }, (_, i) => i % 400), [B, T], "i32"); // prettier-ignore
  const attention_mask = fromArray(Int32Array.from({ length: B * T }, (_, i) => (i % T === T - 1 ? 0 : 1)), [B, T], "i32"); // prettier-ignore
  const labels = fromArray(new Int32Array(B), [B], "i32");
  const inputs = { input_ids, attention_mask, labels };
  return {
    step: () =>
      scope(() => {
        for (let i = 0; i < accumulation; i++) {
          scope(() => {
            const { loss } = autocast(() => model.forward(inputs), { dtype: fp16 ? "f16" : "f32" });
            mul(loss!, 1 / accumulation).backward();
          });
        }
        clipGradNorm(optimizer.parameters, 1);
        optimizer.step();
        optimizer.zeroGrad();
      }),
    dispose: () => {
      model.zeroGrad();
      for (const each of [optimizer, model, ...Object.values<Tensor>(inputs)]) each.dispose();
    },
  };
}

describe("stepMemory is what training takes", () => {
  beforeAll(async () => void (await init()));
  afterAll(destroy);
  const cases: [string, BertConfig, StepShape][] = [
    ["tiny", tiny, { batchSize: 2, length: 16 }],
    ["longer", tiny, { batchSize: 4, length: 128 }],
    ["odd sizes", tiny, { batchSize: 3, length: 37 }],
    ["accumulating", tiny, { batchSize: 8, length: 64, accumulation: 4 }],
    ["checkpointing", configOf(32, 4, 500), { batchSize: 8, length: 64, gradientCheckpointing: true }],
    ["in mixed precision", tiny, { batchSize: 8, length: 64, fp16: true }],
    ["small", configOf(64, 4, 2000), { batchSize: 8, length: 64 }],
    ["many words", configOf(64, 1, 20_000), { batchSize: 2, length: 32 }],
  ];
  test.for(cases)("%s", async ([, config, shape]) => {
    device().trim();
    resetPeakMemory();
    const estimate = stepMemory({ config, ...shape });
    expect(device().pool.allocatedBytes, "nothing of it is on the device").toBe(0);
    const { step, dispose } = training(config, shape);
    step();
    const { recording } = record(step);
    recording.replay();
    await device().finish();
    const { peakBytes } = memory();
    const { allocatedBytes } = device().pool;
    recording.dispose();
    dispose();
    expect(memory().storages).toBe(0);
    const message = `estimated ${estimate.peakBytes} and ${estimate.bytes}, measured ${peakBytes} and ${allocatedBytes}`;
    expect(Math.abs(estimate.peakBytes / peakBytes - 1), message).toBeLessThan(0.05);
    expect(Math.abs(estimate.bytes / allocatedBytes - 1), message).toBeLessThan(0.05);
  });
});

test("an optimizer that doesn't fit leaves nothing behind", async () => {
  await init({ memoryLimit: 5e6 });
  onTestFinished(destroy);
  const parameters = ["a", "b"].map((name) => [name, zeros([2 ** 18])] as const); // 1 MiB each, with two moments
  for (const [, parameter] of parameters) parameter.requiresGrad = true;
  expect(() => new AdamW(parameters, { lr: 1 })).toThrow(OutOfMemoryError);
  expect(memory().storages).toBe(2);
});

test("a dry run leaves the generator, the config and the count of leaks alone", async () => {
  await init();
  onTestFinished(destroy);
  const { state } = defaultGenerator;
  const config = configOf(32, 1, 100);
  const before = leaks.count;
  const { parts } = stepMemory({ config, batchSize: 1, length: 8 });
  expect(defaultGenerator.state).toEqual(state);
  expect(config.problem_type).toBeNull();
  expect(leaks.count).toBe(before);
  const { parameters, gradients, optimizerState, savedForBackward } = parts;
  expect(optimizerState / parameters).toBeGreaterThan(1.5); // Adam's two moments, those of small parameters together
  expect(gradients / parameters).toBeCloseTo(1, 1);
  expect(savedForBackward).toBeGreaterThan(0);
  const sgd = stepMemory({
    config,
    batchSize: 1,
    length: 8,
    optimizerFor: (m) => new SGD(m.namedParameters(), { lr: 1 }),
  });
  expect(sgd.parts.optimizerState).toBeLessThan(0.6 * optimizerState);
});

describe("training that doesn't fit", () => {
  const shape = { batchSize: 8, length: 128 };
  const limit = 5e6;

  test("says what would fit; that fits, and the device can be used on", async () => {
    await init({ memoryLimit: limit });
    onTestFinished(destroy);
    const { step, dispose } = training(tiny, shape);
    let error: unknown;
    try {
      step();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    const { message } = withMemoryAdvice(error as OutOfMemoryError, { config: tiny, ...shape });
    expect(message).toMatch(
      /needs .* and the memory limit is 4\.8 MiB\. In use: .*\n +[^ ]+ MiB saved for backward \(/,
    );
    expect(message).toMatch(
      /An update with batches of 8 rows of 128 tokens needs [67]\..* MiB of 4\.77 MiB \(parameters 187 KiB, gradients 187 KiB, optimizer/,
    );
    expect(message).toMatch(
      /What would fit:\n {2}- per_device_train_batch_size 4 with gradient_accumulation_steps 2 \(/,
    );
    expect(message).toMatch(/\n {2}- max_length \d+ \(longer texts are cut\): \d/);
    dispose();
    expect(memory().storages, "storages left over").toBe(0);
    const { changes } = memoryAdvice({ config: tiny, ...shape });
    expect(changes.length).toBeGreaterThan(1);
    for (const { change } of changes) {
      const changed = training(tiny, { ...shape, ...change });
      changed.step();
      changed.dispose();
    }
    await device().finish();
    expect(memory().storages).toBe(0);
  });

  const texts = Array.from({ length: 32 }, (_, i) => ({ text: "abcd".repeat(32).slice(i % 2), label: i % 2 }));
  test.for([
    ["in a forward", limit],
    ["for the optimizer", 5e5],
  ] as const)(
    "the Trainer's error has the advice for its arguments (%s), and it can continue",
    async ([, memoryLimit]) => {
      await init({ memoryLimit });
      onTestFinished(destroy);
      const model = BertForSequenceClassification.fromConfig(tiny);
      const before = undisposed();
      const run = (own: Partial<TrainingArguments>): Promise<TrainOutput> =>
        new Trainer({
          model,
          tokenizer: { ...tokenizer, modelMaxLength: 128 },
          trainDataset: Dataset.fromRows(texts),
          args: { maxSteps: 3, perDeviceTrainBatchSize: 8, maxLength: 128, optim: "adamw_torch", ...own },
        }).train();
      const error = await run({}).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OutOfMemoryError);
      const { message } = error as Error;
      expect(message).toMatch(/^out of memory: .* needs .*, and the memory limit is /);
      expect(message).toContain("An update with batches of 8 rows of 128 tokens needs");
      expect(undisposed(), message).toBe(before);
      expect(model.parameters().every((p) => p.grad === null)).toBe(true);
      const proposed = /per_device_train_batch_size (\d+) with gradient_accumulation_steps (\d+)/.exec(message);
      expect(proposed !== null).toBe(memoryLimit === limit);
      const smaller = {
        perDeviceTrainBatchSize: Number(proposed?.[1]),
        gradientAccumulationSteps: Number(proposed?.[2]),
      };
      if (proposed) expect((await run(smaller)).globalStep).toBe(3);
      else expect((await model.parameters()[0]!.data()).some((x) => x !== 0)).toBe(true);
      expect(undisposed()).toBe(before);
    },
  );

  test("recorded updates of many lengths give way where an update alone fits, and change nothing", async () => {
    const lengths = [30, 30, 60, 60, 128, 128, 60, 30];
    const rows = lengths.flatMap((n) =>
      texts.slice(0, 8).map(({ text, label }) => ({ text: text.slice(0, n), label })),
    );
    const trained = async (memoryLimit: number): Promise<{ weights: number[]; most: number }> => {
      await init({ memoryLimit });
      onTestFinished(destroy);
      manualSeed(1);
      const model = BertForSequenceClassification.fromConfig(tiny);
      await new Trainer({
        ...{ model, tokenizer: { ...tokenizer, modelMaxLength: 128 }, trainDataset: Dataset.fromRows(rows) },
        args: {
          trainSamplingStrategy: "sequential",
          perDeviceTrainBatchSize: 8,
          numTrainEpochs: 1,
          learningRate: 1e-3,
        },
      }).train();
      const weights = (await Promise.all(model.parameters().map((p) => p.data()))).flatMap((values) => [...values]);
      const most = device().pool.peakBytes;
      await destroy();
      return { weights, most };
    };
    await init();
    const { bytes } = stepMemory({ config: tiny, batchSize: 8, length: 128 });
    await destroy();
    const free = await trained(Infinity);
    expect(free.most).toBeGreaterThan(1.2 * bytes);
    const tight = await trained(1.1 * bytes);
    expect(tight.most).toBeLessThanOrEqual(1.1 * bytes);
    expect(tight.weights).toEqual(free.weights);
  });

  test("where nothing fits, it says so; where it fits, that it is something else", async () => {
    await init();
    onTestFinished(destroy);
    const none = memoryAdvice({ config: tiny, ...shape, available: 4e5 });
    expect(none).toMatchObject({ fits: false, changes: [] });
    expect(none.message).toContain("No batch size or length fits: take a smaller model");
    const options = { config: tiny, ...shape, available: 1e9 };
    expect(memoryAdvice(options)).toMatchObject({ fits: true, changes: [] });
    const error = new OutOfMemoryError("out of memory: much");
    expect(withMemoryAdvice(error, options).message).toMatch(/^out of memory: much\n.* By itself it fits\. What else/);
    const optimizerFor = (): never => {
      throw new Error("can't be tried");
    };
    expect(withMemoryAdvice(error, { ...options, optimizerFor })).toBe(error);
  });
});
