import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, BertModel } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { answer } from "../commands/answer.ts";
import { embed } from "../commands/embed.ts";
import { evaluate } from "../commands/evaluate.ts";
import { fillMask } from "../commands/fill-mask.ts";
import { predict } from "../commands/predict.ts";
import { parseTrainOptions, type TrainRequest } from "./options.ts";
import { trainCommand } from "./train-command.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-kinds-"));
const at = (name: string): string => join(work, name);
const people = ["ada lovelace", "bob ross", "eve curie", "gil evans"];
const places = ["oslo", "new york", "rome"];
/** Who lives where: each with each. */
const stories = people.flatMap((person) => places.map((place) => ({ person, place })));
const often = <T>(rows: readonly T[]): T[] => Array.from({ length: 8 }, () => rows).flat();

beforeAll(async () => {
  await init();
  manualSeed(0);
  const text = `${people.join(" ")} ${places.join(" ")} lives in where does nobody . ?`;
  const tokenizer = trainWordPiece([text], { vocabSize: 120, maxLength: 32 });
  await tokenizer.savePretrained(at("tiny"));
  const sizes = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64 };
  const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 32 });
  await BertModel.fromConfig(config).savePretrained(at("tiny"));
  await destroy();
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

async function train(file: string, out: string, ...more: string[]): Promise<Record<string, number>> {
  const words = [
    "--model",
    at("tiny"),
    "--train_file",
    at(file),
    "--validation_file",
    at(file),
    "--output_dir",
    at(out),
  ];
  const rest = [
    "--learning_rate",
    "5e-3",
    "--per_device_train_batch_size",
    "12",
    "--save_strategy",
    "no",
    "--dropout",
    "0",
  ];
  const preset = { name: "train", description: "", defaults: () => ({}) };
  const { code, err } = await captured(() => trainCommand([...words, ...rest, ...more], preset));
  expect([code, err]).toEqual([0, expect.stringContaining(`task       ${out}`)]);
  return JSON.parse(readFileSync(join(at(out), "all_results.json"), "utf8")) as Record<string, number>;
}

test("tags: a CoNLL file is known by its columns; predict finds the entities", async () => {
  const tagged = (words: string, type: string): string[] =>
    words.split(" ").map((word, i) => `${word} ${i ? "I" : "B"}-${type}`);
  const sentences = stories.map(({ person, place }) =>
    [...tagged(person, "PER"), "lives O", "in O", ...tagged(place, "LOC"), ". O"].join("\n"),
  );
  writeFileSync(at("people.conll"), often(sentences).join("\n\n"));
  const results = await train("people.conll", "token-classification", "--num_train_epochs", "4");
  expect(results).toMatchObject({ eval_f1: 1, eval_accuracy: 1 });
  const folder = at("token-classification");
  const { code, out } = await captured(() => predict([folder, "--json", "Bob Ross lives in New York."]));
  const entities = JSON.parse(out) as { entity_group: string; word: string; start: number; end: number }[];
  expect([code, entities.map(({ entity_group, word, start, end }) => [entity_group, word, start, end])]).toEqual([
    0,
    [
      ["PER", "bob ross", 0, 8],
      ["LOC", "new york", 18, 26],
    ],
  ]);
  // Windows of a sentence each: six tokens and the special ones.
  const short = stories.filter(({ place }) => !place.includes(" ")).slice(0, 4);
  const long = short.map(({ person, place }) => `${person} lives in ${place}.`).join(" ");
  const found = async (...more: string[]): Promise<typeof entities> =>
    JSON.parse(
      (await captured(() => predict([folder, "--json", "--max_length", "8", ...more, long]))).out,
    ) as typeof entities;
  const spans = (await found("--stride", "0")).map(({ entity_group, start, end }) => [
    entity_group,
    long.slice(start, end),
  ]);
  expect(spans).toEqual(short.flatMap(({ person, place }) => [["PER", person], ["LOC", place]])); // prettier-ignore
  expect((await found()).map(({ end }) => end)).toEqual([12, 26]); // cut after the first sentence
  // Where windows overlap, what two of them find is given once.
  const shared = await found("--stride", "3");
  expect(shared.length).toBeGreaterThan(2);
  for (const [i, { start }] of shared.slice(1).entries()) expect(start).toBeGreaterThanOrEqual(shared[i]!.end);
  const judged = await captured(() => evaluate([folder, "--dataset", at("people.conll"), "--json"]));
  expect(JSON.parse(judged.out)).toMatchObject({ f1: 1, rows: 96 });
  expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))).toMatchObject({
    architectures: ["BertForTokenClassification"],
    label2id: { "B-LOC": 0, "B-PER": 1, "I-LOC": 2, "I-PER": 3, O: 4 },
  });
});

/** The overlap of windows that a command line asks for. */
const parsedStride = (words: string[]): number | undefined =>
  (parseTrainOptions(words, { name: "train", description: "", defaults: () => ({}) }) as TrainRequest).options
    .docStride;

