import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoModelForSequenceClassification, BertConfig } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { distill } from "./distill.ts";
import { predict } from "./predict.ts";
import { train } from "./train.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-distill-"));
const [untrained, teacher, data] = ["untrained", "teacher", "rows.csv"].map((name) => join(work, name)) as [string, string, string]; // prettier-ignore

/** What was written to stdout and stderr while a command ran, and its exit code. */
async function captured(command: (args: string[]) => Promise<number>, ...args: string[]) {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((text) => ((said[name] += String(text)), true));
  const code = await command(args);
  vi.restoreAllMocks();
  return { code, ...said };
}
const out = (name: string): string[] => ["--output_dir", join(work, name), "--save_strategy", "no"];
const short = ["--max_steps", "4", "--per_device_train_batch_size", "4", "--learning_rate", "1e-2"];

beforeAll(async () => {
  vi.stubEnv("GPUGRAD_TOKEN_CACHE", join(work, "cache"));
  const rows = Array.from({ length: 40 }, (_, i) => `${i % 2 ? "a fine film" : "a dull story"} ${i},${i % 2 ? "good" : "bad"}`); // prettier-ignore
  writeFileSync(data, ["text,label", ...rows].join("\n"));
  const tokenizer = trainWordPiece(rows, { vocabSize: 80, maxLength: 16 });
  await tokenizer.savePretrained(untrained);
  const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
  await new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 }).savePretrained(untrained); // prettier-ignore
  const trained = await captured(train, "--model", untrained, "--from_scratch", "--dataset", data, "--max_steps", "20", "--learning_rate", "1e-2", ...out("teacher")); // prettier-ignore
  expect(trained.code, trained.stderr).toBe(0);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(work, { recursive: true, force: true });
});

test("a student of a layer is saved as a DistilBERT, with what it was learned from", async () => {
  const options = ["--dataset", data, "--student_layers", "1", "--temperature", "3", "--alpha", "0.7", "--alpha_cos", "0.1"]; // prettier-ignore
  const { code, stdout, stderr } = await captured(distill, teacher, ...options, ...short, ...out("student"));
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/teacher +student\n.*layers +2 +1\n.*parameters +0\.01 M +0\.00 M +-\d+\.\d %\n.*ms per text .* times as fast\n *accuracy +[\d.]+ +[\d.]+/s); // prettier-ignore
  const read = (file: string): string => readFileSync(join(work, "student", file), "utf8");
  expect(JSON.parse(read("config.json"))).toMatchObject({ model_type: "distilbert", n_layers: 1, dim: 16, id2label: { 0: "bad", 1: "good" } }); // prettier-ignore
  expect(JSON.parse(read("tokenizer_config.json"))).toMatchObject({ model_input_names: ["input_ids", "attention_mask"] }); // prettier-ignore
  for (const text of [read("README.md"), read("report.html")]) {
    expect(text).toMatch(/teacher[^]*teacher \([\d,]+ parameters\)/);
    expect(text).toMatch(/temperature\W+(<\/?\w+>\s*)*3/);
    expect(text).toMatch(/alpha\W+(<\/?\w+>\s*)*0\.7/);
  }
  const labelled = await captured(predict, join(work, "student"), "a fine film");
  expect(labelled.stdout).toMatch(/^(good|bad)\t0\.\d+\ta fine film/);
  const again = await captured(distill, "--config", join(work, "student", "train_config.json"), "--dry_run");
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/temperature +3\n[^]*alpha +0\.7\n/)]);
});

test("a teacher's logits are kept for the next run, which begins and ends in the same way", async () => {
  const run = (name: string) => captured(distill, teacher, "--dataset", data, "--student_layers", "1", "--cache_teacher_logits", ...short, ...out(name)); // prettier-ignore
  const [first, second] = [await run("first"), await run("second")];
  expect(first.stderr).toMatch(/logits of 36 rows were computed, and are kept in .*cache/);
  expect(second.stderr).toMatch(/logits of 36 rows are in .*cache/);
  expect(second.stdout.replace(/ms per text.*/, "")).toBe(first.stdout.replace(/ms per text.*/, ""));
  const weights = (name: string) => readFileSync(join(work, name, "model.safetensors"));
  expect(weights("second").equals(weights("first"))).toBe(true);
});

test("any model that reads the teacher's tokens may be the student", async () => {
  const named = ["--student", untrained, "--from_scratch", "--json"];
  const { code, stdout, stderr } = await captured(distill, teacher, "--dataset", data, ...named, ...short, ...out("named")); // prettier-ignore
  expect(code, stderr).toBe(0);
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
  expect(events.find(({ event }) => event === "comparison")).toMatchObject({ layers: [2, 2], parameters: [expect.any(Number), expect.any(Number)] }); // prettier-ignore
  await init();
  const model = await AutoModelForSequenceClassification.fromPretrained(join(work, "named"));
  expect(model.config.model_type).toBe("bert");
  await destroy();
});

test.each([
  [[], /no student, or two: give --student_layers N or --student ID/],
  [["--student_layers", "1", "--student", "x"], /no student, or two/],
  [["--student_layers", "3"], /a student of 3 layers can't begin with those of a teacher of 2/],
  [["--student_layers", "1", "--alpha", "2"], /alpha is 2; it has to lie between 0 and 1/],
  [["--student_layers", "1", "--temperature", "0"], /temperature is 0; it has to be positive/],
  [["--student_layers", "1", "--cache_teacher_logits", "--alpha_cos", "1"], /keeps logits, and --alpha_cos compares hidden states/], // prettier-ignore
  [["--student_layers", "1", "--init_classifier", "x"], /--init_classifier is for one model/],
])("what makes no sense is refused by name: %j", async (options, message) => {
  const { code, stderr } = await captured(distill, teacher, "--dataset", data, ...options, ...out("refused"));
  expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
});

test("a teacher has to be trained, for the classes of the data; a student reads its tokens", async () => {
  await init();
  const { BertModel } = await import("@gpugrad/bert");
  const headless = BertModel.fromConfig(await BertConfig.fromPretrained(untrained));
  await headless.savePretrained(join(work, "headless"));
  await destroy();
  writeFileSync(join(work, "headless", "tokenizer.json"), readFileSync(join(untrained, "tokenizer.json")));
  const other = join(work, "other.csv");
  writeFileSync(other, readFileSync(data, "utf8").replaceAll(",good", ",great"));
  const words = join(work, "words");
  await trainWordPiece(["other words"], { vocabSize: 40, maxLength: 16 }).savePretrained(words);
  writeFileSync(join(words, "config.json"), readFileSync(join(untrained, "config.json")));
  const refused = async (...args: string[]) => (await captured(distill, ...args, ...out("refused"))).stderr;
  expect(await refused(join(work, "headless"), "--dataset", data, "--student_layers", "1")).toMatch(/weights are missing: classifier.*fine-tune it with gpugrad train first/s); // prettier-ignore
  expect(await refused(teacher, "--dataset", other, "--student_layers", "1")).toMatch(/the data's classes \[bad, great\] are not the teacher's \[bad, good\]/); // prettier-ignore
  expect(await refused(teacher, "--dataset", data, "--student", words, "--from_scratch")).toMatch(/has other tokens than the teacher/); // prettier-ignore
});
