import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig } from "@gpugrad/bert";
import { Dataset, trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { crossValidate, meanAndSd } from "./folds.ts";
import { openData } from "./open-data.ts";
import { parseTrainOptions, type TrainOptions, type TrainRequest } from "./options.ts";
import { trainCommand } from "./train-command.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-folds-"));
const at = (name: string): string => join(work, name);
const preset = { name: "train", description: "", defaults: () => ({}) };
beforeAll(async () => {
  const rows = Array.from({ length: 24 }, (_, i) => `${i % 3 ? "a fine film" : "a dull story"} ${i},${i % 3 ? "good" : "bad"}`); // prettier-ignore
  writeFileSync(at("rows.csv"), `text,label\n${rows.join("\n")}\n`);
  const tokenizer = trainWordPiece(rows, { vocabSize: 80, maxLength: 16 });
  await tokenizer.savePretrained(at("model"));
  const sizes = { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 };
  await new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 }).savePretrained(at("model")); // prettier-ignore
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const words = (...more: string[]): string[] => [
  ...["--model", at("model"), "--from_scratch", "--dataset", at("rows.csv"), "--max_steps", "2", "--folds", "3"],
  ...["--save_strategy", "no", "--quiet", ...more],
];

test("each row is held out once, and every fold has its share of each class", async () => {
  const labels = Array.from({ length: 30 }, (_, i) => Number(i % 5 === 0));
  const rows = Dataset.fromRows(labels.map((label, i) => ({ text: `row ${i}`, label })));
  const others = Dataset.fromRows([{ text: "test", label: 0 }]);
  const held: string[] = [];
  for (const fold of [1, 2, 3]) {
    const options = { model: "", folds: 3, fold } as TrainOptions;
    const data = await openData(options, 7, () => Promise.resolve({ train: rows, validation: others }));
    const textsOf = async (set: Dataset) => Promise.all(Array.from({ length: set.length }, async (_, i) => (await set.row(i)).text)); // prettier-ignore
    const [own, out] = [await textsOf(data.train), await textsOf(data.validation)];
    expect([own.length, out.length, new Set([...own, ...out]).size]).toEqual([20, 10, 30]);
    expect((await Promise.all(out.map((_, i) => data.validation.label(i)))).filter((label) => label === 1)).toHaveLength(2); // prettier-ignore
    expect(await textsOf(data.test!)).toEqual(["test"]);
    held.push(...out);
  }
  expect(new Set(held).size).toBe(30);
});

test("a run for each fold, and means with standard deviations", async () => {
  const { code, out, err } = await captured(() => trainCommand(words("--output_dir", at("three")), preset));
  expect([code, err]).toEqual([0, expect.stringContaining("fold-3")]);
  const results = (folder: string) => JSON.parse(readFileSync(join(folder, "all_results.json"), "utf8")) as Record<string, number>; // prettier-ignore
  const each = [1, 2, 3].map((fold) => results(join(at("three"), `fold-${fold}`))["eval_loss"]!);
  expect(new Set(each).size).toBe(3);
  const mean = (each[0]! + each[1]! + each[2]!) / 3;
  const sd = Math.sqrt(((each[0]! - mean) ** 2 + (each[1]! - mean) ** 2 + (each[2]! - mean) ** 2) / 2);
  expect(results(at("three"))).toMatchObject({ folds: 3, eval_loss: expect.closeTo(mean, 9) as number, eval_loss_sd: expect.closeTo(sd, 9) as number }); // prettier-ignore
  expect(out).toMatch(/3 folds: mean and standard deviation\n\n +mean +sd +fold 1 +fold 2 +fold 3\n/);
  expect(out).toContain(`eval_loss `);
  expect(existsSync(join(at("three"), "fold-3", "model.safetensors"))).toBe(true);
  const again = await captured(() => trainCommand(words("--output_dir", at("three")), preset));
  expect([again.code, again.err]).toEqual([1, expect.stringMatching(/an earlier command has left its runs here/)]);
});

test("mean and sample standard deviation", () => {
  expect(meanAndSd([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ mean: 5, sd: expect.closeTo(Math.sqrt(32 / 7), 12) as number });
});

describe("what was stopped", () => {
  /** Folds whose runs write these losses; a loss of 0 stands for a run that is stopped. */
  const folds = (losses: readonly number[], ...more: string[]) => {
    const seen: string[] = [];
    const request = parseTrainOptions(words("--output_dir", at("stopped"), ...more), preset) as TrainRequest;
    const run = (given: readonly string[]): Promise<number> => {
      seen.push(given.map((word) => word.replace(work, "")).join(" "));
      const fold = Number(given[1]);
      const folder = given[3]!;
      if (losses[fold - 1] === 0) return Promise.resolve(130);
      mkdirSync(folder, { recursive: true });
      const results = { eval_loss: losses[fold - 1], eval_runtime: 3, eval_samples: 8, train_loss: 9 };
      writeFileSync(join(folder, "all_results.json"), JSON.stringify(results));
      return Promise.resolve(0);
    };
    return captured(() => crossValidate(request, run)).then((result) => ({ ...result, seen }));
  };

  test("continues with the folds that are left", async () => {
    const first = await folds([1, 0, 2]);
    expect([first.code, first.seen]).toEqual([130, ["--fold 1 --output_dir /stopped/fold-1", "--fold 2 --output_dir /stopped/fold-2"]]); // prettier-ignore
    const rest = await folds([9, 3, 2], "--resume_from_checkpoint", "true");
    expect(rest.seen).toEqual([2, 3].map((fold) => `--fold ${fold} --output_dir /stopped/fold-${fold} --resume_from_checkpoint auto`)); // prettier-ignore
    expect(rest.out).toMatch(/eval_loss +2 +1 +1 +3 +2\n$/);
  });

  test("other options, and a state that was changed, are refused", async () => {
    const resumed = ["--resume_from_checkpoint", "true"];
    await expect(folds([1, 2, 3], ...resumed, "--learning_rate", "1")).rejects.toThrow(/learning_rate was 0.00005 there and is 1 now/); // prettier-ignore
    const file = join(at("stopped"), "folds.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"eval_loss": 3', '"eval_loss": 4'));
    await expect(folds([1, 2, 3], ...resumed)).rejects.toThrow(/folds.json: its checksum differs/);
    const again = await folds([1, 2, 3], "--overwrite_output_dir");
    expect([again.code, again.seen[0]]).toEqual([0, "--fold 1 --output_dir /stopped/fold-1 --overwrite_output_dir"]);
  });
});

test.each([
  [["--fold", "4"], "--fold 4 needs --folds of at least as many"],
  [["--push_to_hub"], "--folds trains several models"],
  [["--train_indices", "1,2", "--eval_indices", "3"], "--folds divides the rows itself"],
])("%j is refused", async (more, message) => {
  const { code, err } = await captured(() => trainCommand(words("--output_dir", at("x"), ...more), preset));
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});
