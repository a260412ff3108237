import "@gpugrad/autograd";
import { BertConfig, BertForTokenClassification, byteSource } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { padTokens } from "../../data/batch.ts";
import { openTable } from "../../data/readers/open-table.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { taggedDataset } from "./dataset.ts";
import { tokenClassification } from "./token-classification.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const names = ["O", "B-LOC", "I-LOC"];
const config = { num_labels: 3, id2label: Object.fromEntries(names.entries()) };
const tokenizer = trainWordPiece(["oslo", "new", "york", "is", "near", "far", "a"], { vocabSize: 40, maxLength: 16 });
const table = (text: string, file = "x.conll") => openTable(file, () => Promise.resolve(byteSource(text, file)));
const row = { text: "new yorkoslo far", words: ["new", "yorkoslo", "far"], tags: [1, 2, 0] };

test("the tag of a word is on its first token; with labelAllTokens the others continue it", () => {
  const of = (labelAllTokens: boolean, rows: (typeof row)[] = [row]) => {
    const task = tokenClassification(config, { labelAllTokens });
    const encoded = task.encode!(rows, tokenizer, 16);
    return task.collate(encoded, (some) => padTokens(some, tokenizer))["labels"]!;
  };
  const pieces = tokenizer.encode("yorkoslo", { addSpecialTokens: false }).input_ids.length;
  expect(pieces).toBeGreaterThan(1);
  const more = (tag: number): number[] => new Array<number>(pieces - 1).fill(tag);
  expect([...of(false).data]).toEqual([-100, 1, 2, ...more(-100), 0, -100]);
  expect([...of(true).data]).toEqual([-100, 1, 2, ...more(2), 0, -100]);
  const begins = { ...row, tags: [0, 1, 0] };
  expect([...of(true, [begins]).data]).toEqual([-100, 0, 1, ...more(2), 0, -100]); // B-LOC continues as I-LOC
  const short = { ...row, words: ["a", "a", "a"], tags: [0, 0, 0] };
  expect([...of(false, [row, short]).data.slice(-pieces - 4)]).toEqual([-100, 0, 0, 0, -100, ...more(-100)]);
});

test("tags of a table: names in sorted order, or those that are given; what doesn't fit is named", async () => {
  const found = await taggedDataset(await table("oslo B-LOC\nis O\n\nnew B-LOC\nyork I-LOC\n"));
  expect(found.labels).toEqual({ numLabels: 3, names: ["B-LOC", "I-LOC", "O"] });
  expect(await found.row(1)).toEqual({ text: "new york", words: ["new", "york"], tags: [0, 1] });
  const as = await taggedDataset(await table("oslo B-LOC\n"), { labelNames: names });
  expect((await as.row(0))["tags"]).toEqual([1]);
  await expect(taggedDataset(await table("oslo B-PER\n"), { labelNames: names })).rejects.toThrow(
    /x.conll, line 1: the tag "B-PER" is none of \[O, B-LOC, I-LOC\]/,
  );
  const json = await table('{"tokens": ["a", "b"], "ner_tags": [0]}\n{"tokens": ["a"], "ner_tags": [2]}', "x.jsonl");
  await expect(taggedDataset(json)).rejects.toThrow("x.jsonl, line 1: 2 words, but 1 tags. Bad rows are left out");
  const skipped = await taggedDataset(json, { onBadRow: "skip" });
  expect([skipped.length, skipped.badRows.count, skipped.labels.numLabels]).toEqual([1, 1, 3]);
});

test("learns tags, and judges them as seqeval does", async () => {
  const places = ["oslo B-LOC", "new B-LOC\nyork I-LOC"];
  const sentences = Array.from(
    { length: 48 },
    (_, i) => `${i % 3 ? "a O\n" : ""}${places[i % 2]}\nis O\n${i % 4 ? "near" : "far"} O\n`,
  );
  const data = await taggedDataset(await table(sentences.join("\n")), { labelNames: names });
  manualSeed(3);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const vocabulary = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 };
  const model = BertForTokenClassification.fromConfig(
    new BertConfig({ ...sizes, ...vocabulary, ...config, hidden_dropout_prob: 0 }),
  );
  const trainer = new Trainer({
    ...{ model, tokenizer, trainDataset: data, evalDataset: data },
    args: { maxSteps: 60, perDeviceTrainBatchSize: 8, learningRate: 2e-2, metricForBestModel: "f1" },
  });
  expect(trainer.task.name).toBe("token-classification");
  const before = await trainer.evaluate();
  await trainer.train();
  const after = await trainer.evaluate();
  expect(before["eval_f1"]).toBeLessThan(0.9);
  expect([after["eval_f1"], after["eval_accuracy"]]).toEqual([1, 1]);
  expect(after["eval_loss"]).toBeLessThan(0.05);
  model.dispose();
});
