import "@gpugrad/autograd";
import { BertConfig, BertModel, byteSource, folderOf, normalizeVectors, poolTokens, readSentenceSettings, type SentenceSettings } from "@gpugrad/bert"; // prettier-ignore
import { destroy, fromArray, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { padTokens } from "../../data/batch.ts";
import type { Dataset } from "../../data/dataset.ts";
import { openTable } from "../../data/readers/open-table.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { chooseLoss, type SentenceLossName } from "./choose-loss.ts";
import { sentenceColumns, sentenceDataset } from "./dataset.ts";
import { multipleNegativesRankingLoss, tripletLoss } from "./losses.ts";
import { sentenceEmbeddings } from "./sentence-embeddings.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const words = ["sky", "blue", "grass", "green", "sun", "yellow", "night", "black", "the", "is", "of", "colour"];
const tokenizer = trainWordPiece(words, { vocabSize: 120, maxLength: 16 });
const mean: SentenceSettings = {
  ...{ modes: ["mean"], dense: [], normalize: true, maxLength: undefined, lowerCase: false, prompt: "" },
  includePrompt: true,
};
const rowsOf = async (rows: unknown): Promise<Dataset> =>
  sentenceDataset(await openTable("s.json", () => Promise.resolve(byteSource(JSON.stringify(rows), "s.json"))));

const things = ["sky", "grass", "sun", "night"];
const colours = ["blue", "green", "yellow", "black"];
const often = <T>(rows: readonly T[]): T[] => Array.from({ length: 8 }, () => rows).flat();

function tinyModel(): BertModel {
  manualSeed(4);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const vocabulary = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 16, hidden_dropout_prob: 0 };
  return BertModel.fromConfig(new BertConfig({ ...sizes, ...vocabulary, attention_probs_dropout_prob: 0 }));
}

async function trainerFor(
  rows: Dataset,
  { loss, settings = mean }: { loss?: SentenceLossName; settings?: SentenceSettings } = {},
) {
  const model = tinyModel();
  const task = sentenceEmbeddings(tokenizer, { columns: await sentenceColumns(rows), settings, hiddenSize: 16, loss });
  const args = { maxSteps: 60, perDeviceTrainBatchSize: 4, learningRate: 5e-3, trainSamplingStrategy: "sequential" as const }; // prettier-ignore
  return new Trainer({ model, tokenizer, task, trainDataset: rows, evalDataset: rows, args });
}

describe("the columns", () => {
  test("are pairs, triplets or scored pairs, in rows of texts", async () => {
    const triplets = await rowsOf([{ query: "sky", positive: "blue", negative_1: "green", negative_2: "black" }]);
    expect(await triplets.row(0)).toEqual({ text: "sky", texts: ["sky", "blue", "green", "black"] });
    const scored = await rowsOf([{ sentence1: "sky", sentence2: "blue", score: "0.5" }]);
    expect(await scored.row(0)).toEqual({ text: "sky", texts: ["sky", "blue"], label: 0.5 });
    await expect(rowsOf([{ sentence1: "sky", sentence2: "blue", score: "high" }])).rejects.toThrow('row 0: the score is "high", not a number'); // prettier-ignore
    await expect(rowsOf([{ text: "sky" }])).rejects.toThrow("no column that is known to hold anchors (anchor, query)");
  });

  test("decide the loss, and refuse others", () => {
    const scored = (least: number, most: number, areBinary = false) => ({ texts: 2, scores: { least, most, areBinary } }); // prettier-ignore
    expect([{ texts: 2 }, { texts: 3 }, scored(0, 1, true), scored(0, 1), scored(0, 5)].map((own) => chooseLoss(own))).toEqual(
      ["multiple-negatives-ranking", "multiple-negatives-ranking", "contrastive", "cosine-similarity", "cosent"],
    ); // prettier-ignore
    expect(chooseLoss({ texts: 3 }, "triplet")).toBe("triplet");
    expect(() => chooseLoss({ texts: 2 }, "triplet")).toThrow("triplet takes anchors, positives and one column of negatives; the data has 2 texts a row without scores"); // prettier-ignore
    expect(() => chooseLoss(scored(0, 5), "cosine-similarity")).toThrow("takes pairs with scores from -1 to 1; the data has 2 texts a row, scores from 0 to 5. cosent is for these"); // prettier-ignore
    expect(() => chooseLoss({ texts: 2 }, "cosine" as "cosent")).toThrow('"cosine" is not one of');
  });
});

