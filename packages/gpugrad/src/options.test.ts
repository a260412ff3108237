import {
  BertConfig,
  BertForMaskedLM,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForTokenClassification,
  BertModel,
  sentenceFiles,
} from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { TRAINING_ARGUMENTS, snakeCase } from "@gpugrad/train";
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { distill } from "./commands/distill.ts";
import { embed } from "./commands/embed.ts";
import { evaluate } from "./commands/evaluate.ts";
import { launch } from "./commands/launch.ts";
import { merge } from "./commands/merge.ts";
import { predict } from "./commands/predict.ts";
import { plan } from "./commands/plan.ts";
import { pretrain } from "./commands/pretrain.ts";
import { profile } from "./commands/profile.ts";
import { searchHyperparameters } from "./commands/search-hyperparameters.ts";
import { search } from "./commands/search.ts";
import { serve } from "./commands/serve.ts";
import { tokenize } from "./commands/tokenize.ts";
import { train } from "./commands/train.ts";
import type { ServeOptions } from "./serve/server.ts";
import type { TextModel } from "./text/text-model.ts";
import { parseTrainOptions, type TrainRequest } from "./train/options.ts";

const tinyBert = fileURLToPath(new URL("../../bert/test/fixtures/tiny-bert", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What `gpugrad serve` made its server of; the server stops at once. */
const served: { options?: unknown; maxLength: number; at?: unknown } = vi.hoisted(() => ({ maxLength: 0 }));
vi.mock("./serve/server.ts", () => ({
  createServer(model: TextModel, options: ServeOptions) {
    Object.assign(served, { options, maxLength: model.maxLength });
    const listen = (at: object) => {
      served.at = at;
      setImmediate(() => process.emit("SIGTERM", "SIGTERM"));
      return Promise.resolve("nowhere");
    };
    return { listen, close: () => Promise.resolve() };
  },
}));

let dir: string;
let base: string;
/** With the head of a tagger. */
let tags: string;

/** Models with other heads, in folders of these names. */
const HEADS = {
  tagger: (config: BertConfig) => BertForTokenClassification.fromConfig(config),
  answers: (config: BertConfig) => BertForQuestionAnswering.fromConfig(config),
  pairs: (config: BertConfig) => BertForPreTraining.fromConfig(config),
  words: (config: BertConfig) => BertForMaskedLM.fromConfig(config),
  vectors: (config: BertConfig) => BertModel.fromConfig(config),
};
const at = (name: string): string => join(dir, name);
const kept = (file: string, ...more: string[]): string[] => [
  ...["--tokenizer", dir, "--dataset", at(file)],
  ...(file.startsWith("rows") && !more.includes("--text_column") ? ["--text_column", "a"] : []),
  ...more,
];

async function saveHeads(): Promise<void> {
  const known = Array.from({ length: 10 }, (_, i) => `t${i + 5}`);
  const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...known, "##a", "##b", ""].join("\n");
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 };
  const config = new BertConfig({ ...sizes, vocab_size: 17, max_position_embeddings: 24, initializer_range: 0.5 });
  await init();
  manualSeed(1);
  for (const [name, make] of Object.entries(HEADS)) {
    await make(config).savePretrained(at(name));
    await writeFile(join(at(name), "vocab.txt"), vocab);
  }
  await destroy();
  const mean = {
    modes: ["mean"],
    dense: [],
    normalize: true,
    includePrompt: true,
    lowerCase: false,
    prompt: "",
  } as const;
  for (const [file, content] of Object.entries(sentenceFiles({ ...mean, maxLength: undefined }, 16))) {
    await mkdir(dirname(join(at("vectors"), file)), { recursive: true });
    await writeFile(join(at("vectors"), file), JSON.stringify(content));
  }
  const lines = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
  const tagged = { tokens: ["t5a", "t6", "t7b"], tags: ["LABEL_0", "LABEL_1", "LABEL_1"] };
  await writeFile(at("tags.jsonl"), lines([tagged]));
  const context = "t5 t6 t7 t8 t9 t10 t11 t12 t13 t14 t5 t7 t9 t11 t13 t6 t8 t10 t12 t14";
  const questions = ["t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12"].map((question, i) => ({ question, context, answers: { text: i % 2 ? [] : [context], answer_start: i % 2 ? [] : [0] } })); // prettier-ignore
  await writeFile(at("questions.jsonl"), lines(questions));
  await writeFile(at("answered.jsonl"), lines(questions.filter(({ answers }) => answers.text.length > 0)));
  await writeFile(at("words.txt"), "t5a t6b t7a t8b\nt9a t10b t11\nt12a t13 t14b\n".repeat(3));
  const sentences = known.map((word) => `${word} t6 ${word}a t7b`);
  await writeFile(at("documents.txt"), `${sentences.join("\n")}\n\n${sentences.toReversed().join("\n")}\n`);
  const scored = known.map((word, i) => ({ sentence1: `${word} t5`, sentence2: `t6 ${word}`, score: i / 10 }));
  await writeFile(at("scored.jsonl"), lines(scored));
}
beforeAll(async () => {
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  dir = await mkdtemp(join(tmpdir(), "options-"));
  vi.stubEnv("GPUGRAD_TOKEN_CACHE", join(dir, "tokens"));
  await cp(tinyBert, dir, { recursive: true });
  const words = Array.from({ length: 15 }, (_, i) => `t${i + 5}`);
  await writeFile(join(dir, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ""].join("\n"));
  base = join(dir, "base");
  for (const file of ["vocab.txt", "model.safetensors"]) await cp(join(dir, file), join(base, file));
  const config = JSON.parse(await readFile(join(dir, "config.json"), "utf8")) as object;
  const withHead = (folder: string, head: string) =>
    writeFile(join(folder, "config.json"), JSON.stringify({ ...config, architectures: [head] }));
  await withHead(base, "BertForNextSentencePrediction");
  tags = join(dir, "tags");
  for (const file of ["vocab.txt", "model.safetensors"]) await cp(join(dir, file), join(tags, file));
  await withHead(tags, "BertForTokenClassification");
  await saveHeads();
  await writeFile(join(dir, "lines.txt"), `${'{"text": "t5"}\n'.repeat(70)}`);
  const rows = ["t5 t6,t7,0,<i>t8</i>", "t9 t10,t11,1,t9", "t12 t13,t14,1,t5", "t5,t6,0,t7"];
  await writeFile(join(dir, "rows.csv"), `a,b,label,c\n${rows.join("\n")}\n`);
  await writeFile(join(dir, "long.csv"), "text,label\nt5 t6 t7 t8 t9,0\nt10 t11 t12 t13 t14,1\nt9 t8 t5 t14 t7,1\n");
  await writeFile(join(dir, "rows.csv.gz"), gzipSync(await readFile(join(dir, "rows.csv"))));
  for (const file of ["words.txt", "lines.txt", "scored.jsonl"]) await seen(search, found(file)); // makes their indices
  await writeFile(
    join(dir, "bad.csv"),
    `text,label\n${rows.map((row) => row.split(",", 3).join(" ")).join(",0\n")},1\nt5\n`,
  );
});
afterAll(() => {
  vi.unstubAllEnvs();
  return rm(dir, { recursive: true });
});
afterEach(() => vi.restoreAllMocks());

