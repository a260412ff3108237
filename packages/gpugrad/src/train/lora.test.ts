import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BertConfig, BertModel, DistilBertConfig, DistilBertModel } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { captured } from "../../test/captured.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { embed } from "../commands/embed.ts";
import { evaluate } from "../commands/evaluate.ts";
import { merge } from "../commands/merge.ts";
import { predict } from "../commands/predict.ts";
import { trainCommand } from "./train-command.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-lora-"));
const at = (name: string): string => join(work, name);
const texts = ["a fine film", "a dull story", "fine acting", "dull acting"];
const jsonl = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
const sixteen = <T>(row: (i: number) => T): T[] => Array.from({ length: 16 }, (_, i) => row(i));

beforeAll(async () => {
  await init();
  manualSeed(0);
  const tokenizer = trainWordPiece(["a fine film dull story acting who is it ? it is ada . bob"], { vocabSize: 90, maxLength: 24 }); // prettier-ignore
  const common = { vocab_size: tokenizer.vocabSize, max_position_embeddings: 24, initializer_range: 0.2 };
  const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
  await BertModel.fromConfig(new BertConfig({ ...common, ...sizes })).savePretrained(at("bert"));
  const small = new DistilBertConfig({ ...common, dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 32 });
  await DistilBertModel.fromConfig(small).savePretrained(at("distilbert"));
  for (const name of ["bert", "distilbert"]) await tokenizer.savePretrained(at(name));
  await destroy();
  writeFileSync(at("reviews.jsonl"), jsonl(sixteen((i) => ({ text: texts[i % 4], label: i % 2 ? "bad" : "good" }))));
  writeFileSync(at("tags.conll"), sixteen((i) => `${i % 2 ? "ada" : "bob"} B-PER\nis O`).join("\n\n"));
  writeFileSync(
    at("questions.jsonl"),
    jsonl(sixteen((i) => ({ id: `${i}`, question: "who is it ?", context: "it is ada .", answers: { text: ["ada"], answer_start: [6] } }))), // prettier-ignore
  );
  writeFileSync(at("choices.jsonl"), jsonl(sixteen((i) => ({ text: "it is", choices: ["ada", "bob"], label: i % 2 })))); // prettier-ignore
  writeFileSync(at("texts.txt"), sixteen((i) => texts[i % 4]).join("\n"));
  writeFileSync(at("pairs.jsonl"), jsonl(sixteen((i) => ({ anchor: texts[i % 4], positive: texts[(i + 2) % 4] }))));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const train = (model: string, file: string, out: string, ...more: string[]) =>
  captured(() =>
    trainCommand(
      [
        ...["--model", at(model), "--train_file", at(file), "--validation_file", at(file), "--output_dir", at(out)],
        ...[
          "--max_steps",
          "4",
          "--save_strategy",
          "no",
          "--learning_rate",
          "2e-2",
          "--per_device_eval_batch_size",
          "16",
          "--lora_r",
          "2",
          "--quiet",
          ...more,
        ],
      ],
      { name: "train", description: "", defaults: () => ({}) },
    ),
  );
const resultsOf = (out: string): Record<string, number> =>
  JSON.parse(readFileSync(join(at(out), "all_results.json"), "utf8")) as Record<string, number>;
const configOf = (out: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(at(out), "adapter_config.json"), "utf8")) as Record<string, unknown>;

describe("every task trains an adapter, which evaluate opens", () => {
  test.each([
    ["reviews.jsonl", "bert", [], { task_type: "SEQ_CLS", modules_to_save: ["classifier", "score"] }],
    ["reviews.jsonl", "distilbert", [], { target_modules: ["q_lin", "v_lin"], modules_to_save: ["classifier", "pre_classifier", "score"] }], // prettier-ignore
    ["tags.conll", "bert", ["--use_dora", "--lora_target_modules", "all-linear"], { task_type: "TOKEN_CLS", use_dora: true, target_modules: "all-linear" }], // prettier-ignore
    ["questions.jsonl", "bert", ["--lora_alpha", "4", "--use_rslora"], { task_type: "QUESTION_ANS", lora_alpha: 4, use_rslora: true, modules_to_save: ["qa_outputs"] }], // prettier-ignore
    ["choices.jsonl", "bert", ["--task", "multiple-choice", "--lora_dropout", "0.1"], { task_type: null, lora_dropout: 0.1, modules_to_save: ["classifier"] }], // prettier-ignore
    ["texts.txt", "bert", ["--task", "masked-lm", "--lora_target_modules", ".*\\.1\\..*(query|key)"], { task_type: null, target_modules: ".*\\.1\\..*(query|key)" }], // prettier-ignore
    ["pairs.jsonl", "bert", ["--lora_target_modules", "query,key"], { task_type: "FEATURE_EXTRACTION", target_modules: ["query", "key"], modules_to_save: [] }], // prettier-ignore
  ] as const)("%s with %s %j", async (file, model, options, config) => {
    const out = `${model}-${file}`;
    const { code, err } = await train(model, file, out, ...options);
    expect([code, err]).toEqual([0, expect.any(String)]);
    expect(existsSync(join(at(out), "model.safetensors"))).toBe(false);
    expect(configOf(out)).toMatchObject({ r: 2, base_model_name_or_path: at(model), ...config });
    const judged = await captured(() => evaluate([at(out), "--dataset", at(file), "--json"]));
    const found = JSON.parse(judged.out) as Record<string, number>;
    const trained = resultsOf(out);
    const names = Object.keys(found).filter((name) => `eval_${name}` in trained && name !== "runtime");
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) expect([name, found[name]]).toEqual([name, expect.closeTo(trained[`eval_${name}`]!, 4)]);
  });
});