test("answers: SQuAD's file, windows, exact match and F1", async () => {
  const paragraphs = often(stories).map(({ person, place }, i) => {
    const [first, second] = i % 2 ? ["nobody lives in rome .", ""] : ["", " nobody lives in oslo ."];
    const context = `${first}${first && " "}${person} lives in ${place} .${second}`;
    const answers = [{ text: place, answer_start: context.lastIndexOf(person) + `${person} lives in `.length }];
    return { context, qas: [{ id: `q${i}`, question: `where does ${person} ?`, answers }] };
  });
  writeFileSync(at("people.json"), JSON.stringify({ data: [{ title: "people", paragraphs }] }));
  const results = await train("people.json", "question-answering", "--num_train_epochs", "8", "--doc_stride", "6");
  expect(results["eval_exact_match"]).toBeGreaterThan(90);
  const folder = at("question-answering");
  const asked = await captured(() =>
    answer([folder, "where does eve curie ?", "nobody lives in rome . eve curie lives in new york .", "--json"]),
  );
  expect(JSON.parse(asked.out)).toMatchObject({ id: "0", answer: "new york", start: 42, end: 50 });
  const judged = await captured(() => evaluate([folder, "--dataset", at("people.json"), "--json"]));
  expect(JSON.parse(judged.out)).toMatchObject({ exact_match: results["eval_exact_match"] });
  await expect(captured(() => answer([folder, "where ?"]))).rejects.toThrow("give a question and a context, or --file");
});

test("the length of windows is 384 unless another is asked for, be it the default of other tasks", async () => {
  const words = ["--model", at("tiny"), "--train_file", at("people.json"), "--output_dir", at("qa"), "--dry_run"];
  const preset = { name: "train", description: "", defaults: () => ({}) };
  for (const [asked, length] of [
    [[], 384],
    [["--max_length", "512"], 512],
    [["--max_length", "20"], 20],
  ] as const) {
    const { out } = await captured(() => trainCommand([...words, ...asked], preset));
    expect(out).toMatch(new RegExp(`max_length +${length}\\b`));
  }
  expect(["--doc_stride", "--stride"].map((name) => parsedStride([...words, name, "6"]))).toEqual([6, 6]);
});

test("choices: predict gives the likeliest continuation of each text", async () => {
  const rows = stories.map(({ person, place }, i) => {
    const [right, wrong] = [`${person} lives in ${place} .`, `nobody lives in ${place} .`];
    return {
      context: `where does ${person} ?`,
      choices: i % 2 ? [right, wrong] : [wrong, right],
      label: i % 2 ? 0 : 1,
    };
  });
  writeFileSync(at("choices.jsonl"), often(rows).map((row) => JSON.stringify(row)).join("\n")); // prettier-ignore
  const results = await train("choices.jsonl", "multiple-choice", "--num_train_epochs", "6");
  expect(results["eval_accuracy"]).toBe(1);
  const folder = at("multiple-choice");
  // Of other lengths than their neighbours in a batch, and one row with three choices.
  const asked = [...rows, { context: "where does bob ross ?", choices: ["nobody lives in oslo .", "rome", "bob ross lives in oslo ."] }]; // prettier-ignore
  writeFileSync(at("asked.jsonl"), asked.map(({ context, choices }) => JSON.stringify({ context, choices })).join("\n")); // prettier-ignore
  const { code, out } = await captured(() =>
    predict([folder, "--file", at("asked.jsonl"), "--json", "--batch_size", "2"]),
  );
  const found = out.trimEnd().split("\n").map((line) => JSON.parse(line) as { label: string; score: number; logits: number[] }); // prettier-ignore
  expect(code).toBe(0);
  expect(found.slice(0, -1).map(({ label }) => label)).toEqual(rows.map(({ choices, label }) => choices[label]));
  // As the Trainer computes them together.
  const last = found.at(-1)!;
  expect([last.label, last.logits.length]).toEqual(["bob ross lives in oslo .", 3]);
  const sum = last.logits.reduce((total, logit) => total + Math.exp(logit), 0);
  expect(last.score).toBeCloseTo(Math.exp(Math.max(...last.logits)) / sum, 6);
  const [row] = rows;
  const typed = await captured(() => predict([folder, row!.context, ...row!.choices]));
  expect(typed.out).toBe(`${row!.choices[1]}\t${found[0]!.score.toFixed(4)}\t${row!.context}\n`);
  const csv = await captured(() => predict([folder, "--file", at("asked.jsonl"), "--csv", "--top_k", "3"]));
  expect(csv.out.split("\n").map((line) => line.split(",").length)).toEqual([...Array<number>(asked.length + 1).fill(8), 1]); // prettier-ignore
  await expect(captured(() => predict([folder, "where ?"]))).rejects.toThrow(/the text has no choices/);
  await expect(captured(() => predict([folder, "--stride", "2", "a", "b"]))).rejects.toThrow(
    /--stride is not for multiple/,
  );
});