type Command = (args: string[]) => Promise<number>;

/** All that can be seen of a command from outside, without what differs from run to run. */
async function seen(command: Command, args: string[]): Promise<unknown> {
  const written: string[] = [];
  const listeners = (["SIGINT", "SIGTERM", "SIGHUP"] as const).flatMap((name) => process.listeners(name));
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((text) => (written.push(`${name} ${String(text)}`), true));
  vi.spyOn(console, "warn").mockReturnValue();
  const code = await command(args).catch((error: Error) => error.message);
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    for (const listener of process.listeners(name)) if (!listeners.includes(listener)) process.off(name, listener);
  vi.restoreAllMocks();
  const lines = written.map((text) => text.replace(/"runtime":[\d.e-]+|[\d.]+ (s|ms|rows)\b.*/g, ""));
  return command === profile ? kernels(lines.join("")) : { code, lines };
}

/** Of a profile: each kernel's dispatches, and the bytes that they touch. */
function kernels(text: string): unknown {
  const json = /^stdout (\[.*)/m.exec(text)?.[1];
  if (json === undefined) return text.replace(/\d+\.\d+/g, "");
  const rows = JSON.parse(json) as { kernel: string; dispatches: number; ms: number; gbs: number }[];
  return rows
    .map(({ kernel, dispatches, ms, gbs }) => `${kernel} ${dispatches} ${ms > 0 ? Math.round(ms * gbs * 1e3) : ""}`)
    .sort();
}

/** For each option of a command: arguments that have an effect with it, and the option with a value that isn't its default. */
type Table = Record<string, [args: () => string[], option: () => string[]]>;

const texts: Table = {
  "--file": [() => [dir, "--file", join(dir, "bad.csv"), "--format", "text"], () => ["--file", join(dir, "lines.txt")]],
  "--format": [() => [dir, "--file", join(dir, "lines.txt")], () => ["--format", "jsonl"]],
  "--text-column": [() => [dir, "--file", join(dir, "rows.csv")], () => ["--text_column", "b"]],
  "--text-pair-column": [
    () => [dir, "--file", join(dir, "rows.csv"), "--text-column", "a"],
    () => ["--text_pair_column", "b"],
  ],
  "--batch-size": [() => [dir, "--file", join(dir, "lines.txt")], () => ["--batch_size", "1"]],
  "--skip": [() => [dir, "--file", join(dir, "lines.txt")], () => ["--skip", "1"]],
  "--max-length": [() => [dir, "t5 t6 t7"], () => ["--max_length", "3"]],
  "--truncation": [() => [dir, "--max-length", "4", "t5 t6 t7 t8"], () => ["--truncation", "left"]],
  "--dtype": [() => [dir, "--json", "t5"], () => ["--dtype", "int8"]],
  "--json": [() => [dir, "t5"], () => ["--json"]],
};

const tables: Record<string, [Command, Table]> = {
  predict: [
    predict,
    {
      ...texts,
      "--top-k": [() => [dir, "t5"], () => ["--top_k", "2"]],
      "--function-to-apply": [() => [dir, "t5"], () => ["--function_to_apply", "none"]],
      "--stride": [() => [dir, "--max-length", "4", "t5 t6 t7 t8"], () => ["--stride", "1"]],
      "--window-pooling": [
        () => [dir, "--max-length", "4", "--stride", "1", "t5 t6 t7 t8"],
        () => ["--window_pooling", "max"],
      ],
      "--csv": [() => [dir, "t5"], () => ["--csv"]],
      "--aggregation-strategy": [() => [tags, "--json", "t5 t6"], () => ["--aggregation_strategy", "none"]],
      "--allow-missing-weights": [() => [base, "t5"], () => ["--allow_missing_weights"]],
    },
  ],
  embed: [embed, texts],
  tokenize: [
    tokenize,
    {
      "--tokenizer": [() => ["--tokenizer", base, "t5"], () => ["--tokenizer", join(dir, "none")]],
      "--file": [
        () => ["--tokenizer", dir, "--json", "--file", join(base, "none")],
        () => ["--file", join(dir, "lines.txt")],
      ],
      "--max-length": [() => ["--tokenizer", dir, "t5 t6"], () => ["--max_length", "3"]],
      "--truncation": [
        () => ["--tokenizer", dir, "--max-length", "2", "--padding", "max_length", "t5 t6"],
        () => ["--truncation"],
      ],
      "--padding": [() => ["--tokenizer", dir, "t5", "t5 t6"], () => ["--padding", "longest"]],
      "--no-add-special-tokens": [() => ["--tokenizer", dir, "t5"], () => ["--no_add_special_tokens"]],
      "--json": [() => ["--tokenizer", dir, "t5"], () => ["--json"]],
      "--dataset": [() => kept("long.csv"), () => ["--dataset", at("rows.csv")]],
      "--split": [() => kept("long.csv"), () => ["--split", "nothing"]],
      "--dataset-config-name": [() => kept("long.csv", "--split", "train"), () => ["--dataset_config_name", "nothing"]],
      "--text-column": [() => kept("rows.csv"), () => ["--text_column", "b"]],
      "--text-pair-column": [() => kept("rows.csv"), () => ["--text_pair_column", "b"]],
      "--label-column": [() => kept("rows.csv"), () => ["--label_column", "d"]],
      "--on-bad-row": [() => kept("bad.csv"), () => ["--on_bad_row", "skip"]],
      "--clean-html": [() => kept("rows.csv", "--text_column", "c"), () => ["--clean_html"]],
      "--max-unpacked-bytes": [() => kept("rows.csv.gz"), () => ["--max_unpacked_bytes", "10"]],
    },
  ],
  profile: [
    profile,
    {
      "--model": [
        () => ["--json", "--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", "bert-tiny"],
        () => ["--model", dir],
      ],
      "--batch-size": [
        () => ["--json", "--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir],
        () => ["--batch_size", "3"],
      ],
      "--seq-length": [
        () => ["--json", "--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir],
        () => ["--seq_length", "5"],
      ],
      "--steps": [
        () => ["--json", "--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir],
        () => ["--steps", "2"],
      ],
      "--fp16": [
        () => ["--json", "--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir],
        () => ["--fp16"],
      ],
      "--trace": [
        () => ["--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir],
        () => ["--trace", join(dir, "trace.json")],
      ],
      "--json": [() => ["--seq_length", "8", "--steps", "1", "--batch-size", "2", "--model", dir], () => ["--json"]],
    },
  ],
  evaluate: [
    evaluate,
    {
      "--dataset": [
        () => [dir, "--json", "--dataset", join(dir, "none.csv")],
        () => ["--dataset", join(dir, "rows.csv"), "--text-column", "a"],
      ],
      "--max-unpacked-bytes": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv.gz"), "--text-column", "a"],
        () => ["--max_unpacked_bytes", "20"],
      ],
      "--split": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--split", "nothing"],
      ],
      "--dataset-config-name": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a", "--split", "train"],
        () => ["--dataset_config_name", "nothing"],
      ],
      "--text-column": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--text_column", "b"],
      ],
      "--text-pair-column": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--text_pair_column", "b"],
      ],
      "--label-column": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--label_column", "c"],
      ],
      "--on-bad-row": [() => [dir, "--json", "--dataset", join(dir, "bad.csv")], () => ["--on_bad_row", "skip"]],
      "--clean-html": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "c"],
        () => ["--clean_html"],
      ],
      "--max-eval-samples": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--max_eval_samples", "2"],
      ],
      "--seed": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a", "--max_eval_samples", "1"],
        () => ["--seed", "1"],
      ],
      "--per-device-eval-batch-size": [
        () => [dir, "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--per_device_eval_batch_size", "1"],
      ],
      "--max-length": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--max_length", "3"],
      ],
      "--truncation": [
        () => [dir, "--json", "--dataset", join(dir, "long.csv"), "--max_length", "4"],
        () => ["--truncation", "left"],
      ],
      "--stride": [
        () => [dir, "--json", "--dataset", join(dir, "long.csv"), "--max_length", "4"],
        () => ["--stride", "1"],
      ],
      "--window-pooling": [
        () => [dir, "--json", "--dataset", join(dir, "long.csv"), "--max_length", "4", "--stride", "1"],
        () => ["--window_pooling", "max"],
      ],
      "--dtype": [
        () => [dir, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--dtype", "float16"],
      ],
      "--allow-missing-weights": [
        () => [base, "--json", "--dataset", join(dir, "rows.csv"), "--text-column", "a"],
        () => ["--allow_missing_weights"],
      ],
      "--json": [() => [dir, "--dataset", join(dir, "rows.csv"), "--text-column", "a"], () => ["--json"]],
      "--label-all-tokens": [() => judged("tagger", "tags.jsonl"), () => ["--label_all_tokens"]],
      "--doc-stride": [() => judged("answers", "questions.jsonl", "--max_length", "20"), () => ["--doc_stride", "1"]],
      "--version-2-with-negative": [() => judged("answers", "answered.jsonl"), () => ["--version_2_with_negative"]],
      "--n-best-size": [() => judged("answers", "questions.jsonl"), () => ["--n_best_size", "1"]],
      "--max-answer-length": [() => judged("answers", "answered.jsonl"), () => ["--max_answer_length", "1"]],
      "--null-score-diff-threshold": [
        () => judged("answers", "questions.jsonl"),
        () => ["--null_score_diff_threshold", "-100"],
      ],
      "--mlm-probability": [() => judged("words", "words.txt"), () => ["--mlm_probability", "0.5"]],
      "--whole-word-mask": [() => judged("words", "words.txt"), () => ["--whole_word_mask"]],
      "--short-seq-probability": [
        () => judged("pairs", "documents.txt", "--seed", "1"),
        () => ["--short_seq_probability", "1"],
      ],
      "--line-by-line": [() => judged("words", "words.txt"), () => ["--line_by_line"]],
      "--loss": [() => judged("vectors", "scored.jsonl"), () => ["--loss", "cosent"]],
    },
  ],
  search: [
    search,
    {
      "--model": [() => [at("words.txt"), "t5", "--model", at("vectors")], () => ["--model", at("tagger")]],
      "--top-k": [() => found(), () => ["--top_k", "1"]],
      "--index": [() => found(), () => ["--index", at("other.index")]],
      "--format": [() => found("lines.txt"), () => ["--format", "jsonl"]],
      "--text-column": [() => found("scored.jsonl"), () => ["--text_column", "sentence2"]],
      "--max-length": [() => found(), () => ["--max_length", "3"]],
      "--json": [() => found(), () => ["--json"]],
    },
  ],
};