test("merge writes a model as any other, which answers as the adapter does", async () => {
  const answers = async (folder: string) => JSON.parse((await captured(() => predict([folder, texts[0]!, "--json"]))).out) as { label: string; logits: number[] }; // prettier-ignore
  const { code, err } = await captured(() => merge([at("bert-reviews.jsonl"), "--output_dir", at("merged")]));
  expect([code, err]).toEqual([0, expect.stringContaining(`saved the merged model and its tokenizer in ${at("merged")}`)]); // prettier-ignore
  expect(readdirSync(at("merged")).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]); // prettier-ignore
  expect(await answers(at("merged"))).toEqual(await answers(at("bert-reviews.jsonl")));

  await captured(() => merge([at("bert-pairs.jsonl"), "--output_dir", at("merged-pairs")]));
  const vector = async (folder: string) => (await captured(() => embed([folder, texts[1]!]))).out;
  expect(await vector(at("merged-pairs"))).toBe(await vector(at("bert-pairs.jsonl")));
  await expect(captured(() => merge([at("bert"), "--output_dir", at("x")]))).rejects.toThrow(/is not an adapter/);
});

test("an adapter on an adapter, and one without a model's weights, are refused", async () => {
  const twice = await train("bert-reviews.jsonl", "reviews.jsonl", "twice");
  expect([twice.code, twice.err]).toEqual([1, expect.stringMatching(/is an adapter.*Merge it first: .*merge/)]);
  const scratch = await train("bert", "reviews.jsonl", "scratch", "--from_scratch");
  expect([scratch.code, scratch.err]).toEqual([2, expect.stringContaining("--lora and --from_scratch are given")]);
  const nothing = await train("bert", "reviews.jsonl", "nothing", "--lora_target_modules", "q");
  expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining('target_modules ["q"] name no linear layer')]); // prettier-ignore
});

const python = pythonWith("peft");
test.skipIf(!python)("Python's PEFT opens what was trained, with the same logits", async () => {
  const program = `
import json, sys, torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
folder, base, text = json.loads(sys.argv[1])
config = AutoConfig.from_pretrained(folder)
model = PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(base, config=config), folder).eval()
with torch.no_grad():
    logits = model(**AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")).logits
print(json.dumps([config.id2label["0"] if "0" in config.id2label else config.id2label[0], logits[0].tolist()]))`;
  for (const base of ["bert", "distilbert"]) {
    const folder = at(`${base}-reviews.jsonl`);
    const [label, logits] = (await python!(program, [folder, at(base), texts[0]])) as [string, number[]];
    const { out } = await captured(() => predict([folder, texts[0]!, "--json"]));
    expect(label).toBe("bad");
    expect((JSON.parse(out) as { logits: number[] }).logits).toEqual(logits.map((v) => expect.closeTo(v, 4) as number));
  }
});

const serve = join(resolve(process.env["GPUGRAD_SHARED"] ?? "../shared"), "hub", "serve.mjs");
test.skipIf(!existsSync(serve))("the adapter is pushed, and opened from the Hub", async () => {
  const { startHub } = (await import(pathToFileURL(serve).href)) as { startHub: (o: object) => Promise<{ url: string; close: () => Promise<void> }> }; // prettier-ignore
  const hub = await startHub({ root: at("hub") });
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", at("home"));
  vi.stubEnv("HF_TOKEN", "hf_writer0123456789");
  try {
    const pushed = await train("bert", "reviews.jsonl", "pushed", "--push_to_hub", "--hub_model_id", "me/adapter");
    expect([pushed.code, pushed.err]).toEqual([0, expect.stringContaining("adapter_model.safetensors")]);
    const got = await fetch(`${hub.url}/me/adapter/resolve/main/adapter_config.json`);
    expect((await got.json()) as object).toMatchObject({ peft_type: "LORA", r: 2 });
    expect((await fetch(`${hub.url}/me/adapter/resolve/main/model.safetensors`)).status).toBe(404);
  } finally {
    vi.unstubAllEnvs();
    await hub.close();
  }
});
