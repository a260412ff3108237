import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoTokenizer, BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { Dataset, Trainer, trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTask } from "./open-task.ts";
import { trainCommand } from "./train-command.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-task-"));
const model = join(work, "model");
const texts = ["a fine film", "a dull film", "fine", "dull"];

beforeAll(async () => {
  await init();
  const tokenizer = trainWordPiece(texts, { vocabSize: 60, maxLength: 16 });
  await tokenizer.savePretrained(model);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const config = new BertConfig({
    ...{ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 },
    ...{ id2label: { 0: "positive", 1: "negative" }, label2id: { positive: 0, negative: 1 } },
  });
  await BertForSequenceClassification.fromConfig(config).savePretrained(model);
});
afterAll(async () => {
  await destroy();
  rmSync(work, { recursive: true, force: true });
});

/** A task whose labels are these, in turn, and what it notes. */
async function open(labels: readonly string[]) {
  const file = join(work, `${labels.join("-")}.csv`);
  writeFileSync(file, `text,label\n${texts.map((text, i) => `${text},${labels[i % labels.length]}`).join("\n")}\n`);
  const notes: string[] = [];
  const options = { model, trainFile: file, validationFile: file };
  const task = await openTask(options, 42, (line) => notes.push(line));
  const ids = await Promise.all(texts.map((_, i) => task.train.label(i)));
  return { ids, validation: await task.validation.label(0), id2label: { ...task.model.config.id2label }, notes };
}

test("a model that is trained on keeps the ids of its classes, whatever the order of their names", async () => {
  const { ids, validation, id2label, notes } = await open(["negative", "positive"]);
  expect(id2label).toEqual({ 0: "positive", 1: "negative" });
  expect(ids).toEqual([1, 0, 1, 0]);
  expect(validation).toBe(1);
  expect(notes.filter((line) => line.startsWith("classes"))).toEqual([]);
});

test("other classes are the data's, in alphabetical order, with a note", async () => {
  const { ids, id2label, notes } = await open(["pos", "neg"]);
  expect(id2label).toEqual({ 0: "neg", 1: "pos" });
  expect(ids).toEqual([1, 0, 1, 0]);
  expect(notes.join("\n")).toContain("classes: the data's [neg, pos] are not the model's [positive, negative]");
});

test("a model for another kind of problem is trained for that of the data, with a note", async () => {
  const config = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as object;
  const problem = (problem_type: string) => writeFileSync(join(model, "config.json"), JSON.stringify({ ...config, problem_type })); // prettier-ignore
  const said = async () => (await open(["negative", "positive"])).notes.filter((line) => line.startsWith("problem"));
  try {
    problem("multi_label_classification");
    expect(await said()).toEqual([
      "problem type: the data's is single_label_classification, the model's multi_label_classification. The trained " +
        "model has that of the data (problem_type).",
    ]);
    problem("single_label_classification");
    expect(await said()).toEqual([]);
  } finally {
    writeFileSync(join(model, "config.json"), JSON.stringify(config));
  }
  expect(await said()).toEqual([]);
});

test("a classifier that is trained on predicts what it did, where an update changes nothing", async () => {
  const folder = join(work, "classifier");
  const tokenizer = await AutoTokenizer.fromPretrained(model);
  const reviews = Array.from({ length: 24 }, (_, i) => ({ text: `${texts[i % 4]} ${texts[(i >> 2) % 4]}` }));
  const predict = async (from: string) => {
    const classifier = await BertForSequenceClassification.fromPretrained(from);
    const { predictions } = await new Trainer({ model: classifier, tokenizer }).predict(Dataset.fromRows(reviews));
    const margins = reviews.map((_, i) => predictions[2 * i]! - predictions[2 * i + 1]!);
    return { classifier, margins, names: margins.map((margin) => classifier.config.id2label[margin > 0 ? 0 : 1]) };
  };
  // Between the classes lies the median, so that each has half of the rows.
  const { classifier, margins } = await predict(model);
  const median = [...margins].sort((a, b) => a - b)[12]!;
  classifier.classifier.bias.writeBytes(new Uint8Array(Float32Array.of(-median, 1e-6).buffer));
  await classifier.savePretrained(folder);
  await tokenizer.savePretrained(folder);
  const before = await predict(folder);
  expect(new Set(before.names)).toEqual(new Set(["positive", "negative"]));

  const file = join(work, "own.csv");
  writeFileSync(file, `text,label\n${reviews.map(({ text }, i) => `${text},${before.names[i]}`).join("\n")}\n`);
  const out = join(work, "trained-on");
  const words = ["--model", folder, "--train_file", file, "--validation_file", file, "--output_dir", out];
  const rest = ["--max_steps", "1", "--learning_rate", "0", "--save_strategy", "no", "--quiet"];
  expect(await trainCommand([...words, ...rest], { name: "train", description: "", defaults: () => ({}) })).toBe(0);
  await init(); // the command ends with its device
  expect((await predict(out)).names).toEqual(before.names);
  expect(JSON.parse(readFileSync(join(out, "all_results.json"), "utf8"))).toMatchObject({ eval_accuracy: 1 });
});