/** Evaluates a model with another head on a file. */
const judged = (model: string, file: string, ...more: string[]): string[] =>
  [at(model), "--json", "--dataset", at(file), ...more]; // prettier-ignore
/** Searches a file. */
const found = (file = "words.txt"): string[] => [at(file), "t9", "--model", at("vectors")];

/** The options that `--help` lists. */
async function optionsOf(command: Command): Promise<string[]> {
  let help = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((help += String(text)), true));
  expect(await command(["--help"])).toBe(0);
  vi.restoreAllMocks();
  const flags = Array.from(help.matchAll(/^ {2}((?:--?[\w-]+, )?--[\w-]+)/gm), ([, both]) => both!.split(", ")).flat();
  return flags.filter((name) => name.startsWith("--") && name !== "--help");
}

describe.each(Object.entries(tables))("gpugrad %s", (_, [command, table]) => {
  it("has an entry in this table for each option", async () => {
    const unseen = new Map([
      [embed, ["--allow-missing-weights"]], // all that embeddings need is there
      [search, ["--allow-missing-weights", "--batch-size"]],
    ]);
    expect([...Object.keys(table), ...(unseen.get(command) ?? [])].sort()).toEqual((await optionsOf(command)).sort());
  });

  it.each(Object.entries(table))("does something else with %s", async (_name, [args, option]) => {
    const changed = await seen(command, [...args(), ...option()]);
    expect(changed).not.toMatchObject({ code: 2 }); // an option that isn't there
    expect(changed).not.toEqual(await seen(command, args()));
  });
});

