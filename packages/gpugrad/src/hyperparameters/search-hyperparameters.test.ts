import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, BertModel } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { searchHyperparameters } from "../commands/search-hyperparameters.ts";
import { trainCommand, type TrainCommand } from "../train/train-command.ts";
import { rungsOf } from "./rungs.ts";
import { searchCommand } from "./search-command.ts";
import { domainOf, gridOf, rangeOf, readSpace, sampleOf } from "./space.ts";
import { divide } from "./words.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-search-"));
const at = (name: string): string => join(work, name);
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("a space", () => {
  test.each([
    ["learningRate", "1e-5..1e-3:log", { low: 1e-5, high: 1e-3, log: true, int: false, points: 3 }],
    ["loraR", "4..64:int:LOG:5", { low: 4, high: 64, log: true, int: true, points: 5 }],
    ["warmupSteps", "0,0.1", { values: [0, 0.1] }],
    ["dropout", "0,0.1,.2", { values: [0, 0.1, 0.2] }],
    ["lrSchedulerType", "linear,cosine", { values: ["linear", "cosine"] }],
    ["learningRate", "1e-5", undefined],
    ["reportTo", "html,csv", undefined],
    ["trainFile", "../a,../b", undefined],
    ["trainIndices", "1,2,3", undefined],
    ["adamEpsilon", "1e-8,x", undefined],
  ])("%s %s", (name, text, domain) => expect(domainOf(name, text)).toEqual(domain));

  test.each([
    ["2..1", "a range goes from a number to a larger one"],
    ["0..1:log", "a logarithmic range begins above 0"],
    ["0.5..2:int", "the ends of whole numbers are whole numbers"],
    ["0..1:1", "a grid has at least 2 points, not 1"],
  ])("%s is refused", (text, message) => expect(() => rangeOf("learningRate", text)).toThrow(message));

  test("a file says the same", () => {
    const file = at("space.yaml");
    writeFileSync(
      file,
      "learningRate: 1e-5..1e-3:log\nmodel: [a, b]\nweight_decay: {min: 0, max: 0.1, points: 2}\nfp16: [true, false]\n",
    );
    const space = readSpace(file);
    expect(space).toEqual({
      learning_rate: { low: 1e-5, high: 1e-3, log: true, int: false, points: 3 },
      model: { values: ["a", "b"] },
      weight_decay: { low: 0, high: 0.1, log: false, int: false, points: 2 },
      fp16: { values: [true, false] },
    });
    for (const [text, message] of [
      ["a: 3", "a is 3; it has to be a range"],
      ["a: {min: 1}", "it has to be a range"],
      ["a: [1, 1]", "a value comes twice"],
      ["- 1", "it has to contain names"],
    ] as const) {
      // prettier-ignore
      writeFileSync(file, text);
      expect(() => readSpace(file)).toThrow(message);
    }
  });

  test("a grid has every combination; logarithmic points have equal ratios", () => {
    const grid = gridOf({ learning_rate: rangeOf("x", "1e-5..1e-3:log")!, fp16: { values: [true, false] } });
    expect(grid).toEqual([1e-5, 1e-4, 1e-3].flatMap((learning_rate) => [true, false].map((fp16) => ({ learning_rate, fp16 })))); // prettier-ignore
    expect(gridOf({ r: rangeOf("r", "1..3:int:5")! })).toEqual([1, 2, 3].map((r) => ({ r })));
  });

  test("samples lie in their ranges, are the same for a seed, and stay when more follow", () => {
    const space = { rate: rangeOf("x", "1e-5..1e-3:log")!, r: rangeOf("x", "1..4:int")!, kind: { values: ["a", "b"] } };
    const samples = sampleOf(space, 400, 5);
    expect(sampleOf(space, 3, 5)).toEqual(samples.slice(0, 3));
    expect(sampleOf(space, 3, 6)).not.toEqual(samples.slice(0, 3));
    for (const { rate, r } of samples as { rate: number; r: number }[]) {
      expect(rate >= 1e-5 && rate <= 1e-3).toBe(true);
      expect([1, 2, 3, 4]).toContain(r);
    }
    const share = (is: (sample: (typeof samples)[number]) => boolean): number => samples.filter(is).length / 400;
    expect(share(({ rate }) => Number(rate) < 1e-4)).toBeCloseTo(0.5, 1); // half of the powers of ten
    for (const value of [1, 2, 3, 4]) expect(share(({ r }) => r === value)).toBeCloseTo(0.25, 1);
    expect(share(({ kind }) => kind === "a")).toBeCloseTo(0.5, 1);
  });

  test("halving: one in three continues, to three times as much", () => {
    expect(rungsOf(9, 3)).toEqual([{ trials: 9, until: 1 / 9 }, { trials: 3, until: 1 / 3 }, { trials: 1, until: 1 }]); // prettier-ignore
    expect(rungsOf(10, 4)).toEqual([{ trials: 10, until: 1 / 4 }, { trials: 2, until: 1 }]); // prettier-ignore
    expect(rungsOf(5, 2).map(({ trials }) => trials)).toEqual([5, 2, 1]);
  });

  test("a command line is taken apart", () => {
    expect(
      divide(["--model", "m", "--learning-rate=1e-5..1e-4", "--fp16", "--trials", "3", "--strategy=grid", "--json"]),
    ).toEqual({
      // prettier-ignore
      own: ["--trials", "3", "--strategy", "grid"],
      domains: { learning_rate: { low: 1e-5, high: 1e-4, log: false, int: false, points: 3 } },
      common: ["--model", "m", "--fp16", "--json"],
    });
  });
});

