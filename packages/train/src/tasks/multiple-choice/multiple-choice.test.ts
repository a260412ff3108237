import "@gpugrad/autograd";
import { BertConfig, BertForMultipleChoice, byteSource } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTable } from "../../data/readers/open-table.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { choiceDataset } from "./multiple-choice.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const tokenizer = trainWordPiece(["the", "sky", "grass", "is", "blue", "green", "now"], {
  vocabSize: 40,
  maxLength: 16,
});
const table = (rows: unknown) => openTable("c.json", () => Promise.resolve(byteSource(JSON.stringify(rows), "c.json")));

test("SWAG's columns, and a list of choices", async () => {
  const swag = [{ sent1: "The sky.", sent2: "It", ending0: "is blue", ending1: "is green", label: 1 }];
  expect(await (await choiceDataset(await table(swag))).row(0)).toEqual({ text: "The sky.", choices: ["It is blue", "It is green"], label: 1 }); // prettier-ignore
  const list = [{ prompt: "The sky", choices: ["is", "blue", "green"], label: 3 }];
  await expect(choiceDataset(await table(list))).rejects.toThrow(
    "c.json, row 0: the label is 3, not the number of one of 3 choices",
  );
});

test("learns which choice is right", async () => {
  const rows = Array.from({ length: 32 }, (_, i) => {
    const choices = ["is now", "is green", "is green"];
    choices[i % 3] = "is blue";
    return { prompt: i % 2 ? "the sky" : "the grass", choices, label: i % 3 };
  });
  const data = await choiceDataset(await table(rows));
  manualSeed(4);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const vocabulary = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 16, hidden_dropout_prob: 0 };
  const model = BertForMultipleChoice.fromConfig(new BertConfig({ ...sizes, ...vocabulary }));
  const trainer = new Trainer({
    ...{ model, tokenizer, trainDataset: data, evalDataset: data },
    args: { maxSteps: 60, perDeviceTrainBatchSize: 8, learningRate: 5e-3 },
  });
  expect(trainer.task.name).toBe("multiple-choice");
  await trainer.train();
  expect(await trainer.evaluate()).toMatchObject({ eval_accuracy: 1 });
  model.dispose();
});
