import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, BertModel } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { nearest } from "../text/search-index.ts";
import { trainCommand } from "../train/train-command.ts";
import { embed } from "./embed.ts";
import { search } from "./search.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-search-"));
const at = (name: string): string => join(work, name);
const facts = ["the sky is blue", "grass is green", "the sun is yellow", "night is black"];
const questions = ["what colour has the sky", "what colour has grass", "what colour has the sun", "what colour has night"]; // prettier-ignore

beforeAll(async () => {
  await init();
  manualSeed(0);
  const tokenizer = trainWordPiece([...facts, ...questions], { vocabSize: 120, maxLength: 16 });
  const sizes = { hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64 };
  const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 });
  await BertModel.fromConfig(config).savePretrained(at("tiny"));
  await tokenizer.savePretrained(at("tiny"));
  await destroy();
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Hit {
  score: number;
  row: number;
  text: string;
}
async function hits(query: string, ...more: string[]): Promise<{ found: Hit[]; err: string }> {
  const { out, err } = await captured(() => search([at("facts.txt"), query, "--model", at("out"), "--json", ...more]));
  return { found: out.trimEnd().split("\n").map((line) => JSON.parse(line) as Hit), err }; // prettier-ignore
}

test("train, embed, search: the facts that questions were trained for are found", async () => {
  const rows = Array.from({ length: 32 }, (_, i) => ({ anchor: questions[i % 4], positive: facts[i % 4] }));
  writeFileSync(at("pairs.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const words = ["--model", at("tiny"), "--train_file", at("pairs.jsonl"), "--output_dir", at("out"), "--dropout", "0"];
  const rest = ["--num_train_epochs", "12", "--per_device_train_batch_size", "4", "--learning_rate", "5e-3", "--save_strategy", "no"]; // prettier-ignore
  const preset = { name: "train", description: "", defaults: () => ({}) };
  expect((await captured(() => trainCommand([...words, ...rest], preset))).code).toBe(0);
  writeFileSync(at("facts.txt"), facts.join("\n"));
  for (const [row, question] of questions.entries()) {
    const { found, err } = await hits(question, "--top_k", "2");
    expect([found.length, found[0]]).toEqual([2, { score: found[0]!.score, row, text: facts[row] }]);
    expect(found[0]!.score).toBeGreaterThan(found[1]!.score);
    expect(err).toBe(row === 0 ? `gpugrad search: embedded 4 texts into ${at("facts.txt")}.index.safetensors.\n` : "");
  }
  const { out } = await captured(() => embed([at("out"), "--json", questions[0]!, facts[0]!]));
  const [a, b] = out.trimEnd().split("\n").map((line) => (JSON.parse(line) as { embedding: number[] }).embedding); // prettier-ignore
  const { found } = await hits(questions[0]!);
  expect(found[0]!.score).toBeCloseTo(
    a!.reduce((sum, v, i) => sum + v * b![i]!, 0),
    5,
  );
});

test("the index is made again when the file or the way it is read changes, and only then", async () => {
  const index = `${at("facts.txt")}.index.safetensors`;
  const before = statSync(index).mtimeMs;
  writeFileSync(at("facts.txt"), [...facts].reverse().join("\n"));
  const changed = await hits(questions[0]!, "--top_k", "1");
  expect([changed.found[0]!.row, changed.err]).toEqual([3, expect.stringContaining("embedded 4 texts")]);
  expect((await hits(questions[0]!, "--max_length", "4")).err).toContain("embedded 4 texts");
  expect((await hits(questions[0]!, "--index", at("other"))).err).toContain(`embedded 4 texts into ${at("other")}`);
  expect(statSync(index).mtimeMs).not.toBe(before);
  const text = await captured(() => search([at("facts.txt"), "night", "--model", at("out"), "--index", at("other"), "--top_k", "4"])); // prettier-ignore
  expect(text).toEqual({ code: 0, out: expect.stringMatching(/^(-?[01]\.\d{4}\t[a-z ]+\n){4}$/) as string, err: "" });
});

test("no other file is overwritten, and a file without texts is refused", async () => {
  const weights = join(at("out"), "model.safetensors");
  const size = readFileSync(weights).length;
  await expect(hits("night", "--index", weights)).rejects.toThrow("not an index of gpugrad search");
  expect(readFileSync(weights).length).toBe(size);
  writeFileSync(at("empty.txt"), "");
  await expect(captured(() => search([at("empty.txt"), "night", "--model", at("out")]))).rejects.toThrow(
    "no texts to search",
  );
});

test("the nearest rows, the best first; NaN is never near", () => {
  const data = Float32Array.from([1, 0, 0, 1, NaN, 1, 0.6, 0.8]);
  expect(nearest({ data, width: 2 }, [0, 1], 2)).toEqual([{ row: 1, score: 1 }, { row: 3, score: expect.closeTo(0.8, 6) as number }]); // prettier-ignore
});
