import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoTokenizer, BertConfig } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { Dataset, trainWordPiece } from "@gpugrad/train";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { configurationOf, summarize } from "./describe.ts";
import { parseTrainOptions, type TrainOptions, type TrainPreset, type TrainRequest } from "./options.ts";
import { openTask } from "./open-task.ts";
import type { Task } from "./task.ts";
import { trainCommand } from "./train-command.ts";

const work = mkdtempSync(join(tmpdir(), "gpugrad-train-"));
const model = join(work, "model");
const csv = join(work, "reviews.csv");
afterAll(() => rmSync(work, { recursive: true, force: true }));
afterEach(() => void vi.restoreAllMocks());

/** A model's folder without weights, and forty labelled lines of which one is broken. */
beforeAll(async () => {
  const lines = Array.from(
    { length: 40 },
    (_, i) => `${i % 2 ? "a fine film" : "a dull story"} ${i},${i % 2 ? "good" : "bad"}`,
  );
  const tokenizer = trainWordPiece(lines, { vocabSize: 80, maxLength: 16 });
  await tokenizer.savePretrained(model);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  // It says that it was a classifier: what the data says comes before that.
  const config = {
    vocab_size: tokenizer.vocabSize,
    max_position_embeddings: 16,
    problem_type: "single_label_classification",
  } as const;
  await new BertConfig({ ...sizes, ...config }).savePretrained(model);
  writeFileSync(csv, `review,verdict\n${lines.join("\n")}\nonly a text\n`);
});

/** Listeners stay when a signal came: the process is on its way out. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const others = new Set<unknown>(SIGNALS.flatMap((name) => process.listeners(name)));
const forget = (): void => {
  for (const name of SIGNALS)
    for (const listener of process.listeners(name)) if (!others.has(listener)) process.off(name, listener);
};
afterEach(forget);

const plain: TrainPreset = { name: "train", description: "Trains.", defaults: () => ({ maxLength: 64 }) };

/** What was written to stdout and stderr while `work` ran, and its result. */
async function captured<T>(work: () => T | Promise<T>): Promise<{ result: T; stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((text) => ((said[name] += String(text)), true));
  const result = await work();
  vi.restoreAllMocks();
  return { result, ...said };
}

const run = (...words: string[]) =>
  captured(() =>
    trainCommand(
      [
        "--model",
        model,
        "--from_scratch",
        "--dataset",
        csv,
        "--text_column",
        "review",
        "--label_column",
        "verdict",
        ...words,
      ],
      plain,
    ),
  );

const eventsOf = (stdout: string): Record<string, unknown>[] =>
  stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore

describe("options", () => {
  const base = ["--model", "m", "--dataset", "d"];

  test("the command line comes before the file, the file before the preset, the preset before the defaults", () => {
    const file = join(work, "run.yaml");
    writeFileSync(file, "learning_rate: 1e-3\nmaxLength: 32\nfp16: true\nreport_to: [html, csv]\n");
    const { args, options } = parseTrainOptions(
      [...base, "--config", file, "--learning-rate=1e-4"],
      plain,
    ) as TrainRequest;
    expect(args).toMatchObject({ learningRate: 1e-4, maxLength: 32, fp16: true, reportTo: ["html", "csv"], seed: 42 });
    expect(args.outputDir).toBe("output/d");
    expect(options).toMatchObject({ model: "m", dataset: "d" });
    expect(parseTrainOptions(base, plain)).toMatchObject({ args: { maxLength: 64, fp16: false } });
  });

  test("a configuration that was saved is read as it was", () => {
    const indices = join(work, "indices.json");
    writeFileSync(indices, "[3,1,2]");
    const words = [
      "--train_indices",
      indices,
      "--no_fp16",
      "--no_decay_groups",
      "false",
      "--freeze",
      "a,b",
      "--clean_html",
    ];
    const asked = parseTrainOptions([...base, ...words], plain) as TrainRequest;
    const file = join(work, "saved.json");
    writeFileSync(file, JSON.stringify(configurationOf(asked.options, asked.args)));
    const { options, args } = parseTrainOptions(["--config", file], plain) as TrainRequest;
    expect(options).toEqual({ model: "m", dataset: "d", trainIndices: [3, 1, 2], cleanHtml: true });
    expect(args).toEqual(asked.args);
    expect(args).toMatchObject({ noDecayGroups: false, freeze: ["a", "b"] });
  });

  test("both spellings; switches with and without a value, and denied", () => {
    const argsOf = (...words: string[]) => (parseTrainOptions([...base, ...words], plain) as TrainRequest).args;
    expect(argsOf("--num_train_epochs", "2", "--weight-decay", "0.1")).toMatchObject({
      numTrainEpochs: 2,
      weightDecay: 0.1,
    });
    expect(argsOf("--fp16").fp16).toBe(true);
    expect(argsOf("--fp16", "false").fp16).toBe(false);
    expect(argsOf("--no_logging_nan_inf_filter").loggingNanInfFilter).toBe(false);
    expect(argsOf("--resume_from_checkpoint").resumeFromCheckpoint).toBe(true);
    expect(argsOf("--resume_from_checkpoint", "x/checkpoint-3").resumeFromCheckpoint).toBe("x/checkpoint-3");
    expect(
      argsOf("--lr_scheduler_type", "cosine_with_restarts", "--lr_scheduler_kwargs", '{"num_cycles": 3}')
        .lrSchedulerKwargs,
    ).toEqual({ num_cycles: 3 });
  });

  test("wrong usage ends with 2, and names the nearest option", async () => {
    const file = join(work, "wrong.json");
    writeFileSync(file, '{"learning_rat": 1}');
    for (const [words, message] of [
      [["--num_train_epoch", "2"], /Did you mean --num-train-epochs/],
      [["--config", file], /wrong.json: there is no learning_rat. Did you mean learning_rate\?/],
      [
        ["--eval_strategy", "step"],
        /evalStrategy is step, but it has to be one of no, steps, epoch\. Did you mean steps\?/,
      ],
      [["--load_best_model_at_end"], /evaluations and checkpoints do not coincide/],
      [["--lr", "1"], /unknown option '--lr'. Did you mean --learning-rate\?/],
      [["--batch-size=4"], /Did you mean --per-device-train-batch-size\?/],
      [["--no_cuda"], /GPUGRAD_ADAPTER/],
      [["--early_stopping_patience", "2"], /watches evaluations: set --eval_strategy/],
      [["--early_stopping_threshold", "2"], /no effect without --early_stopping_patience/],
      [["--num_labels", "1"], /whole number of at least 2/],
    ] as const) {
      const { result, stderr } = await captured(() => parseTrainOptions([...base, ...words], plain));
      expect(result).toBe(2);
      expect(stderr).toMatch(message);
    }
  });
});

test("early stopping watches the loss unless it is given another metric", () => {
  const words = ["--model", "m", "--dataset", "d", "--early_stopping_patience", "2", "--eval_strategy", "epoch"];
  const argsOf = (...more: string[]) => (parseTrainOptions([...words, ...more], plain) as TrainRequest).args;
  expect(argsOf()).toMatchObject({ metricForBestModel: "loss", greaterIsBetter: false });
  expect(argsOf("--metric_for_best_model", "f1")).toMatchObject({ metricForBestModel: "f1", greaterIsBetter: true });
});

test("what is held out, and what is left, lie in the file's order", async () => {
  const file = join(work, "many.jsonl");
  writeFileSync(
    file,
    Array.from({ length: 2000 }, (_, i) => JSON.stringify({ text: `film ${i}`, label: i % 2 })).join("\n"),
  );
  const words = ["--model", model, "--from_scratch", "--dataset", file];
  const { args, options } = parseTrainOptions(words, plain) as TrainRequest;
  await init();
  try {
    const task = await openTask(options, args.seed, () => {});
    const numbersOf = async (rows: Dataset) => {
      const numbers: number[] = [];
      for await (const { text } of rows) numbers.push(Number(text.slice(5)));
      return numbers;
    };
    const [kept, held] = [await numbersOf(task.train), await numbersOf(task.validation)];
    expect([kept.length, held.length]).toEqual([1800, 200]);
    for (const numbers of [kept, held]) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set([...kept, ...held]).size).toBe(2000);
  } finally {
    await destroy();
  }
});

