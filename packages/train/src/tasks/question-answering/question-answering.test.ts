import "@gpugrad/autograd";
import { BertConfig, BertForQuestionAnswering, byteSource } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dataset } from "../../data/dataset.ts";
import { openTable } from "../../data/readers/open-table.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { questionDataset, questionWindows, type WindowRow } from "./dataset.ts";
import { questionAnswering } from "./question-answering.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const people = ["ada", "bob", "cem", "dora"];
const places = ["oslo", "rome", "bonn", "lima"];
const words = [...people, ...places, "who", "where", "lives", "in", "and"];
const tokenizer = trainWordPiece(words, { vocabSize: 60, maxLength: 32 });
const tableOf = (value: unknown) =>
  openTable("q.json", () => Promise.resolve(byteSource(JSON.stringify(value), "q.json")));

/** A SQuAD file: where somebody lives, some of whom aren't in the text. */
const squad = {
  version: "v2.0",
  data: [
    {
      title: "people",
      paragraphs: Array.from({ length: 16 }, (_, i) => {
        const [a, b] = [i % 4, (i + 1 + (i >> 2)) % 4] as [number, number];
        const context = `${people[a]!} lives in ${places[i % 3]!} and ${people[b === a ? (a + 1) % 4 : b]!} lives in ${places[3]!}`;
        const qas = [
          { id: `${i}`, question: `where lives ${people[a]!}`, answers: [{ text: places[i % 3]!, answer_start: context.indexOf(places[i % 3]!) }] }, // prettier-ignore
          { id: `${i}-none`, question: `who lives in bonn rome`, is_impossible: true, answers: [] },
        ];
        return { context, qas };
      }),
    },
  ],
};

test("SQuAD's files and rows of the Hub give the same questions", async () => {
  const own = await questionDataset(await tableOf(squad));
  const { context, qas } = squad.data[0]!.paragraphs[0]!;
  expect([own.length, await own.row(0)]).toEqual([
    32,
    { id: "0", text: qas[0]!.question, text_pair: context, answers: qas[0]!.answers },
  ]);
  const { text, answer_start } = qas[0]!.answers[0]!;
  const rows = [{ id: "0", context, question: ` ${qas[0]!.question}`, answers: { text: [text, text], answer_start: [answer_start, answer_start] } }]; // prettier-ignore
  expect(await (await questionDataset(await tableOf(rows))).row(0)).toEqual(await own.row(0));
  const wrong = [{ question: "where", context: "😀 oslo", answers: [{ text: "oslo", answer_start: 3 }] }];
  await expect(questionDataset(await tableOf(wrong))).rejects.toThrow(/q.json, row 0: the answer "oslo" is not at 3/);
  wrong[0]!.answers[0]!.answer_start = 2; // code points
  expect((await questionDataset(await tableOf(wrong))).length).toBe(1);
});

test("windows over a context; an answer that isn't whole in one is none there", async () => {
  const context = "ada lives in oslo and bob lives in rome";
  const answer = { text: "oslo and", answer_start: context.indexOf("oslo") };
  const questions = Dataset.fromRows([{ text: "where", text_pair: context, id: "a", answers: [answer] }]);
  const windows = await questionWindows(questions, tokenizer, { maxLength: 8, stride: 2 });
  const rows = await Promise.all(Array.from({ length: windows.length }, (_, i) => windows.row(i)));
  const shown = rows.map((row) => {
    const { input_ids, start, end, offsets } = (row as WindowRow).window;
    const held = input_ids.slice(start, end! + 1).map((id) => tokenizer.idToToken(id)).join(" "); // prettier-ignore
    const inContext = input_ids.map((_, t) => context.slice(offsets[2 * t], Math.max(0, offsets[2 * t + 1]!)));
    return [held, inContext.filter(Boolean).join(" ")];
  });
  // [CLS] where [SEP] leaves room for four, less [SEP]; windows share two tokens.
  expect(shown).toEqual([
    ["[CLS]", "ada lives in oslo"],
    ["oslo and", "in oslo and bob"],
    ["[CLS]", "and bob lives in"],
    ["[CLS]", "lives in rome"],
  ]);
});

test("learns to answer, and to leave questions without an answer", async () => {
  const questions = await questionDataset(await tableOf(squad));
  const windows = await questionWindows(questions, tokenizer, { maxLength: 13, stride: 4 });
  expect(windows.length).toBeGreaterThan(questions.length);
  manualSeed(2);
  const sizes = { hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 48 };
  const vocabulary = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 16, hidden_dropout_prob: 0 };
  const model = BertForQuestionAnswering.fromConfig(new BertConfig({ ...sizes, ...vocabulary }));
  const trainer = new Trainer({
    ...{ model, tokenizer, trainDataset: windows, evalDataset: windows, task: questionAnswering({ version2: true }) },
    args: { maxSteps: 120, perDeviceTrainBatchSize: 16, learningRate: 1e-2 },
  });
  const before = await trainer.evaluate();
  await trainer.train();
  const found = await trainer.predict(windows);
  expect(before["eval_exact"]).toBeLessThan(80);
  expect(found.metrics["test_exact"]).toBeGreaterThan(95);
  expect(found.metrics).toMatchObject({ test_total: 32, test_HasAns_total: 16, test_NoAns_total: 16 });
  expect(found.predictions.map(({ id }) => id)).toEqual(
    squad.data[0]!.paragraphs.flatMap(({ qas }) => qas.map(({ id }) => id)),
  );
  expect(found.metrics["test_loss"]).toBeLessThan(before["eval_loss"]! / 4);
  model.dispose();
});
