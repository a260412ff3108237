import "@gpugrad/autograd";
import { AlbertConfig, AlbertForPreTraining, BertConfig, BertForMaskedLM, BertForPreTraining, bertTokenizer } from "@gpugrad/bert"; // prettier-ignore
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dataset } from "../../data/dataset.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { maskedLM } from "../masked-lm/masked-lm.ts";
import { pairSentences, type PairKind } from "./pair-sentences.ts";
import { pairKindOf, preTraining } from "./pre-training.ts";

let folder: string;
beforeAll(async () => {
  await init();
  folder = await mkdtemp(join(tmpdir(), "gpugrad-pretraining-"));
});
afterAll(async () => {
  await destroy();
  await rm(folder, { recursive: true });
});

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const tokenizer = bertTokenizer([...special, ..."a b c d e f".split(" ")], { model_max_length: 16 });
/** Documents of one letter each, in which sentences count its repetitions. */
const documents = Dataset.fromRows(
  Array.from({ length: 24 }, (_, i) => ({ text: "", sentences: [1, 2, 3, 4].map((n) => new Array(n).fill("abcdef"[i % 6]).join(" ")) })), // prettier-ignore
);
const sizes = {
  ...{ vocab_size: tokenizer.vocabSize, max_position_embeddings: 16, hidden_size: 16, num_hidden_layers: 1 },
  ...{
    num_attention_heads: 2,
    intermediate_size: 32,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    initializer_range: 0.2,
  },
};
const pairsFor = (kind: PairKind) => pairSentences(documents, tokenizer, { kind, maxLength: 16, seed: 1 });

test("BERT: learns both; the losses of words and pairs add up, and that of the words is a masked language model's", async () => {
  manualSeed(3);
  const model = BertForPreTraining.fromConfig(new BertConfig(sizes));
  const pairs = pairKindOf(model);
  const data = await pairsFor(pairs);
  const args = { maxSteps: 150, perDeviceTrainBatchSize: 16, perDeviceEvalBatchSize: 1000, learningRate: 1e-2, reportTo: [] }; // prettier-ignore
  const task = preTraining(tokenizer, { pairs, seed: 1 });
  const trainer = new Trainer({ model, tokenizer, task, trainDataset: data, evalDataset: data, args: { ...args, outputDir: join(folder, "bert") } }); // prettier-ignore
  const before = await trainer.evaluate();
  expect(before["eval_loss"]).toBeCloseTo(before["eval_mlm_loss"]! + before["eval_nsp_loss"]!, 5);
  expect(before["eval_perplexity"]).toBeCloseTo(Math.exp(before["eval_mlm_loss"]!), 10);
  await trainer.train();
  const after = await trainer.evaluate();
  expect(after["eval_nsp_accuracy"]).toBeGreaterThan(0.9);
  expect(after["eval_mlm_loss"]).toBeLessThan(before["eval_mlm_loss"]! - 0.5);
  expect(Object.keys(after).filter((name) => !/runtime|per_second|epoch/.test(name))).toEqual(task.metricNames!.map((name) => `eval_${name}`)); // prettier-ignore

  await trainer.saveModel();
  const words = await BertForMaskedLM.fromPretrained(join(folder, "bert"), { onReport: () => undefined });
  const alone = new Trainer({ model: words, tokenizer, task: maskedLM(tokenizer, { seed: 1 }), evalDataset: data, args: { ...args, outputDir: join(folder, "words") } }); // prettier-ignore
  const guessed = await alone.evaluate();
  expect(after["eval_mlm_loss"]).toBeCloseTo(guessed["eval_loss"]!, 4);
  expect(after["eval_mlm_accuracy"]).toBe(guessed["eval_accuracy"]);
});

test("ALBERT: whether sentences are in their order", async () => {
  manualSeed(4);
  const model = AlbertForPreTraining.fromConfig(new AlbertConfig({ ...sizes, embedding_size: 8 }));
  const pairs = pairKindOf(model);
  const data = await pairsFor(pairs);
  const trainer = new Trainer({
    ...{ model, tokenizer, task: preTraining(tokenizer, { pairs }), trainDataset: data, evalDataset: data },
    args: { maxSteps: 150, perDeviceTrainBatchSize: 16, learningRate: 1e-2, reportTo: [], outputDir: join(folder, "albert") }, // prettier-ignore
  });
  await trainer.train();
  const metrics = await trainer.evaluate();
  expect(metrics["eval_sop_accuracy"]).toBeGreaterThan(0.8);
  expect(metrics["eval_sop_loss"]).toBeLessThan(Math.LN2);
});

test("models without a head for pairs are refused", () => {
  const model = BertForMaskedLM.fromConfig(new BertConfig(sizes));
  expect(() => pairKindOf(model)).toThrow("BertForMaskedLM has no head for pairs of texts");
  model.dispose();
});