it("gpugrad serve passes all of its options on", async () => {
  const values = {
    ...{ host: "::1", port: 81, maxBatchSize: 3, maxWait: 6, maxQueueSize: 7, maxClientBatchSize: 5, maxBodySize: 99 },
    ...{ maxLength: 4, allowedHosts: ["a", "b"], corsOrigin: ["http://c"], allowMissingWeights: true },
    ...{ task: "text-classification", truncation: "left", stride: 1, windowPooling: "max", dtype: "int8" },
  };
  const words = Object.entries(values).flatMap(([name, value]) => [`--${snakeCase(name)}`, ...(value === true ? [] : [String(value)])]); // prettier-ignore
  expect(await seen(serve, [base])).toMatchObject({
    code: expect.stringMatching(/BertForNextSentencePrediction, which is not served/) as string,
  });
  expect(await seen(serve, [base, ...words])).toMatchObject({ code: 0 });
  expect(served).toEqual({ options: { ...values, modelId: "base" }, maxLength: 4, at: { host: "::1", port: 81 } });
  const names = Object.keys(values).map((name) => `--${snakeCase(name).replaceAll("_", "-")}`);
  expect((await optionsOf(serve)).sort()).toEqual(names.sort());
});

it("gpugrad train passes all training arguments on", () => {
  const preset = { name: "train", description: "", defaults: () => ({}) };
  for (const [name, argument] of Object.entries(TRAINING_ARGUMENTS)) {
    const {
      type,
      choices,
      default: usual,
    } = argument as unknown as { type: string; choices?: readonly string[]; default: unknown };
    const value = {
      number: () => (usual === null ? 3 : Number.isInteger(usual) ? Number(usual) + 1 : Number(usual) / 2),
      boolean: () => usual !== true,
      string: () => choices?.find((choice) => choice !== usual) ?? "x",
      list: () => (name === "classWeights" ? [1, 2] : [choices?.[0] ?? "x"]),
      object: () => ({ a: 1 }),
    }[type]!();
    const least: Record<string, number> = {
      layerwiseLrDecay: 0.5,
      maxSteps: 3,
      adamBeta1: 0.5,
      labelSmoothingFactor: 0.1,
    };
    const asked = least[name] ?? value;
    const written = typeof asked === "object" && !Array.isArray(asked) ? JSON.stringify(asked) : String(asked);
    const needed = { saveStrategy: ["--eval_strategy", "epoch"], loadBestModelAtEnd: ["--eval_strategy", "steps"] };
    const more = needed[name as keyof typeof needed] ?? [];
    const words = ["--model", "m", "--dataset", "d", ...more, `--${snakeCase(name)}`, written];
    const request = parseTrainOptions(words, preset) as TrainRequest;
    expect((request.args as unknown as Record<string, unknown>)[name], name).toEqual(asked);
  }
});

