import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTask } from "./task.ts";

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

test("other classes are the data's, in alphabetical order, and that is said", async () => {
  const { ids, id2label, notes } = await open(["pos", "neg"]);
  expect(id2label).toEqual({ 0: "neg", 1: "pos" });
  expect(ids).toEqual([1, 0, 1, 0]);
  expect(notes.join("\n")).toContain("classes: the data's [neg, pos] are not the model's [positive, negative]");
});