describe("a search", () => {
  let out: string;
  let runs: { folder: string; rate: number; until: number; words: string }[];
  /** In place of training: the loss is least near a rate of 1e-4, and less after more updates. */
  let outcome: (run: { folder: string; rate: number; until: number }) => number | "stop" | "fail";
  beforeEach(() => {
    out = mkdtempSync(join(work, "out-"));
    runs = [];
    outcome = ({ rate, until }) => Math.abs(Math.log10(rate) + 4) + 1 - until;
  });
  const train = (words: readonly string[], { trial }: TrainCommand): Promise<number> => {
    const folder = words[words.lastIndexOf("--output_dir") + 1]!;
    const rate = Number(/--learning_rate=(\S+)/.exec(words.join(" "))![1]);
    const { until } = trial!;
    runs.push({ folder: folder.slice(out.length + 1), rate, until, words: words.join(" ") });
    const loss = outcome({ folder: folder.slice(out.length + 1), rate, until });
    if (loss === "stop") return Promise.resolve(130);
    if (loss === "fail") return (trial!.failed("out of memory"), Promise.resolve(1));
    mkdirSync(folder, { recursive: true });
    const all = { eval_loss: Number.isNaN(loss) ? null : loss, eval_accuracy: 1 - loss, eval_runtime: 1 };
    writeFileSync(join(folder, "all_results.json"), JSON.stringify(all));
    return Promise.resolve(0);
  };
  const search = (...more: string[]) => captured(() => searchCommand(["--model", "m", "--dataset", "d", "--output_dir", out, ...more], train)); // prettier-ignore
  const range = ["--learning_rate", "1e-6..1e-2:log"];
  const state = () => (JSON.parse(readFileSync(join(out, "search.json"), "utf8")) as { content: { trials: { results: object[] }[] } }).content; // prettier-ignore

  test("a grid: all combinations, best first, in a table and a page", async () => {
    const { code, out: said } = await search("--strategy", "grid", ...range, "--num_train_epochs", "1,2");
    expect(code).toBe(0);
    expect(runs.map(({ folder, rate }) => [folder, rate])).toEqual([1e-6, 1e-6, 1e-4, 1e-4, 1e-2, 1e-2].map((rate, i) => [`trial-${i + 1}`, rate])); // prettier-ignore
    expect(said).toMatch(/ +learning_rate +num_train_epochs +trained +eval_loss\n +trial-3 +1e-4 +1 +100 % +0 +done\n/);
    expect(said).toContain(`best    ${join(out, "trial-3")}`);
    expect(said).toContain(`train --config ${join(out, "trial-3", "train_config.json")}`);
    const page = readFileSync(join(out, "report.html"), "utf8");
    expect(page.match(/<tr/g)).toHaveLength(7);
    expect(page).toContain('<tr class="best"><td>trial-3</td>');
    expect(page.match(/aria-label="(?:hyper|loss)[^"]*"/g)).toEqual(['aria-label="hyperparameters and results"', 'aria-label="loss over learning_rate"', 'aria-label="loss over num_train_epochs"']); // prettier-ignore
  });

  test("at random, by a metric of which more is better; NaN and failures come last", async () => {
    outcome = ({ folder, rate }) => (folder === "trial-2" ? "fail" : folder === "trial-1" ? NaN : 1 - rate);
    const { code, out: said } = await search(...range, "--trials", "5", "--metric_for_best_model", "accuracy");
    expect(code).toBe(0);
    const table = said.split("\n").flatMap((line) => /^ +(trial-\d) /.exec(line)?.[1] ?? []);
    const wanted = runs
      .filter(({ folder }) => !["trial-1", "trial-2"].includes(folder))
      .sort((a, b) => b.rate - a.rate);
    expect(table).toEqual([...wanted.map(({ folder }) => folder), "trial-1", "trial-2"]);
    expect(said).toMatch(/trial-2 +\S+ +0 % +failed\n/);
    const lost = await search(...range, "--metric_for_best_model", "f1", "--overwrite_output_dir");
    expect([lost.code, lost.err]).toEqual([1, expect.stringContaining("eval_f1 is not among the metrics of a trial: eval_loss, eval_accuracy")]); // prettier-ignore
  });

  test("halving: the best go on, and continue from their checkpoints", async () => {
    const { code, out: said } = await search(...range, "--strategy", "halving", "--trials", "9");
    expect(code).toBe(0);
    const first = runs.slice(0, 9);
    const best = first.toSorted((a, b) => Math.abs(Math.log10(a.rate) + 4) - Math.abs(Math.log10(b.rate) + 4));
    expect(runs.map(({ until }) => Number(until.toFixed(3)))).toEqual([...Array<number>(9).fill(0.111), ...Array<number>(3).fill(0.333), 1]); // prettier-ignore
    expect(new Set(runs.slice(9, 12).map(({ folder }) => folder))).toEqual(new Set(best.slice(0, 3).map(({ folder }) => folder))); // prettier-ignore
    expect(runs[12]!.folder).toBe(best[0]!.folder);
    for (const { words } of runs.slice(9)) expect(words).toContain("--overwrite_output_dir false --resume_from_checkpoint auto"); // prettier-ignore
    expect(said).toMatch(new RegExp(`${best[0]!.folder} +\\S+ +100 % +\\S+ +done\n +${best[1]!.folder} +\\S+ +33 %`));
  });

  test("after a stop, wherever it comes, the rest runs, and comes to the same", async () => {
    const words = [...range, "--strategy", "halving", "--trials", "9"];
    await search(...words);
    const whole = { runs, trials: state().trials };
    for (const stopAt of [0, 4, 10, 12]) {
      rmSync(out, { recursive: true });
      runs = [];
      const usual = ({ rate, until }: { rate: number; until: number }): number => Math.abs(Math.log10(rate) + 4) + 1 - until; // prettier-ignore
      outcome = (run) => (runs.length === stopAt + 1 ? "stop" : usual(run));
      expect((await search(...words)).code).toBe(130);
      outcome = usual;
      const before = runs.slice(0, stopAt);
      runs = [];
      expect((await search(...words, "--resume_from_checkpoint", "true")).code).toBe(0);
      expect([...before, ...runs].map(({ folder, until }) => [folder, until])).toEqual(whole.runs.map(({ folder, until }) => [folder, until])); // prettier-ignore
      expect(state().trials).toEqual(whole.trials);
    }
    const again = await search(...words);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining("an earlier command has left its runs here")]);
    const other = await search(...words, "--seed", "7", "--resume_from_checkpoint", "true");
    expect([other.code, other.err]).toEqual([1, expect.stringContaining("seed was 42 there and is 7 now")]);
  });

  test.each([
    [[], 2, "nothing to search"],
    [["--learning_rate", "1e-3..1e-5"], 1, "a range goes from a number to a larger one"],
    [["--lerning_rate", "1e-5..1e-3"], 2, "unknown option '--lerning-rate"],
    [[...range, "--strategy", "best"], 2, "Allowed choices are grid, random, halving"],
    [[...range, "--strategy", "halving", "--trials", "2"], 2, "--strategy halving needs at least 3 --trials"],
    [[...range, "--strategy", "halving", "--folds", "3"], 2, "--folds and --strategy halving don't go together"],
    [[...range, "--dry_run"], 2, "--dry_run shows one run"],
  ])("%j is refused", async (more, wanted, message) => {
    const { code, err } = await search(...more);
    expect([code, err]).toEqual([wanted, expect.stringContaining(message)]);
    expect(runs).toEqual([]);
  });
});