it("messages name options that there are", async () => {
  const known = new Set(["--help", "--fix", "--hostfile", "--version"]); // the last two are of mpirun
  for (const command of [
    predict,
    embed,
    search,
    tokenize,
    profile,
    evaluate,
    serve,
    train,
    pretrain,
    plan,
    merge,
    distill,
    searchHyperparameters,
    launch,
  ])
    for (const name of await optionsOf(command)) known.add(name);
  for (const folder of ["packages/gpugrad/src", "packages/train/src", "packages/bert/src"]) {
    for (const file of await readdir(join(root, folder), { recursive: true })) {
      if (!file.endsWith(".ts") || file.endsWith(".test.ts") || /doctor|option-names|report\//.test(file)) continue;
      const source = (await readFile(join(root, folder, file), "utf8")).replace(/\/\*\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
      for (const [option] of source.matchAll(/(?<=[\s"'`])--[a-z]\w+(?:[_-]\w+)*(?![\w-]*(?:\$|\.\w))/g)) {
        const name = option.replaceAll("_", "-");
        expect(known.has(name) || known.has(name.replace(/^--no-/, "--")), `${file}: ${option}`).toBe(true);
      }
    }
  }
});

it("a reader that goes does not end a training, nor leave its lock", async () => {
  const out = join(dir, "out");
  await writeFile(join(dir, "train.csv"), `text,label\n${"t5 t6,0\nt7,1\n".repeat(10)}`);
  const words = ["--model", dir, "--train_file", join(dir, "train.csv"), "--output_dir", out, "--max_steps", "8", "--report_to", "none", "--json"]; // prettier-ignore
  const gpugrad = [process.execPath, "scripts/run.mjs", "packages/gpugrad/src/cli.ts", "train", ...words];
  const script = `${gpugrad.map((word) => `'${word}'`).join(" ")} | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: root, encoding: "utf8" });
  expect(stdout).toMatch(/^\{"event":"start".*\n0\n$/);
  expect(stderr).toMatch(/the reader of standard output has gone; the run continues/);
  expect(await readdir(out)).toContain("model.safetensors");
  expect(await readdir(out)).not.toContain(".gpugrad.lock");
});
