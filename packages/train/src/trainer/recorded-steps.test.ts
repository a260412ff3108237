import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { registerHook } from "@gpugrad/autograd";
import { destroy, device, init, manualSeed, undisposed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { Dataset, type Row } from "../data/dataset.ts";
import type { StepEvent } from "./callbacks.ts";
import { Trainer } from "./trainer.ts";
import type { TrainingArguments } from "./training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Batches of four come in three shapes, with and without padding, again and again. */
const rows: Row[] = Array.from({ length: 48 }, (_, i) => {
  const length = [5, 7, 5, 6][Math.floor(i / 4) % 4]! - (i % 8 === 5 ? 1 : 0);
  return { text: "abcdefghij".slice(i % 3, (i % 3) + length), label: i % 2 };
});

async function trainedWith(
  args: Partial<TrainingArguments>,
  { labels = 2, rows: own = rows }: { labels?: number; rows?: Row[] } = {},
): Promise<{ events: StepEvent[]; weights: Uint8Array[]; submits: number }> {
  manualSeed(1);
  const sizes = {
    vocab_size: 30,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 32,
  };
  const model = BertForSequenceClassification.fromConfig(
    new BertConfig({ ...sizes, max_position_embeddings: 16, num_labels: labels, initializer_range: 0.1 }), // dropout is 0.1
  );
  const events: StepEvent[] = [];
  const submits: number[] = [];
  const trainer = new Trainer({
    model,
    tokenizer,
    trainDataset: new Dataset({
      name: "letters",
      length: own.length,
      labels: { numLabels: labels },
      row: (i) => Promise.resolve(own[i]!),
    }),
    args: {
      ...{ learningRate: 5e-3, perDeviceTrainBatchSize: 4, numTrainEpochs: 2, trainSamplingStrategy: "sequential" },
      ...args,
    },
    callbacks: [
      {
        onStepResult: (_args, _state, _control, { result }) =>
          void (events.push(result!), submits.push(device().queue.batch)),
      },
    ],
  });
  await trainer.train();
  const weights = await Promise.all(model.parameters().map((p) => p.bytes()));
  model.dispose();
  return { events, weights, submits: submits.at(-1)! - submits.at(-11)! };
}

const numbersOf = (events: StepEvent[]) =>
  events.map(({ loss, gradNorm, learningRate, lossScale, skippedSteps }) => {
    return { loss, gradNorm, learningRate, lossScale, skippedSteps };
  });

describe("recorded steps", () => {
  test("give what called ones give, byte for byte: shapes in turn, padding, dropout, schedule", async () => {
    const before = undisposed();
    const called = await trainedWith({ recordSteps: false });
    const { allocatedBytes } = device().pool;
    const recorded = await trainedWith({ recordSteps: true });
    expect(device().pool.allocatedBytes).toBeLessThan(1.05 * allocatedBytes); // recordings share their memory with the rest
    expect(numbersOf(recorded.events)).toEqual(numbersOf(called.events));
    expect(recorded.weights).toEqual(called.weights);
    expect(recorded.submits, "submits of ten steps, two of which are under way at a time").toBeLessThanOrEqual(11);
    expect(undisposed()).toBe(before);
  });

  test("also in mixed precision, where a step is left out", async () => {
    const bad = rows.map((row, i) => ({ ...row, label: i === 40 ? 3e38 : row.label! })); // its squared error overflows
    const called = await trainedWith({ recordSteps: false, fp16: true, onNonFinite: "skip" }, { labels: 1, rows: bad });
    const recorded = await trainedWith(
      { recordSteps: true, fp16: true, onNonFinite: "skip" },
      { labels: 1, rows: bad },
    );
    expect(recorded.events.at(-1)!.skippedSteps).toBe(2);
    expect(numbersOf(recorded.events)).toEqual(numbersOf(called.events));
    expect(recorded.weights).toEqual(called.weights);
  });

  test("a gradient hook is refused: its JavaScript would not run again", async () => {
    const model = tinyModel();
    registerHook(model.classifier.bias, () => undefined);
    const trainer = new Trainer({ model, tokenizer, trainDataset: Dataset.fromRows(rows), args: { maxSteps: 20 } });
    await expect(trainer.train()).rejects.toThrow("record: a gradient hook is called inside the recorded work");
    model.dispose();
  });

  test("ids and classes beyond the config are named at every step", async () => {
    const bad = rows.map((row, i) => ({ ...row, label: i === 45 ? 7 : row.label! }));
    await expect(trainedWith({}, { rows: bad })).rejects.toThrow("labels: 7 at place 1, but the model has 2 labels");
  });
});
