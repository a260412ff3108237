import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoConfig, AutoTokenizer } from "@gpugrad/bert";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { evaluate } from "./evaluate.ts";
import { fillMask } from "./fill-mask.ts";
import { pretrain } from "./pretrain.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-pretrain-"));
const at = (name: string): string => join(work, name);
const animals = ["cat", "dog", "cow", "hen"];
const documents = Array.from({ length: 40 }, (_, i) => {
  const [animal, other] = [animals[i % 4]!, animals[(i + 1 + (i % 3)) % 4]!];
  return [`A ${animal} saw a ${other}.`, `The ${other} ran.`, `Café! said the ${animal}.`, `The ${animal} slept.`];
});
beforeAll(() => writeFileSync(at("animals.txt"), documents.map((sentences) => sentences.join("\n")).join("\n\n")));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const SIZES = ["--hidden_size", "16", "--num_hidden_layers", "1", "--num_attention_heads", "2", "--intermediate_size", "32"]; // prettier-ignore
const run = (command: (args: string[]) => Promise<number>, ...words: string[]) => captured(() => command(words));
const start = (out: string, ...words: string[]) =>
  run(pretrain, "--train_file", at("animals.txt"), "--output_dir", at(out), "--report_to", "none", "--save_strategy", "no", ...words); // prettier-ignore
const configOf = (folder: string) => JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as Record<string, unknown>; // prettier-ignore

test("pairs of texts: BERT with a vocabulary of the texts; evaluate and fill-mask open it", async () => {
  const words = ["--task", "pretraining", ...SIZES, "--max_position_embeddings", "32", "--vocab_size", "50"];
  const { code, err } = await start("pairs", ...words, "--max_steps", "20", "--learning_rate", "1e-2");
  expect([code, err]).toEqual([0, expect.stringContaining("vocabulary: 50 tokens of WordPiece")]);
  const results = JSON.parse(readFileSync(join(at("pairs"), "all_results.json"), "utf8")) as Record<string, number>;
  expect(results["eval_loss"]).toBeLessThan(Math.log(50) + 0.7); // better than at random
  expect(configOf(at("pairs"))).toMatchObject({ architectures: ["BertForPreTraining"], vocab_size: 50, hidden_size: 16 }); // prettier-ignore
  const tokenizer = await AutoTokenizer.fromPretrained(at("pairs"));
  expect([tokenizer.modelMaxLength, tokenizer.decode(tokenizer.encode("A CAFÉ").input_ids)]).toEqual([32, "[CLS] a cafe [SEP]"]); // prettier-ignore
  const judged = await run(evaluate, at("pairs"), "--dataset", at("animals.txt"), "--json");
  expect(Object.keys(JSON.parse(judged.out) as object)).toEqual(expect.arrayContaining(["mlm_loss", "nsp_accuracy"]));
  const guessed = await run(fillMask, at("pairs"), "the [MASK] ran.", "--json", "--top_k", "1");
  expect(JSON.parse(guessed.out)).toHaveLength(1);
});

test("a configuration of a file and byte-level BPE: RoBERTa's special tokens and positions", async () => {
  writeFileSync(at("sizes.json"), JSON.stringify({ model_type: "roberta", hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 34 })); // prettier-ignore
  const { code } = await start("roberta", "--config_name", at("sizes.json"), "--vocab_size", "280", "--max_steps", "2");
  expect(code).toBe(0);
  const config = await AutoConfig.fromPretrained(at("roberta"));
  expect(config.toJSON()).toMatchObject({ architectures: ["RobertaForMaskedLM"], pad_token_id: 1, bos_token_id: 0, eos_token_id: 2, vocab_size: 280 }); // prettier-ignore
  const tokenizer = await AutoTokenizer.fromPretrained(at("roberta"));
  expect([tokenizer.modelMaxLength, tokenizer.maskToken]).toEqual([32, "<mask>"]);
  expect(tokenizer.decode(tokenizer.encode("Café 電").input_ids)).toBe("<s>Café 電</s>");
});

test("a tokenizer that is there is taken as it is, and the same run twice gives the same bytes", async () => {
  const words = ["--tokenizer", at("roberta"), ...SIZES, "--max_steps", "2", "--model_type", "modernbert"];
  const runs = [await start("first", ...words), await start("second", ...words)];
  expect(runs.map(({ code, err }) => [code, err.includes("vocabulary:")])).toEqual([[0, false], [0, false]]); // prettier-ignore
  const [a, b] = ["first", "second"].map((name) => readFileSync(join(at(name), "model.safetensors")));
  expect(a!.equals(b!)).toBe(true);
  expect(configOf(at("first"))).toMatchObject({ architectures: ["ModernBertForMaskedLM"], pad_token_id: 1, cls_token_id: 0, sep_token_id: 2 }); // prettier-ignore
});

test.each([
  [["--task", "text-classification"], "the task is text-classification; it has to be one of masked-lm, pretraining"],
  [["--model_type", "gpt2"], 'model_type is "gpt2". Known here: bert'],
  [["--model_type", "distilbert", "--intermediate_size", "8"], "the configuration of distilbert has no intermediate_size"], // prettier-ignore
  [["--model_type", "roberta", "--task", "pretraining", ...SIZES], "RobertaForMaskedLM has no head for pairs of texts"],
  [
    ["--model_type", "electra", "--task", "pretraining", ...SIZES],
    "ElectraForPreTraining has no head for pairs of texts",
  ],
  [["--tokenizer", "roberta", "--vocab_size", "99"], "--vocab_size is for a vocabulary that is learned"],
  [
    ["--tokenizer", "bpe", "--cased"],
    "--cased is for a WordPiece vocabulary that is learned, and the tokenizer is bpe",
  ],
  [["--vocab_size", "20"], "vocabSize 20 has no room"],
])("refuses %j", async (words, message) => {
  const { code, err } = await start("refused", ...words);
  expect([code, err]).toEqual([1, expect.stringContaining(message)]);
});

test("names no model of its own: --model is for gpugrad train", async () => {
  const { code, err } = await start("refused", "--model", "bert-base-uncased");
  expect([code, err]).toEqual([2, expect.stringContaining("unknown option '--model'")]);
});

const python = pythonWith("transformers");
test.skipIf(!python)("Python's Transformers opens what was trained, with the same tokens", async () => {
  const program = `
import json, sys
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer
answers = {}
folders, text = json.loads(sys.argv[1])
for name, folder in folders.items():
    Auto = AutoModelForPreTraining if name == "pairs" else AutoModelForMaskedLM
    model, info = Auto.from_pretrained(folder, output_loading_info=True)
    answers[name] = {"missing": sorted(info["missing_keys"]), "unexpected": sorted(info["unexpected_keys"]), "class": type(model).__name__, "ids": AutoTokenizer.from_pretrained(folder)(text)["input_ids"]}
print(json.dumps(answers))`;
  const names = ["pairs", "roberta", "first"];
  const text = "The Café's cat, seen 2 times: 電!";
  const got = await python!(program, [Object.fromEntries(names.map((name) => [name, at(name)])), text]);
  const wanted = await Promise.all(names.map(async (name) => {
    const { input_ids } = (await AutoTokenizer.fromPretrained(at(name))).encode(text);
    return [name, { missing: [], unexpected: [], class: (configOf(at(name))["architectures"] as string[])[0], ids: input_ids }];
  })); // prettier-ignore
  expect(got).toEqual(Object.fromEntries(wanted));
});
