import { destroy, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { EarlyStoppingCallback } from "./callbacks.ts";
import { ProgressCallback } from "./progress-callback.ts";
import { Trainer } from "./trainer.ts";
import { trainingArguments } from "../arguments/training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** A Trainer as plain JavaScript makes it. */
const trainer = (options: object = {}): Trainer =>
  new Trainer({ ...{ model: tinyModel(), tokenizer, trainDataset: dataset }, ...options });
const args = (own: object) => () => trainer({ args: own });

test.each<[string, () => unknown, RegExp]>([
  [
    "an option of the Trainer",
    () => trainer({ train_dataset: dataset }),
    /Trainer: there is no option train_dataset. Did you mean trainDataset\?/,
  ],
  ["no tokenizer", () => trainer({ tokenizer: undefined }), /Trainer: tokenizer is missing/],
  [
    "rows in place of a Dataset",
    () => trainer({ trainDataset: [{ text: "a" }] }),
    /Trainer: trainDataset is \[.*\], not an object/,
  ],
  [
    "a loss that is not a function",
    () => trainer({ computeLoss: "mse" }),
    /Trainer: computeLoss is "mse", not a function/,
  ],
  ["one callback that is not in a list", () => trainer({ callbacks: {} }), /Trainer: callbacks is .*, not a list/],
  [
    "a callback that is none",
    () => trainer({ callbacks: ["early"] }),
    /a callback is "early", not an object or a function/,
  ],
  [
    "an event in snake_case",
    () => trainer({ callbacks: [{ on_step_end: () => 1 }] }),
    /a callback has on_step_end, but there is no such event. Did you mean onStepEnd\?/,
  ],
  [
    "an unknown event",
    () => trainer().addCallback({ onBatchEnd: () => undefined } as object),
    /a callback has onBatchEnd, but there is no such event/,
  ],
  [
    "a handler that is not a function",
    () => trainer({ callbacks: [{ onLog: true }] }),
    /a callback's onLog is true, not a function/,
  ],
  [
    "early stopping",
    () => new EarlyStoppingCallback({ patience: 3 } as object),
    /EarlyStoppingCallback: there is no option patience/,
  ],
  [
    "a patience that is NaN",
    () => new EarlyStoppingCallback({ earlyStoppingPatience: NaN }),
    /earlyStoppingPatience is NaN/,
  ],
  [
    "a line of progress",
    () => new ProgressCallback({ silent: true } as object),
    /ProgressCallback: there is no option silent/,
  ],
  ["an argument that a table inherits", args({ constructor: 1 }), /TrainingArguments: there is no constructor/],
  ["arguments that are a list", () => trainingArguments([] as object), /TrainingArguments: \[\] is not an object/],
  ["an infinite rate", args({ learningRate: Infinity }), /learningRate is .*, but it has to be finite/],
  [
    "a keyword of the schedule",
    args({ lrSchedulerType: "cosine", lrSchedulerKwargs: { cycles: 1 } }),
    /cosine: unknown keyword: cycles/,
  ],
  [
    "a metric",
    args({ metricForBestModel: "f2" }),
    /metricForBestModel is f2, which no evaluation gives. There are loss, accuracy, precision, recall, f1, .*; precision, recall and f1 are macro averages. Did you mean f1\?/,
  ],
  [
    "a metric of classes in a regression",
    () => trainer({ model: tinyModel({ numLabels: 1 }), args: { metricForBestModel: "accuracy" } }),
    /which no evaluation gives. There are loss, mse, mae, pearson, spearman\./,
  ],
])("%s is refused by name", (_, work, message) => expect(work).toThrow(message));

test("metrics of one's own may have any name; those of evaluations may be written with eval_", () => {
  const names = ["eval_f1", "mcc", "roc_auc", "loss"];
  for (const metricForBestModel of names) expect(() => trainer({ args: { metricForBestModel } })).not.toThrow();
  expect(() => trainer({ args: { metricForBestModel: "mine" }, computeMetrics: () => ({}) })).not.toThrow();
});

test("what train(), evaluate() and predict() are given is refused by name, too", async () => {
  const own = trainer() as unknown as Record<
    "train" | "evaluate" | "predict",
    (...given: unknown[]) => Promise<unknown>
  >;
  await expect(own.train({ resume: true })).rejects.toThrow(/Trainer.train: there is no option resume/);
  await expect(own.train({ resumeFromCheckpoint: 5 })).rejects.toThrow(
    /resumeFromCheckpoint is 5; it has to be a folder/,
  );
  await expect(own.train("output")).rejects.toThrow(/Trainer.train: options is "output", not an object/);
  await expect(own.evaluate(dataset)).rejects.toThrow(
    /Trainer.evaluate: options is a Dataset.*Write { dataset: a Dataset }/,
  );
  await expect(own.evaluate({ dataset: {} })).rejects.toThrow(/the dataset is \{ {2}\}, not a Dataset/);
  await expect(own.predict([{ text: "a" }])).rejects.toThrow(/not a Dataset. Make one: Dataset.fromRows\(rows\)/);
  await expect(own.predict(dataset, { prefix: "a" })).rejects.toThrow(/Trainer.predict: there is no option prefix/);
});