describe("with real runs", () => {
  beforeAll(async () => {
    await init();
    manualSeed(0);
    const rows = Array.from({ length: 24 }, (_, i) => `${i % 2 ? "a fine film" : "a dull story"} ${i},${i % 2 ? "good" : "bad"}`); // prettier-ignore
    writeFileSync(at("rows.csv"), `text,label\n${rows.join("\n")}\n`);
    const tokenizer = trainWordPiece(rows, { vocabSize: 80, maxLength: 16 });
    await tokenizer.savePretrained(at("model"));
    const sizes = { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 };
    const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 });
    await BertModel.fromConfig(config).savePretrained(at("model"));
    await destroy();
  });

  test("the trial that went on is the run that train makes with its options, to the byte", async () => {
    const common = ["--model", at("model"), "--train_file", at("rows.csv"), "--validation_file", at("rows.csv"), "--max_steps", "8", "--report_to", "none"]; // prettier-ignore
    const words = [...common, "--learning_rate", "1e-4..1e-1:log", "--strategy", "halving", "--trials", "2", "--reduction_factor", "2"]; // prettier-ignore
    const { code, out, err } = await captured(() => searchHyperparameters([...words, "--output_dir", at("search")]));
    expect([code, err]).toEqual([0, expect.stringContaining("trial 2 of 2: learning_rate")]);
    const [, best] = /best +(\S+)\n/.exec(out)!;
    expect(existsSync(join(best!, "checkpoint-4"))).toBe(true);
    const plain = await captured(
      () =>
      trainCommand(["--config", join(best!, "train_config.json"), "--output_dir", at("plain"), "--resume_from_checkpoint", "false", "--overwrite_output_dir", "false", "--quiet"], { name: "train", description: "", defaults: () => ({}) }), // prettier-ignore
    );
    expect(plain.code).toBe(0);
    const bytes = (folder: string): string => readFileSync(join(folder, "model.safetensors")).toString("base64");
    expect(bytes(best!)).toBe(bytes(at("plain")));
  });
});
