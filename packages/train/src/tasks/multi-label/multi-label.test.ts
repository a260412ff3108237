import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tokenizer } from "../../../test/tiny-task.ts";
import { Dataset } from "../../data/dataset.ts";
import { loadDataset, dataFolder } from "../../data/load-dataset.ts";
import { Trainer } from "../../trainer/trainer.ts";
import type { Batch } from "../../data/batch.ts";
import { multiLabelClassification } from "./multi-label.ts";

const labels = [[0, 2], [1], [], [0, 1, 2], [2], [0], []];
// prettier-ignore
const logits = [
  [2, -1, -0.5, -3], [0.25, 1.5, -2, -1], [-1, -2, -0.25, -4], [1, 0.5, 3, -2], [-0.5, 0.75, 0.5, -1.5], [-2, -0.1, -1, 0.3], [-1, -1, -1, -1],
];
const config = {
  num_labels: 4,
  problem_type: "multi_label_classification" as const,
  id2label: { 0: "joy", 1: "awe", 2: "fear", 3: "rage" },
};

/** What the task finds in these logits, without a model. */
function found(options?: Parameters<typeof multiLabelClassification>[1]) {
  const task = multiLabelClassification(config, options);
  const rows = labels.map((own) => ({ input_ids: [1], labels: own }));
  const ids = { data: new Int32Array(7), shape: [7, 1], dtype: "i32" } as const;
  const batch: Batch = { arrays: task.collate(rows, () => ({ input_ids: ids })), rows: [...rows.keys()] };
  const data = Float32Array.from(logits.flat());
  const all = task.gather(task.decode({ logits: { data, shape: [7, 4], dtype: "f32" } }, batch));
  return { task, batch, all: { ...all, labels: all.labels! } };
}

describe("several labels for a row", () => {
  test("are 1 for each class of the row, in f32, as binary cross-entropy takes them", () => {
    const { batch } = found();
    expect(batch.arrays["labels"]).toEqual({
      data: Float32Array.of(...[1, 0, 1, 0], ...[0, 1, 0, 0], ...[0, 0, 0, 0], ...[1, 1, 1, 0], ...[0, 0, 1, 0], ...[1, 0, 0, 0], ...[0, 0, 0, 0]), // prettier-ignore
      ...{ shape: [7, 4], dtype: "f32" },
    });
    const { collate } = multiLabelClassification(config);
    const pad = () => batch.arrays;
    expect(() => collate([{ input_ids: [1], labels: [4] }], pad)).toThrow(/labels: 4 is not the id of a class.* has 4/);
  });

  // By scikit-learn 1.9.1: accuracy_score and f1_score of sigmoid(logits) > threshold.
  test.each([
    [
      {},
      {
        accuracy: 0.42857142857142855,
        f1_micro: 0.7058823529411765,
        f1_macro: 0.5666666666666667,
        f1_samples: 0.4285714285714285,
      },
    ],
    [
      { thresholds: [0.7, 0.4, 0.35, 0.5] },
      {
        accuracy: 0.5714285714285714,
        f1_micro: 0.7368421052631579,
        f1_macro: 0.580952380952381,
        f1_samples: 0.5238095238095238,
      },
    ],
  ])("are scored as scikit-learn scores them: %j", (options, expected) => {
    const { task, all } = found(options);
    const metrics = task.metrics(all);
    expect(Object.keys(metrics)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) expect(metrics[name]).toBeCloseTo(value, 14);
    expect(["loss", ...Object.keys(metrics)]).toEqual(task.metricNames);
  });

  test("a threshold that can't be is refused", () => {
    expect(() => multiLabelClassification(config, { thresholds: [0.5] })).toThrow(/0.5.*each of 4 classes/);
    expect(() => multiLabelClassification(config, { thresholds: 2 })).toThrow(/a probability is needed/);
  });

  test("a model's logits that are NaN have no score", () => {
    const { task, all } = found();
    all.predictions[5] = NaN;
    expect(Object.values(task.metrics(all))).toEqual([NaN, NaN, NaN, NaN]);
  });
});

describe("a Trainer", () => {
  beforeAll(async () => void (await init()));
  afterAll(destroy);

  test("learns them from a file of lists; the loss is the mean over rows and classes", async () => {
    const letters = ["a", "b", "c", "d"];
    const names = ["has a", "has b", "has c"];
    const texts = Array.from(
      { length: 48 },
      (_, i) => letters.filter((_, bit) => ((i + 1) >> bit) & 1).join("") || "d",
    );
    const jsonl = texts.map((text) =>
      JSON.stringify({ text, labels: names.filter((name) => text.includes(name[4]!)) }),
    );
    const rows = await loadDataset(dataFolder({ "train.jsonl": jsonl.join("\n") }), { split: "train" });
    expect(rows.labels).toEqual({ numLabels: 3, names, multiLabel: true });
    expect([await rows.row(0), await rows.row(6)]).toEqual([
      { text: "a", labels: [0] },
      { text: "abc", labels: [0, 1, 2] },
    ]);
    manualSeed(1);
    const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
    const model = BertForSequenceClassification.fromConfig(
      new BertConfig({
        ...{ ...sizes, vocab_size: 30, max_position_embeddings: 16, initializer_range: 0.1 },
        ...{ hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, num_labels: 3 },
      }),
    );
    const args = { maxSteps: 60, perDeviceTrainBatchSize: 8, learningRate: 1e-2 };
    const trainer = new Trainer({ model, tokenizer, trainDataset: rows, evalDataset: rows, args });
    const before = await trainer.evaluate();
    await trainer.train();
    expect(model.config.problem_type).toBe("multi_label_classification");
    const { predictions, labels, metrics } = await trainer.predict(rows);
    const losses = labels!.map((y, i) => Math.log1p(Math.exp(-Math.abs(predictions[i]!))) + Math.max(predictions[i]!, 0) - predictions[i]! * y); // prettier-ignore
    const mean = losses.reduce((a, b) => a + b, 0) / losses.length;
    expect(metrics["test_loss"]).toBeCloseTo(mean, 5);
    expect(mean).toBeLessThan(before["eval_loss"]! / 4);
    expect(metrics["test_accuracy"]).toBeGreaterThan(0.9);
    model.dispose();
  });

  test("refuses what is for one class per row", () => {
    const dataset = Dataset.fromRows([{ text: "a", labels: [0, 1] }]);
    const model = BertForSequenceClassification.fromConfig(
      new BertConfig({
        hidden_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        intermediate_size: 4,
        vocab_size: 30,
      }),
    );
    const make = () => new Trainer({ model, tokenizer, trainDataset: dataset, args: { labelSmoothingFactor: 0.1 } });
    expect(make).toThrow(/labelSmoothingFactor and classWeights are for one class per row/);
    model.dispose();
  });
});
