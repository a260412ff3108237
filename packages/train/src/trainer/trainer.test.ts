import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { registerHook } from "@gpugrad/autograd";
import { destroy, device, full, init, manualSeed, memory, undisposed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BatchTokenizer } from "../data/batch.ts";
import { Dataset, type Row } from "../data/dataset.ts";
import type { StepEvent } from "./callbacks.ts";
import { Trainer } from "./trainer.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** One id per letter: enough to train on. */
const tokenizer: BatchTokenizer = {
  modelMaxLength: 16,
  padTokenId: 0,
  encodeBatch: (texts, { maxLength }) =>
    texts.map((text) => {
      const ids = [1, ...Array.from(text, (c) => c.charCodeAt(0) - 94)].slice(0, maxLength);
      return { input_ids: ids, attention_mask: ids.map(() => 1), token_type_ids: ids.map(() => 0) };
    }),
};

/** "ab…" is class 1 where an a comes before the first b. */
const rows: Row[] = Array.from({ length: 64 }, (_, i) => {
  const text = Array.from({ length: 4 + (i % 3) }, (_, k) => ((i * 7 + k * 5 + ((i * k) % 3)) % 2 ? "a" : "b")).join(
    "",
  );
  return { text, label: text.startsWith("a") ? 1 : 0 };
});

function smallModel(dropout = 0): BertForSequenceClassification {
  manualSeed(1);
  return BertForSequenceClassification.fromConfig(
    new BertConfig({
      vocab_size: 30,
      hidden_size: 16,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 32,
      max_position_embeddings: 16,
      hidden_dropout_prob: dropout,
      attention_probs_dropout_prob: dropout,
      initializer_range: 0.1,
    }),
  );
}

const args = { learningRate: 5e-3, perDeviceTrainBatchSize: 16, maxLength: 8, padding: "max_length" } as const;
const train = Dataset.fromRows(rows);

test("learns, reports every step in order, and evaluates", async () => {
  const events: StepEvent[] = [];
  const trainer = new Trainer({
    model: smallModel(),
    tokenizer,
    trainDataset: train,
    evalDataset: train,
    args: { ...args, numTrainEpochs: 10 },
    callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void events.push(result!) }],
  });
  expect(trainer.totalSteps).toBe(40);
  const { globalStep, trainingLoss, completed, metrics } = await trainer.train();
  expect([globalStep, completed]).toEqual([40, true]);
  expect(events.map((e) => e.step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(events[0]!.learningRate).toBe(5e-3); // the rate a step used, not the next one
  expect(events[39]!.learningRate).toBeCloseTo(5e-3 / 40, 12); // linear: the last step is not yet at 0
  expect(events.map((e) => e.epoch).slice(0, 5)).toEqual([0.25, 0.5, 0.75, 1, 1.25]);
  expect(trainingLoss).toBeCloseTo(events.reduce((sum, e) => sum + e.loss, 0) / 40, 6);
  expect(metrics.epoch).toBe(10);
  expect((await trainer.evaluate())["eval_accuracy"]).toBeGreaterThan(0.95);
  expect((await trainer.predict(train)).labels).toEqual(rows.map((row) => row.label));
});

test("the same seed gives the same losses, dropout included; another seed others", async () => {
  const losses = async (seed: number): Promise<number[]> => {
    const seen: number[] = [];
    const trainer = new Trainer({
      model: smallModel(0.2),
      tokenizer,
      trainDataset: train,
      args: { ...args, seed, maxSteps: 6 },
      callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void seen.push(result!.loss) }],
    });
    await trainer.measureStep(); // changes nothing
    await trainer.train();
    return seen;
  };
  const first = await losses(3);
  expect(await losses(3)).toEqual(first);
  expect(await losses(4)).not.toEqual(first);
});

test("stop() ends after the step under way", async () => {
  const trainer = new Trainer({
    model: smallModel(),
    tokenizer,
    trainDataset: train,
    args,
    callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void (result!.step === 3 && trainer.stop()) }],
  });
  const { globalStep, completed } = await trainer.train();
  expect(globalStep).toBeLessThan(7); // what was under way when the third was reported
  expect(completed).toBe(false);
});

test("rows in the order of trainIndices", async () => {
  const trainer = new Trainer({
    model: smallModel(),
    tokenizer,
    trainDataset: train,
    trainIndices: [5, 3, 3, 60],
    args: { ...args, perDeviceTrainBatchSize: 2, numTrainEpochs: 1 },
  });
  expect(trainer.totalSteps).toBe(2);
  expect((await trainer.train()).globalStep).toBe(2);
});

test("500 updates: memory on device and host is flat after the tenth", async () => {
  const device_: number[] = [];
  const rss: number[] = [];
  const trainer = new Trainer({
    model: smallModel(0.1),
    tokenizer,
    trainDataset: train,
    args: { ...args, maxSteps: 500 },
    callbacks: [
      {
        onStepResult: () => {
          device_.push(memory().bytes + device().pool.freeBytes);
          rss.push(process.memoryUsage().rss);
        },
      },
    ],
  });
  await trainer.train();
  expect(Math.max(...device_.slice(10))).toBe(device_[10]);
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  expect(mean(rss.slice(450)) - mean(rss.slice(100, 150))).toBeLessThan(32 * 2 ** 20); // room for the garbage collector; the sharp test is the line above
});