test("of a large dataset, texts are sampled in few places", async () => {
  let read: number[] = [];
  const row = (i: number) => (read.push(i), Promise.resolve({ text: "a film", label: i % 2 }));
  const many = new Dataset({ name: "many", length: 100_000, labels: { numLabels: 2 }, label: (i) => i % 2, row });
  const tokenizer = await AutoTokenizer.fromPretrained(model);
  const { args } = parseTrainOptions(["--model", model, "--dataset", "many"], plain) as TrainRequest;
  const summaryOf = (train: Dataset) =>
    summarize({ train, validation: train, tokenizer } as unknown as Task, {} as TrainOptions, args, 16);
  expect(await summaryOf(many)).toMatchObject({ train_rows: 100_000, classes: { 0: 50_000, 1: 50_000 } });
  expect(new Set(read).size).toBe(512);
  expect(new Set(read.map((i) => Math.floor(i / 16))).size).toBe(32);
  expect(Math.max(...read) - Math.min(...read)).toBeGreaterThan(50_000);
  read = [];
  await summaryOf(many.take(40));
  expect(read.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

describe("gpugrad train", () => {
  test("bad rows are counted where they may be; --dry-run prints all of the configuration, and makes nothing", async () => {
    const out = join(work, "dry");
    const failed = await run("--output_dir", out);
    expect(failed.result).toBe(1);
    expect(failed.stderr).toMatch(/reviews.csv, line 42: 1 fields for 2 columns/);
    const { result, stdout, stderr } = await run(
      "--output_dir",
      out,
      "--on_bad_row",
      "skip",
      "--dry_run",
      "--learning_rate",
      "1e-3",
    );
    expect(result, stderr).toBe(0);
    expect(stderr).toMatch(/36 rows to train on, 4 to test/);
    expect(stderr).toMatch(/classes +bad 1\d \(.*\) · good 1\d \(/);
    expect(stderr).toMatch(/bad rows +1 left out:\s+.*line 42/);
    expect(stdout).toMatch(
      /differs from the defaults:\n[^]*learning_rate +0.001 +\(default: 0.00005\)[^]*as the defaults:\n[^]*adam_beta1 +0.9/,
    );
    expect(stdout).toMatch(/in all: 15 updates, 3 epochs, about [\d,]+ tokens .*; [\d.]+ [KM]iB on the device at most/);
    expect(existsSync(out)).toBe(false);
  });

  test("--json prints events and nothing else; Ctrl-C saves, and the line it gives continues to the end", async () => {
    const out = join(work, "json");
    const words = [
      "--on_bad_row",
      "skip",
      "--output_dir",
      out,
      "--json",
      "--save_steps",
      "4",
      "--logging_steps",
      "5",
      "--eval_strategy",
      "steps",
      "--max_steps",
      "15",
      "--report_to",
      "jsonl",
    ];
    setTimeout(function look() {
      if (existsSync(join(out, "checkpoint-4"))) process.emit("SIGINT", "SIGINT");
      else setTimeout(look);
    });
    const interrupted = await run(...words);
    expect(interrupted.result, interrupted.stderr).toBe(130);
    const stopped = eventsOf(interrupted.stdout).at(-1)!;
    expect(stopped).toMatchObject({ event: "stopped", output_dir: out, signal: "SIGINT" });
    expect(stopped["checkpoint"]).toBe(join(out, `checkpoint-${stopped["steps"] as number}`));
    expect(interrupted.stderr).toMatch(/Continue with\n {2}.*--resume_from_checkpoint true/);

    const { result, stdout, stderr } = await run(...words, "--resume_from_checkpoint", "true");
    expect(result, stderr).toBe(0);
    const events = eventsOf(stdout);
    expect(new Set(events.map(({ event }) => event))).toEqual(
      new Set(["start", "step", "log", "evaluate", "save", "end"]),
    );
    expect(events.find(({ event }) => event === "step")).toMatchObject({ step: (stopped["steps"] as number) + 1 });
    expect(events.at(-1)).toMatchObject({ event: "end", steps: 15 });
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining([
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "README.md",
        "log.jsonl",
        "train_config.json",
      ]),
    );
    const kept = JSON.parse(readFileSync(join(out, "train_config.json"), "utf8")) as object;
    expect(kept).toMatchObject({ model, max_steps: 15, logging_steps: 5 });
  });

  test("what can be known before the first step is known before the data is read, or with --dry_run", async () => {
    const dry = (...words: string[]) => run("--on_bad_row", "skip", "--dry_run", ...words);
    const best = ["--eval_strategy", "epoch", "--save_strategy", "epoch", "--load_best_model_at_end"];
    const wrong = await dry(...best, "--metric_for_best_model", "f2");
    expect([wrong.result, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(
        /--metric_for_best_model is f2, which no .* loss, accuracy, .*f1.*macro.*Did you mean f1\?/,
      ),
    ]);
    for (const metric of ["eval_mcc", "roc_auc", "loss"])
      expect((await dry(...best, "--metric_for_best_model", metric)).result).toBe(0);
    const long = await dry("--max_length", "1000");
    expect(long.stderr).toMatch(/16 tokens at most/);
    expect(long.stderr).toMatch(/! --max_length 1000 is more than the model takes: texts are cut at 16 tokens/);
    expect((await dry("--max_length", "16")).stderr).not.toMatch(/!/);
    const trace = await run("--loss_trace", join(csv, "trace"));
    expect([trace.result, trace.stderr]).toEqual([1, expect.stringMatching(/ENOTDIR.*trace/)]);
  });

  test("--num_labels makes room for classes that the data has no rows of", async () => {
    const out = join(work, "wide");
    const words = ["--on_bad_row", "skip", "--max_steps", "1", "--save_strategy", "no", "--quiet", "--output_dir", out];
    const wide = await run(...words, "--num_labels", "4", "--class_weights", "balanced");
    expect(wide.result, wide.stderr).toBe(0);
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as object;
    expect(config).toMatchObject({ id2label: { 0: "bad", 1: "good", 2: "LABEL_2", 3: "LABEL_3" } });
    const folders = join(work, "three.csv");
    writeFileSync(folders, "text,label\na,x\nb,y\nc,z\n");
    const few = await captured(() =>
      trainCommand(["--model", model, "--dataset", folders, "--num_labels", "2", "--dry_run"], plain),
    );
    expect([few.result, few.stderr]).toEqual([1, expect.stringMatching(/3 classes, but --num_labels is 2/)]);
  });

  test("a class that is evaluated and has no row to learn from is reported at the start, with file and line", async () => {
    const file = (name: string, labels: readonly number[]) => {
      const path = join(work, name);
      writeFileSync(path, `text,label\n${labels.map((label, i) => `a film ${i},${label}`).join("\n")}\n`);
      return path;
    };
    const dry = async (...words: string[]) => {
      const { result, stderr } = await captured(() => trainCommand(["--model", model, "--from_scratch", "--dry_run", ...words], plain)); // prettier-ignore
      return { result, warned: stderr.split("\n").filter((line) => /, line \d+: class /.test(line)) }; // prettier-ignore
    };
    const train = ["--train_file", file("gap.csv", [0, 1, 5, 0, 1, 5])];
    const [validation, test] = [file("gap-dev.csv", [0, 3, 3]), file("gap-test.csv", [5, 1, 4, 2, 4, 3])];
    expect(await dry(...train, "--validation_file", validation, "--test_file", test)).toEqual({
      result: 0,
      warned: [
        expect.stringContaining(`! ${validation}, line 3: class 3 has no row to learn from`),
        expect.stringContaining(`! ${test}, line 4: class 4 has no row to learn from (and 2 more classes)`),
      ],
    });
    expect((await dry(...train, "--validation_file", file("whole.csv", [5, 1, 0]))).warned).toEqual([]);
  });

  test("the loss trace of a resumed run has a line for each update", async () => {
    const [out, trace] = [join(work, "traced"), join(work, "trace.jsonl")];
    writeFileSync(trace, '{"step":1,"of":"another run"}\n');
    const words = ["--on_bad_row", "skip", "--output_dir", out, "--loss_trace", trace, "--save_steps", "2", "--quiet"];
    const steps = () => eventsOf(readFileSync(trace, "utf8")).map(({ step }) => step);
    expect((await run(...words, "--max_steps", "5")).result).toBe(0);
    expect(steps()).toEqual([1, 2, 3, 4, 5]);
    const from = ["--resume_from_checkpoint", join(out, "checkpoint-2")];
    writeFileSync(trace, `${readFileSync(trace, "utf8")}{"step":6,"lo`); // of a run that was killed
    expect((await run(...words, "--max_steps", "4", ...from)).result).toBe(0);
    expect(steps()).toEqual([1, 2, 3, 4]);
  });

  test("early stopping ends a run whose loss doesn't fall", async () => {
    const words = ["--on_bad_row", "skip", "--output_dir", join(work, "early"), "--save_strategy", "no", "--json"];
    const stopping = ["--eval_strategy", "steps", "--eval_steps", "1", "--early_stopping_patience", "2"];
    const { stdout } = await run(...words, ...stopping, "--max_steps", "8", "--learning_rate", "0");
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "end", steps: 3 });
  });

  test("the model that was evaluated last is not evaluated once more at the end", async () => {
    const best = ["--eval_strategy", "steps", "--save_strategy", "steps", "--load_best_model_at_end"];
    const words = ["--on_bad_row", "skip", ...best, "--eval_steps", "2", "--save_steps", "2", "--max_steps", "4"];
    for (const [greaterIsBetter, evaluations] of [
      ["false", 2], // the loss falls: the best is the last
      ["true", 3], // the first is the best, and another model than the last
    ] as const) {
      const out = join(work, `once ${greaterIsBetter}`);
      const more = ["--output_dir", out, "--greater_is_better", greaterIsBetter, "--report_to", "jsonl"];
      const { result, stderr } = await run(...words, ...more, "--learning_rate", "3e-3");
      expect(result, stderr).toBe(0);
      expect(readFileSync(join(out, "log.jsonl"), "utf8").match(/eval_loss/g)).toHaveLength(evaluations);
    }
  });

  test("SIGTERM ends it in every phase, with no lock left", async () => {
    for (const phase of [/^$/, /adapter/, /saved the model/]) {
      const out = join(work, `stopped ${phase.source}`);
      let said = "";
      let asked = false;
      const look = vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said += String(text)), true));
      const ask = (): void => {
        if (asked || !phase.test(said)) return void (asked || setTimeout(ask));
        asked = true;
        process.emit("SIGTERM", "SIGTERM");
      };
      setTimeout(ask);
      const code = await trainCommand(
        ["--model", model, "--from_scratch", "--dataset", csv, "--on_bad_row", "skip", "--max_steps", "2"].concat([
          ...["--text_column", "review", "--label_column", "verdict", "--output_dir", out, "--report_to", "none"],
        ]),
        plain,
      );
      look.mockRestore();
      expect([phase, code]).toEqual([phase, 143]);
      expect(existsSync(join(out, ".gpugrad.lock"))).toBe(false);
      forget();
    }
  });

  test("a folder that is unfit for the run is left as it is, and the error says what to do", async () => {
    const earlier = join(work, "earlier");
    mkdirSync(join(earlier, "checkpoint-4"), { recursive: true });
    writeFileSync(join(earlier, "train_config.json"), "of the earlier run");
    for (const [out, message] of [
      [earlier, /earlier: an earlier run has left checkpoint-4 here\. Continue it/],
      [join(csv, "out"), /out: can't be written to: .*reviews.csv is a file. Choose another output folder\./],
    ] as const) {
      const { result, stderr } = await run("--on_bad_row", "skip", "--max_steps", "1", "--output_dir", out);
      expect(result).toBe(1);
      expect(stderr).toMatch(message);
    }
    expect(readdirSync(earlier)).toEqual(["checkpoint-4", "train_config.json"]);
    expect(readFileSync(join(earlier, "train_config.json"), "utf8")).toBe("of the earlier run");
  });

  test("results of training, evaluation and test are kept in files, in the report and in the card", async () => {
    const out = join(work, "results");
    const rows = (count: number) => Array.from({ length: count }, (_, i) => `${i % 2 ? "good" : "bad"} film ${i},${i % 2 ? "pos" : "neg"}`); // prettier-ignore
    const files = Object.entries({ train: 16, validation: 6, test: 4 }).flatMap(([split, count]) => {
      const file = join(work, `results-${split}.csv`);
      writeFileSync(file, ["text,label", ...rows(count)].join("\n"));
      return [`--${split}_file`, file];
    });
    const words = ["--model", model, "--from_scratch", "--max_steps", "1", "--quiet", "--json", "--report_to", "html"];
    const { result, stdout, stderr } = await captured(() =>
      trainCommand([...words, ...files, "--output_dir", out], plain),
    );
    expect(result, stderr).toBe(0);
    const resultsOf = (split: string) =>
      JSON.parse(readFileSync(join(out, `${split}_results.json`), "utf8")) as Record<string, number>;
    const speed = (split: string) => ["runtime", "samples", "samples_per_second", "steps_per_second"].map((name) => `${split}_${name}`); // prettier-ignore
    const [train, evaluated, tested] = ["train", "eval", "test"].map(resultsOf) as [Record<string, number>, Record<string, number>, Record<string, number>]; // prettier-ignore
    expect(Object.keys(train).sort()).toEqual(["epoch", "total_flos", "train_loss", ...speed("train")].sort());
    expect(Object.keys(evaluated)).toEqual(expect.arrayContaining(["epoch", "eval_loss", "eval_accuracy", ...speed("eval")])); // prettier-ignore
    expect(Object.keys(tested)).toEqual(expect.arrayContaining(["test_loss", "test_accuracy", ...speed("test")]));
    expect([train["train_samples"], evaluated["eval_samples"], tested["test_samples"]]).toEqual([16, 6, 4]);
    expect(resultsOf("all")).toEqual({ ...train, ...evaluated, ...tested });

    const end = eventsOf(stdout).at(-1) as { eval: Record<string, number>; test: Record<string, number> };
    expect(tested["test_accuracy"]).toBe(end.test["accuracy"]);
    expect(evaluated["eval_loss"]).toBe(end.eval["loss"]);
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("The test gives accuracy");
    expect(readFileSync(join(out, "README.md"), "utf8")).toMatch(
      /On the test set it has:\n\n- Loss: [\d.]+\n- Accuracy: /,
    );
  });

  test("--truncation head_tail trains on both ends of texts, and its folder cuts them so", async () => {
    const rows = Array.from({ length: 20 }, (_, i) => [`fine ${"dull ".repeat(i % 5)}a story film`, i % 2]);
    const file = (name: string, of: (text: string) => string): string => {
      const path = join(work, name);
      writeFileSync(path, rows.map(([text, label]) => JSON.stringify({ text: of(String(text)), label })).join("\n"));
      return path;
    };
    const trained = async (data: string, ...more: string[]) => {
      const [out, trace] = [`${data}-out`, `${data}-trace`];
      const words = ["--model", model, "--from_scratch", "--dataset", data, "--max_length", "6", "--max_steps", "4", "--quiet"]; // prettier-ignore
      const { result, stderr } = await captured(() => trainCommand([...words, "--output_dir", out, "--loss_trace", trace, "--save_strategy", "no", ...more], plain)); // prettier-ignore
      expect(result, stderr).toBe(0);
      return { out, losses: readFileSync(trace, "utf8") };
    };
    const { out, losses } = await trained(file("long.jsonl", (text) => text), "--truncation", "head_tail"); // prettier-ignore
    const byHand = await trained(file("ends.jsonl", () => "fine a story film")); // 4 tokens: the first, and the last three
    expect(losses.trim().split("\n")).toHaveLength(4);
    expect(losses).toBe(byHand.losses);
    const tokenizer = await AutoTokenizer.fromPretrained(out);
    const { input_ids } = tokenizer.encode("fine dull dull a story film", { maxLength: 6 });
    expect(tokenizer.decode(input_ids, { skipSpecialTokens: true })).toBe("fine a story film");
  });

  test("numbers are a regression; folders per class are classes", async () => {
    const numbers = join(work, "numbers.jsonl");
    writeFileSync(
      numbers,
      Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: `a film ${i}`, score: i / 20 })).join("\n"),
    );
    const words = ["--model", model, "--from_scratch", "--max_steps", "2", "--quiet", "--save_strategy", "no"];
    const regression = await captured(() =>
      trainCommand([...words, "--dataset", numbers, "--output_dir", join(work, "regression")], plain),
    );
    expect(regression.result, regression.stderr).toBe(0);
    expect(regression.stdout).toMatch(/on 2 rows\n\n[^]*mse +\d[^]*spearman/);

    for (const [split, count] of [
      ["train", 6],
      ["test", 2],
    ] as const) {
      for (const label of ["neg", "pos"]) {
        mkdirSync(join(work, "folders", split, label), { recursive: true });
        for (let i = 0; i < count; i++)
          writeFileSync(join(work, "folders", split, label, `${i}.txt`), `a ${label} film ${i}`);
      }
    }
    const folders = await captured(() =>
      trainCommand([...words, "--dataset", join(work, "folders"), "--output_dir", join(work, "classes")], plain),
    );
    expect(folders.result, folders.stderr).toBe(0);
    expect(folders.stdout).toMatch(/on 4 rows[^]*neg[^]*pos/);
  });
});
