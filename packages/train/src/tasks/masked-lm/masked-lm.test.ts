import "@gpugrad/autograd";
import { BertConfig, BertForMaskedLM } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { padTokens } from "../../data/batch.ts";
import { Dataset } from "../../data/dataset.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { maskedLM } from "./masked-lm.ts";
import { packTexts } from "./pack-texts.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const tokenizer = trainWordPiece(["red", "green", "blue", "sky", "grass"], { vocabSize: 40, maxLength: 16 });
const texts = ["blue sky blue sky", "green grass green grass green", "red"];
const data = Dataset.fromRows(Array.from({ length: 24 }, (_, i) => ({ text: texts[i % 3]! })));

function model(): BertForMaskedLM {
  manualSeed(3);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const vocabulary = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 };
  return BertForMaskedLM.fromConfig(new BertConfig({ ...sizes, ...vocabulary, hidden_dropout_prob: 0 }));
}

test("what is hidden goes by seed, epoch and row; never a special token or padding", () => {
  const task = maskedLM(tokenizer, { probability: 0.4 });
  const encoded = task.encode!([{ text: texts[0]! }, { text: texts[2]! }], tokenizer, 16);
  const batch = (epoch: number, rows: number[], seed = 42) =>
    maskedLM(tokenizer, { probability: 0.4, seed }).collate(encoded, (some) => padTokens(some, tokenizer), {
      epoch,
      rows,
    });
  const of = (arrays: ReturnType<typeof batch>): string =>
    JSON.stringify([...arrays.input_ids.data, ...arrays["labels"]!.data]);
  expect(of(batch(0, [0, 1]))).toBe(of(batch(0, [0, 1])));
  const all = [batch(0, [0, 1]), batch(1, [0, 1]), batch(0, [2, 1]), batch(0, [0, 1], 7)];
  expect(new Set(all.map(of)).size).toBe(4);
  for (let epoch = 0; epoch < 50; epoch++) {
    const { labels, input_ids } = batch(epoch, [0, 1]);
    const [T, at] = [input_ids.shape[1]!, (b: number, t: number): number => labels!.data[b * input_ids.shape[1]! + t]!];
    expect([at(0, 0), at(0, T - 1), at(1, 0), ...Array.from({ length: T - 2 }, (_, t) => at(1, t + 2))]).toEqual(
      new Array<number>(T + 1).fill(-100),
    );
    expect(labels!.data.some((label) => label !== -100)).toBe(true); // else the mean would be NaN
  }
});

test("packed: texts one after the other, in rows of one length; what is left makes no row", async () => {
  const packed = await packTexts(data, tokenizer, { maxLength: 5 });
  const tokens = texts.flatMap((text) => tokenizer.encode(text).input_ids);
  expect(packed.length).toBe(Math.floor((8 * tokens.length) / 5));
  const rows = await Promise.all([0, 1, 2].map((i) => packed.row(i)));
  const ids = rows.flatMap((row) => [...(row["packed"] as { input_ids: Int32Array }).input_ids]);
  expect(ids).toEqual(tokens.slice(0, 15));
  expect((await packTexts(data.take(1), tokenizer, { maxLength: 99 })).length).toBe(1);
});

test("learns; perplexity is e to the loss; a run that is continued ends with the same bytes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gpugrad-mlm-"));
  const run = async (name: string, resume?: string) => {
    const own = model();
    const trainer = new Trainer({
      ...{ model: own, tokenizer, trainDataset: data, evalDataset: data, task: maskedLM(tokenizer, { seed: 1 }) },
      args: { outputDir: join(folder, name), maxSteps: 30, perDeviceTrainBatchSize: 4, learningRate: 2e-2, saveSteps: 10, reportTo: [] }, // prettier-ignore
    });
    const before = await trainer.evaluate();
    await trainer.train({ resumeFromCheckpoint: resume ?? null });
    const after = await trainer.evaluate();
    const bytes = await Promise.all(own.parameters().map(async (p) => Buffer.from(await p.bytes()).toString("base64")));
    own.dispose();
    return { before, after, bytes: bytes.join() };
  };
  try {
    const whole = await run("whole");
    expect(whole.before["eval_loss"]).toBeGreaterThan(2);
    expect(whole.after["eval_loss"]).toBeLessThan(whole.before["eval_loss"]! - 1);
    expect(whole.after["eval_perplexity"]).toBeCloseTo(Math.exp(whole.after["eval_loss"]!), 10);
    expect(whole.after["eval_accuracy"]).toBeGreaterThan(whole.before["eval_accuracy"]!);
    const continued = await run("continued", join(folder, "whole", "checkpoint-10"));
    expect(continued.bytes).toBe(whole.bytes);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
