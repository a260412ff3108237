import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, type PreTrainedModel } from "@gpugrad/bert";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { load } from "js-yaml";
import { drive } from "../../test/drive.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { callAll, type CallbackContext } from "../trainer/callbacks.ts";
import { freshControl } from "../trainer/trainer-state.ts";
import { Dataset } from "../data/dataset.ts";
import type { LogEntry } from "../trainer/trainer-state.ts";
import { taskFor } from "../tasks/task-for.ts";
import type { TrainableModel } from "../tasks/task.ts";
import { modelCardCallback } from "./model-card-callback.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "card-"));
  vi.stubEnv("HF_HOME", folder);
  vi.stubEnv("HF_HUB_OFFLINE", "1");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** As much of a model as a card needs to know. */
function classifier(nameOrPath: string, id2label: Record<number, string> = { 0: "neg", 1: "pos" }): PreTrainedModel {
  class Model {
    static readonly architecture = "BertForSequenceClassification";
    nameOrPath = nameOrPath;
    config = new BertConfig({ id2label });
  }
  return new Model() as unknown as PreTrainedModel;
}
const dataset = (name: string, rows: number) => Dataset.fromRows(Array(rows).fill({ text: "", label: 0 }), { name });

/** A base model in the cache, whose card has a license. */
function cacheBase(): void {
  const base = join(folder, "hub", "models--google-bert--bert-base-uncased");
  const commit = "a".repeat(40);
  mkdirSync(join(base, "snapshots", commit), { recursive: true });
  mkdirSync(join(base, "refs"));
  writeFileSync(join(base, "refs", "main"), commit);
  writeFileSync(join(base, "snapshots", commit, "README.md"), "---\nlicense: apache-2.0\n---\n# BERT\n");
}

async function train(outputDir: string, { base = "google-bert/bert-base-uncased", data = "stanfordnlp/imdb" } = {}) {
  const context = {
    model: classifier(base),
    trainDataset: dataset(`${data} (train)`, 1200),
    evalDataset: dataset(`${data} (test)`, 30),
  };
  const args = {
    outputDir,
    hubToken: "hf_abcdefgh12345",
    gradientAccumulationSteps: 2,
    warmupSteps: 0.1,
    loadBestModelAtEnd: false,
  };
  const run = drive([modelCardCallback({ outputDir, hubModelId: "me/sentiment" })], args, [], context);
  await run.begin();
  await run.log(2, { loss: 0.61, learning_rate: 1e-5 });
  await run.log(2, {
    eval_loss: 0.5,
    eval_accuracy: 0.75,
    eval_roc_auc: 0.8,
    eval_runtime: 1,
    eval_samples_per_second: 9,
  });
  await run.log(4, { loss: 0.41234567 });
  await run.log(4, { eval_loss: 0.25, eval_accuracy: 0.875, eval_roc_auc: NaN, eval_mcc: 0.5, eval_runtime: 1 });
  await run.log(4, { train_runtime: 9, train_loss: 0.5 });
  await run.end();
  return readFileSync(join(outputDir, "README.md"), "utf8");
}