test("a batch's loss is the loss of its texts, embedded one by one", async () => {
  const rows = await rowsOf([
    { anchor: "the colour of the sky", positive: "blue", negative: "is the grass green" },
    { anchor: "sun", positive: "yellow is the sun", negative: "black" },
  ]);
  for (const [loss, compute] of [
    ["multiple-negatives-ranking", multipleNegativesRankingLoss],
    ["triplet", tripletLoss],
  ] as const) {
    // prettier-ignore
    const trainer = await trainerFor(rows, { loss });
    const { eval_loss: found } = await trainer.evaluate();
    const each = await Promise.all(
      [0, 1, 2].map(async (k) => {
        const vectors: number[] = [];
        for (const row of [await rows.row(0), await rows.row(1)]) {
          const tokens = padTokens([tokenizer.encode((row["texts"] as string[])[k]!)], tokenizer);
          const { last_hidden_state } = trainer.model.forward(tokens);
          const ones = tokens.input_ids.data.map(() => 1);
          vectors.push(...(await normalizeVectors(poolTokens(last_hidden_state, ones, mean)).data()));
        }
        return fromArray(vectors, [2, 16]);
      }),
    );
    expect(found).toBeCloseTo(await compute(each).item(), 5);
    trainer.model.dispose();
  }
});

test.each<[string, SentenceSettings]>([
  ["mean", mean],
  ["cls and max, without scaling", { ...mean, modes: ["cls", "max"], normalize: false }],
])("learns which texts belong together: %s", async (_, settings) => {
  const pairs = things.map((thing, i) => ({ anchor: `the ${thing}`, positive: `${colours[i]}` }));
  const rows = await rowsOf(often(pairs));
  const trainer = await trainerFor(rows, { settings });
  const before = (await trainer.evaluate())["eval_cosine_accuracy@1"]!;
  await trainer.train();
  expect(await trainer.evaluate()).toMatchObject({ "eval_cosine_accuracy@1": 1 });
  expect(before).toBeLessThan(1);
  trainer.model.dispose();
});

test("learns from triplets, and from scores", async () => {
  const triplets = things.map((thing, i) => ({ anchor: thing, positive: colours[i], negative: colours[(i + 1) % 4] }));
  const first = await trainerFor(await rowsOf(often(triplets)), { loss: "triplet" });
  await first.train();
  expect(await first.evaluate()).toMatchObject({ eval_cosine_accuracy: 1 });
  first.model.dispose();
  const scored = things.flatMap((sentence1, i) => colours.map((sentence2, k) => ({ sentence1, sentence2, score: i === k ? 5 : 1 }))); // prettier-ignore
  const second = await trainerFor(await rowsOf(scored));
  expect(second.task.output).toBe("a vector of 16, loss cosent");
  await second.train();
  const { eval_spearman_cosine: spearman } = await second.evaluate();
  expect(spearman).toBeGreaterThan(0.74); // 4 of 16 pairs alike: Spearman's best is 0.7746
  second.model.dispose();
});

test("its files say how vectors are made", async () => {
  const settings: SentenceSettings = { ...mean, modes: ["cls", "mean"], normalize: false, maxLength: 12, prompt: "of ", lowerCase: true, includePrompt: false }; // prettier-ignore
  const { files } = sentenceEmbeddings(tokenizer, { columns: { texts: 2 }, settings, hiddenSize: 16 });
  const texts = Object.fromEntries(Object.entries(files!).map(([name, value]) => [name, JSON.stringify(value)]));
  expect(await readSentenceSettings(folderOf(texts, "here"), 16)).toEqual(settings);
});