describe("fp16", () => {
  /** Trains for `steps`; what `badAt` names gets an infinite gradient in that update. */
  async function eventsOf(fp16: boolean, steps: number, badAt?: number): Promise<StepEvent[]> {
    const events: StepEvent[] = [];
    const model = smallModel();
    const trainer = new Trainer({
      model,
      tokenizer,
      trainDataset: train,
      args: { ...args, fp16, maxSteps: steps, recordSteps: false },
      callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void events.push(result!) }],
    });
    let step = 0;
    const stopHook = registerHook(model.classifier.bias, (dy) =>
      ++step === badAt ? full(dy.shape, Infinity) : undefined,
    );
    await trainer.train();
    stopHook();
    model.dispose();
    return events;
  }

  test("20 updates follow those in f32", async () => {
    const [half, single] = [await eventsOf(true, 20), await eventsOf(false, 20)];
    for (const [i, { loss, gradNorm, learningRate }] of single.entries()) {
      // factors have 11 bits: losses differ by 1e-3 or so, and drift apart slowly
      expect(Math.abs(half[i]!.loss - loss)).toBeLessThan(4e-3);
      expect(Math.abs(half[i]!.gradNorm / gradNorm - 1)).toBeLessThan(0.05);
      expect(half[i]!.learningRate).toBe(learningRate);
    }
    expect(half.map((e) => e.loss)).not.toEqual(single.map((e) => e.loss));
    expect(half.at(-1)).toMatchObject({ lossScale: 65536, skippedSteps: 0 });
    expect(single[0]).not.toHaveProperty("lossScale");
  });

  test("an infinite gradient skips its update alone; the schedule waits for it", async () => {
    const events = await eventsOf(true, 8, 3);
    const plain = await eventsOf(true, 8);
    expect(events.map((e) => e.lossScale)).toEqual([65536, 65536, 65536, 32768, 32768, 32768, 32768, 32768]);
    expect(events.map((e) => e.skippedSteps)).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
    expect(events[2]!.gradNorm).toBe(Infinity);
    expect(events.slice(0, 3).map((e) => e.loss)).toEqual(plain.slice(0, 3).map((e) => e.loss));
    expect(events.every((e) => Number.isFinite(e.loss))).toBe(true);
    const rates = plain.map((e) => e.learningRate);
    expect(events.map((e) => e.learningRate)).toEqual([0, 1, 2, 3, 3, 4, 5, 6].map((i) => rates[i]));
  });

  test("200 updates: memory on the device is flat", async () => {
    const before = undisposed();
    const bytes: number[] = [];
    const model = smallModel(0.1);
    const trainer = new Trainer({
      model,
      tokenizer,
      trainDataset: train,
      evalDataset: train,
      args: { ...args, fp16: true, maxSteps: 200 },
      callbacks: [{ onStepResult: () => void bytes.push(memory().bytes + device().pool.freeBytes) }],
    });
    await trainer.train();
    expect(Math.max(...bytes.slice(10))).toBe(bytes[10]);
    expect((await trainer.evaluate())["eval_accuracy"]).toBeGreaterThan(0.9);
    model.dispose();
    expect(undisposed()).toBe(before);
  });
});

test("a failure comes out of train(), also while the next batch is awaited", async () => {
  const slow = new Dataset({
    name: "slow",
    length: 32,
    labels: { numLabels: 2 },
    row: (i) => new Promise((resolve) => setTimeout(resolve, 20, rows[i])),
  });
  const trainer = new Trainer({
    model: smallModel(),
    tokenizer,
    trainDataset: slow,
    args: { ...args, perDeviceTrainBatchSize: 4, dataloaderPrefetch: 0 },
    callbacks: [
      () => {
        throw new Error("the callback's own");
      },
    ],
  });
  await expect(trainer.train()).rejects.toThrow("the callback's own");
});

test("nothing to train on is an error, not a loop without end", async () => {
  const few = { model: smallModel(), tokenizer, trainDataset: train.take(5) };
  await expect(
    new Trainer({ ...few, args: { ...args, dataloaderDropLast: true, maxSteps: 4 } }).train(),
  ).rejects.toThrow(/an epoch has no batch: 5 rows in batches of 16, and the last one is left out/);
  const unlabelled = Dataset.fromRows([{ text: "ab" }], { name: "plain" });
  await expect(new Trainer({ ...few, trainDataset: unlabelled, args }).train()).rejects.toThrow(
    /plain, row 0 has no label/,
  );
});

test("arguments that can't be", () => {
  const model = smallModel();
  const trainer = (bad: object) => () => new Trainer({ model, tokenizer, args: bad });
  expect(trainer({ learning_rat: 1 })).toThrow(/there is no learning_rat. Did you mean learningRate/);
  expect(trainer({ perDeviceTrainBatchSize: 0 })).toThrow(/perDeviceTrainBatchSize is 0/);
  expect(trainer({ lrSchedulerType: "cosin" })).toThrow(/lrSchedulerType is cosin, but it has to be one of linear/);
  expect(() => new Trainer({ model, tokenizer }).totalSteps).toThrow(/needs a trainDataset/);
});