test("hidden words: a text file, line by line; fill-mask guesses them", async () => {
  writeFileSync(
    at("people.txt"),
    often(stories)
      .map(({ person }) => `${person} lives in oslo .`)
      .join("\n"),
  );
  const results = await train(
    "people.txt",
    "masked-lm",
    "--num_train_epochs",
    "12",
    "--line_by_line",
    "--task",
    "masked-lm",
  );
  expect(results["eval_perplexity"]).toBeCloseTo(Math.exp(results["eval_loss"]!), 6);
  const { out } = await captured(() =>
    fillMask([at("masked-lm"), "bob ross lives [MASK] oslo .", "--json", "--top-k", "2"]),
  );
  const guesses = JSON.parse(out) as { score: number; token_str: string; sequence: string }[];
  expect([guesses.length, guesses[0]!.token_str]).toEqual([2, "in"]);
  expect(guesses[0]!.sequence).toBe("bob ross lives in oslo.");
  expect(guesses[0]!.score).toBeGreaterThan(guesses[1]!.score);
  const none = await captured(() =>
    fillMask([at("masked-lm"), "bob"]).catch(
      (error: Error) => (expect(error.message).toContain("no [MASK] among the"), 1),
    ),
  );
  expect(none.code).toBe(1);
});

/** What embed says of texts: their vectors. */
async function vectorsOf(folder: string, texts: readonly string[]): Promise<number[][]> {
  const { out } = await captured(() => embed([folder, "--json", ...texts]));
  return out.trimEnd().split("\n").map((line) => (JSON.parse(line) as { embedding: number[] }).embedding); // prettier-ignore
}
const texts = ["ada lovelace lives in oslo .", "where does bob ross", "rome"];

test("embeddings: anchors and positives are known by their columns; embed opens what was saved", async () => {
  const pairs = people.map((person, i) => ({ anchor: `where does ${person} ?`, positive: `${person} lives in ${places[i % 3]} .` })); // prettier-ignore
  writeFileSync(at("pairs.jsonl"), often(pairs).map((row) => JSON.stringify(row)).join("\n")); // prettier-ignore
  const results = await train("pairs.jsonl", "sentence-embeddings", "--num_train_epochs", "6", "--max_length", "24");
  expect(results).toMatchObject({ "eval_cosine_accuracy@1": 1 });
  const folder = at("sentence-embeddings");
  expect(JSON.parse(readFileSync(join(folder, "sentence_bert_config.json"), "utf8"))).toEqual({ max_seq_length: 24, do_lower_case: false }); // prettier-ignore
  const [a, b, c] = await vectorsOf(folder, ["where does eve curie ?", "eve curie lives in rome .", "bob ross lives in rome ."]); // prettier-ignore
  const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  expect([dot(a!, a!), dot(b!, b!)]).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)]);
  expect(dot(a!, b!)).toBeGreaterThan(dot(a!, c!));
  const judged = await captured(() => evaluate([folder, "--dataset", at("pairs.jsonl"), "--json"]));
  expect(JSON.parse(judged.out)).toMatchObject({ "cosine_accuracy@1": 1, rows: 32 });
});

test("scored pairs by --task, with the loss that --loss names; another's columns are refused", async () => {
  const scored = people.flatMap((sentence1, i) => people.map((sentence2, k) => ({ sentence1, sentence2, score: Number(i === k) }))); // prettier-ignore
  writeFileSync(at("scored.jsonl"), often(scored).map((row) => JSON.stringify(row)).join("\n")); // prettier-ignore
  const words = ["--model", at("tiny"), "--train_file", at("scored.jsonl"), "--output_dir", at("sts"), "--max_steps", "2", "--task", "sentence-embeddings"]; // prettier-ignore
  const preset = { name: "train", description: "", defaults: () => ({}) };
  const wanted = await captured(() => trainCommand([...words, "--loss", "cosent"], preset));
  expect([wanted.code, wanted.err]).toEqual([0, expect.stringContaining("a vector of 32, loss cosent")]);
  expect(wanted.out).toContain("spearman_cosine");
  expect(wanted.err).toContain(`embed ${at("sts")} "A text."`);
  const refused = await captured(() =>
    trainCommand([...words, "--loss", "triplet", "--overwrite_output_dir", "true"], preset),
  );
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("triplet takes anchors, positives and one column of negatives")]); // prettier-ignore
});

const python = pythonWith("sentence_transformers");
test.skipIf(!python)(
  "Python's SentenceTransformer gives the vectors of embed for a folder that was trained",
  async () => {
    const program = `
import json, sys
from sentence_transformers import SentenceTransformer
folder, texts = json.loads(sys.argv[1])
model = SentenceTransformer(folder, device="cpu")
print(json.dumps({"length": model.max_seq_length, "vectors": model.encode(texts).tolist()}))`;
    const theirs = (await python!(program, [at("sentence-embeddings"), texts])) as {
      length: number;
      vectors: number[][];
    };
    const ours = await vectorsOf(at("sentence-embeddings"), texts);
    expect(theirs.length).toBe(24);
    expect(ours).toEqual(theirs.vectors.map((row) => row.map((value) => expect.closeTo(value, 5) as number)));
  },
);