describe("the model card", () => {
  it("has the metadata of the Hub's own", async () => {
    cacheBase();
    const card = await train(join(folder, "out"));
    const [, metadata] = card.split("---\n");
    expect(load(metadata!)).toEqual({
      library_name: "transformers",
      license: "apache-2.0",
      base_model: "google-bert/bert-base-uncased",
      pipeline_tag: "text-classification",
      tags: ["generated_from_trainer", "gpugrad"],
      datasets: ["stanfordnlp/imdb"],
      metrics: ["accuracy", "matthews_correlation"],
      "model-index": [
        {
          name: "sentiment",
          results: [
            {
              task: { name: "Text Classification", type: "text-classification" },
              dataset: { name: "stanfordnlp/imdb", type: "stanfordnlp/imdb", split: "test" },
              metrics: [
                { name: "Accuracy", type: "accuracy", value: 0.875 },
                { name: "Mcc", type: "matthews_correlation", value: 0.5 },
              ],
            },
          ],
        },
      ],
    });
  });

  it("has the metrics of a test after training, where it had labels", async () => {
    const outputDir = join(folder, "tested");
    const model = classifier("mine");
    const task = taskFor(model as TrainableModel, undefined);
    const context = { model, task, trainDataset: dataset("a file", 4), evalDataset: dataset("another", 4) };
    const callback = modelCardCallback({ outputDir });
    const run = drive([callback], { outputDir }, [], context);
    const predict = (labels: number[] | undefined, metrics: Record<string, number>) =>
      callback.onPredict!(run.args, run.state, freshControl(), { ...context, metrics, prediction: { labels } } as unknown as CallbackContext); // prettier-ignore
    await run.begin();
    await run.log(2, { eval_loss: 0.5 });
    await run.end();
    const card = () => readFileSync(join(outputDir, "README.md"), "utf8");
    await predict(undefined, { test_runtime: 1 });
    expect(card()).not.toContain("test set");
    await predict([0, 1], { test_loss: 0.25, test_roc_auc: NaN, test_runtime: 1 });
    expect(card()).toContain("On the evaluation set it has:\n\n- Loss: 0.5\n\nOn the test set it has:\n\n- Loss: 0.25\n- Roc Auc: NaN\n\n"); // prettier-ignore
  });

  it("has results, data, hyperparameters, and the table of evaluations", async () => {
    const card = await train(join(folder, "out"));
    expect(card).toContain("# sentiment\n");
    expect(card).toContain(
      "is [google-bert/bert-base-uncased](https://huggingface.co/google-bert/bert-base-uncased), fine-tuned on [stanfordnlp/imdb]",
    );
    expect(card).toContain('model = pipeline("text-classification", model="me/sentiment")');
    expect(card).toContain("- Loss: 0.25\n- Accuracy: 0.875\n");
    expect(card).toContain("- Training: 1,200 rows of stanfordnlp/imdb (train)\n- Evaluation: 30 rows");
    expect(card).toContain("- Labels: neg, pos\n");
    expect(card).toContain("- train_batch_size: 8\n");
    expect(card).toContain("- total_train_batch_size: 16\n");
    expect(card).toContain("- optimizer: adamw with betas=(0.9,0.999) and epsilon=1e-8\n");
    expect(card).toContain("- lr_scheduler_warmup_steps: 0.1\n- num_epochs: 3\n");
    expect(card).toContain(
      "| Training Loss | Epoch | Step | Validation Loss | Accuracy | Roc Auc | Mcc |\n" +
        "|:---:|:---:|:---:|:---:|:---:|:---:|:---:|\n" +
        "| 0.61 | 0.5 | 2 | 0.5 | 0.75 | 0.8 |  |\n" +
        "| 0.4123 | 1 | 4 | 0.25 | 0.875 | NaN | 0.5 |\n",
    );
    expect(card).toMatch(/- gpugrad: \d+\.\d+\.\d+\n- Node\.js: \d+/);
  });

  it("names no local path, and no token", async () => {
    const base = join(folder, "base");
    mkdirSync(base);
    const card = await train(join(folder, "out"), { base, data: join(folder, "secret", "reviews") });
    expect(card).toContain("This model was trained on a dataset of 1,200 rows.");
    for (const secret of [folder, "hf_abcdefgh12345", "base_model", "datasets:", "model-index"])
      expect(card).not.toContain(secret);
  });

  it("of the best model has that one's results", async () => {
    const outputDir = join(folder, "out");
    const args = { outputDir, loadBestModelAtEnd: true, evalStrategy: "steps", saveStrategy: "steps" } as const;
    const run = drive([modelCardCallback({ outputDir })], args, [], { model: classifier("gone") });
    await run.begin();
    await run.log(2, { eval_loss: 0.25 });
    await run.log(4, { eval_loss: 0.5 });
    run.state.bestGlobalStep = 2;
    await run.save(4, join(outputDir, "checkpoint-4"));
    const card = () => readFileSync(join(outputDir, "README.md"), "utf8");
    expect(card()).toContain("it has:\n\n- Loss: 0.5\n"); // the last, while it trains
    await run.log(4, { train_runtime: 9 });
    await run.end();
    expect(card()).toContain("it has:\n\n- Loss: 0.25\n");
  });

  it("leaves a README.md alone that was written by hand, and takes in evaluations afterwards", async () => {
    const outputDir = join(folder, "out");
    await train(outputDir);
    const path = join(outputDir, "README.md");
    writeFileSync(path, "# My own\n");
    await train(outputDir);
    expect(readFileSync(path, "utf8")).toBe("# My own\n");

    rmSync(path);
    const callback = modelCardCallback({ outputDir });
    const test = dataset("me/test-set (validation)", 7);
    const run = drive([callback], { outputDir }, [], {
      model: classifier("gone"),
      evalDataset: dataset("me/x (test)", 9),
    });
    await run.begin();
    await run.end();
    await run.log(4, { eval_loss: 0.125, eval_accuracy: 0.5 });
    const model = classifier("gone");
    const context = {
      model,
      task: taskFor(model as TrainableModel, undefined),
      prediction: { dataset: test },
    } as never;
    await callAll([callback], "onEvaluate", run.args, run.state, {} as never, context);
    expect(readFileSync(path, "utf8")).toContain("split: validation");
  });

  it("keeps names from outside what they are: no markup, no line, no metadata", async () => {
    const outputDir = join(folder, "<b>my`run`");
    const labels = { 0: "a\n---\nlicense: x", 1: "<img src=x onerror=alert(1)>", 2: "[x](javascript:y) | `c`" };
    const data = dataset("rows", 3).map((row) => row, "clean_html");
    const context = { model: classifier("a: b\n- c", labels), trainDataset: data, evalDataset: data };
    const args = { outputDir, classWeights: [1, 2, 0.5], evalStrategy: "steps", evalSteps: 7 } as const;
    const run = drive([modelCardCallback({ outputDir })], args, [], context);
    await run.begin();
    await run.log(2, { loss: 0.5 });
    await run.log(2, { eval_loss: 0.25, "eval_a|b\n## c": 0.5 });
    await run.end();
    const card = readFileSync(join(outputDir, "README.md"), "utf8");
    const [, metadata] = card.split("---\n");
    expect(Object.keys(load(metadata!) as object)).toEqual(["library_name", "pipeline_tag", "tags"]);
    expect(card).toContain("\n# \\<b\\>my\\`run\\`\n");
    expect(card).toContain('model="<b>my`run`")');
    expect(card).toContain(
      "\n- Labels: a --- license: x, \\<img src=x onerror=alert(1)\\>, \\[x\\](javascript:y) \\| \\`c\\`\n",
    );
    expect(card).toContain("- A\\|b \\#\\# c: 0.5\n");
    expect(card).toContain("- class_weights: 1,2,0.5\n- clean_html: true\n- eval_strategy: steps, every 7\n");
  });

  it("lists as many class names as can be read", async () => {
    const outputDir = join(folder, "out");
    const labels = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [i, `c${i}`]));
    const run = drive([modelCardCallback({ outputDir })], { outputDir }, [], { model: classifier("gone", labels) });
    await run.begin();
    await run.end();
    expect(readFileSync(join(outputDir, "README.md"), "utf8")).toMatch(/- Labels: c0, .*, c49 and 10 more\n/);
  });

  it("is written from a log that was read back, which has null for NaN", async () => {
    const outputDir = join(folder, "out");
    const log = JSON.parse(JSON.stringify([
      { loss: NaN, epoch: 0.5, step: 2 },
      { eval_loss: NaN, eval_accuracy: 0.5, epoch: 0.5, step: 2 },
    ])) as LogEntry[]; // prettier-ignore
    const warn = vi.fn();
    const run = drive([modelCardCallback({ outputDir, warn })], { outputDir }, log, { model: classifier("gone") });
    await run.begin();
    await run.end();
    expect(warn.mock.calls).toEqual([]);
    const card = readFileSync(join(outputDir, "README.md"), "utf8");
    expect(card).toContain("it has:\n\n- Loss: NaN\n- Accuracy: 0.5\n");
    expect(card).toContain("| NaN | 0.5 | 2 | NaN | 0.5 |\n");
  });

  const python = pythonWith("huggingface_hub");
  it.skipIf(!python)("is one that huggingface_hub reads", async () => {
    cacheBase();
    await train(join(folder, "out"));
    const program = `
import json, sys
from huggingface_hub import ModelCard
card = ModelCard.load(json.loads(sys.argv[1]))
r = card.data.eval_results
print(json.dumps({"library": card.data.library_name, "base": card.data.base_model, "name": card.data.model_name, "tags": card.data.tags,
  "results": [[x.task_type, x.dataset_type, x.dataset_split, x.metric_type, x.metric_value] for x in r], "text": card.text[:80]}))`;
    expect(await python!(program, join(folder, "out", "README.md"))).toMatchObject({
      library: "transformers",
      base: "google-bert/bert-base-uncased",
      name: "sentiment",
      tags: ["generated_from_trainer", "gpugrad"],
      results: [
        ["text-classification", "stanfordnlp/imdb", "test", "accuracy", 0.875],
        ["text-classification", "stanfordnlp/imdb", "test", "matthews_correlation", 0.5],
      ],
    });
  });
});
