import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = mkdtempSync(join(tmpdir(), "gpugrad-examples-"));
afterAll(() => rmSync(out, { recursive: true }));

/** Runs a program of the repository as its users do. */
function run(program: string, args: string[], input = ""): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts/run.mjs"), program, ...args], {
    cwd: root,
    input,
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

const lines = (stdout: string): Record<string, unknown>[] =>
  stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore

test("the README's example learns exclusive or, and is the one in the README", () => {
  const { code, stdout } = run("examples/xor.ts", []);
  expect(stdout.trim()).toBe("[ 0, 1, 1, 0 ]");
  expect(code).toBe(0);
  const [, ...program] = readFileSync(join(root, "examples/xor.ts"), "utf8").split("\n");
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(program.join("\n").trim());
});

test("the guide's op of one's own is right, and learns; the guide's pieces are the program", () => {
  const { code, stdout, stderr } = run("examples/own-op.ts", []);
  expect(code, stderr).toBe(0);
  expect(Number(/^loss ([\d.]+)$/.exec(stdout.trim())![1])).toBeLessThan(0.01); // 0.5 at first
  const guide = readFileSync(join(root, "docs/your-own-op.md"), "utf8");
  const pieces = [...guide.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, piece]) => piece!);
  const [, ...program] = readFileSync(join(root, "examples/own-op.ts"), "utf8").split("\n");
  expect(pieces.join("\n")).toBe(program.join("\n"));
});

test("each step on the way to a tiled kernel computes what it should", () => {
  const { code, stdout, stderr } = run("examples/kernel-steps.ts", []);
  expect(code, stderr).toBe(0);
  const errors = [...stdout.matchAll(/^(matmul|attention)-\d-\S+\.wgsl .* largest error (\S+)$/gm)];
  expect(errors.map(([, op]) => op)).toEqual([..."mmmmaaaa"].map((op) => (op === "m" ? "matmul" : "attention")));
  for (const [, op, error] of errors) expect(Number(error)).toBeLessThan(op === "matmul" ? 2e-4 : 2e-6); // sums of 512, and shares
});

/** That a program is short, and imports packages by their names alone. */
function expectFromOutside(file: string): void {
  const program = readFileSync(join(root, file), "utf8");
  expect(program.split("\n").length).toBeLessThan(60);
  expect([...program.matchAll(/from "(.*)"/g)].every(([, from]) => from!.startsWith("@gpugrad/"))).toBe(true);
}

test("a task of one's own is learned by the Trainer, in fewer than 60 lines outside the packages", () => {
  const { code, stdout, stderr } = run("examples/custom-task.ts", []);
  expect(code, stderr).toBe(0);
  const [, error, share] = /^mean absolute error ([\d.]+); kind warm rude warm: ([\d.]+)$/.exec(stdout.trim())!;
  expect(Number(error)).toBeLessThan(0.1);
  expect(Math.abs(Number(share) - 0.75)).toBeLessThan(0.1);
  expectFromOutside("examples/custom-task.ts");
});

test("a model of one's own is trained by the Trainer, and opens again", () => {
  const folder = join(out, "bag");
  const { code, stdout, stderr } = run("examples/custom-model.ts", [folder]);
  expect(code, stderr).toBe(0);
  const [{ accuracy, logits }] = lines(stdout) as [{ accuracy: number; logits: number[][] }];
  expect(accuracy).toBe(1);
  expect(logits[0]![0]).toBeGreaterThan(logits[0]![1]! + 1); // two good words, and a bad one
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as object;
  expect(config).toMatchObject({ model_type: "bag-of-words", architectures: ["BagForSequenceClassification"], vocab_size: 12 }); // prettier-ignore
  expectFromOutside("examples/custom-model.ts");
});

test("train:imdb --sample keeps its contract, and what it saves predicts", () => {
  const model = join(out, "sample");
  const trace = join(out, "trace.jsonl");
  const { code, stdout, stderr } = run("examples/train-imdb.ts", [
    "--sample", "--json", "--max_train_samples", "96", "--max-eval-samples", "40", "--num_train_epochs=1",
    "--output_dir", model, "--loss_trace", trace, "--seed", "7",
  ]); // prettier-ignore
  expect(code, stderr).toBe(0);
  const events = lines(stdout);
  expect(events.map((e) => e["event"])).toEqual([
    "start",
    ...Array<string>(6).fill("step"),
    "predict",
    "predict",
    "predict",
    "end",
  ]);
  const end = events.at(-1)!;
  expect(end).toMatchObject({ event: "end", steps: 6, output_dir: model });
  expect((end["eval"] as { accuracy: number }).accuracy).toBeGreaterThan(0.3);
  for (const key of ["train_loss", "train_runtime", "train_samples_per_second"]) expect(end[key]).toBeTypeOf("number");
  expect(end["adapter"]).toBeTypeOf("string");
  const steps = lines(readFileSync(trace, "utf8"));
  expect(Object.keys(steps[0]!)).toEqual(["step", "loss", "grad_norm", "learning_rate", "epoch"]);
  expect(steps.at(-1)).toMatchObject({ step: 6, epoch: 1 });
  expect(stderr).toMatch(/estimated/);

  const texts = "The acting was superb.\n\nA bore.\n";
  const predicted = lines(run("packages/gpugrad/src/cli.ts", ["predict", model, "--json"], texts).stdout);
  expect(predicted).toHaveLength(3); // an empty line is a text too
  for (const { label, score, logits } of predicted) {
    expect(["negative", "positive"]).toContain(label);
    expect(score).toBeGreaterThanOrEqual(0.5);
    expect(logits).toHaveLength(2);
  }
  const embedded = lines(run("packages/gpugrad/src/cli.ts", ["embed", model, "--json"], texts).stdout);
  for (const { embedding } of embedded) expect(Math.hypot(...(embedding as number[]))).toBeCloseTo(1, 6);

  const csv = join(out, "test.csv");
  writeFileSync(csv, "text,label\nThe acting was superb.,positive\nA bore.,negative\n");
  const evaluated = run("packages/gpugrad/src/cli.ts", [
    "evaluate",
    model,
    "--dataset",
    csv,
    "--split",
    "test",
    "--json",
  ]);
  expect(evaluated.code, evaluated.stderr).toBe(0);
  const metrics = lines(evaluated.stdout)[0]!;
  expect(metrics).toMatchObject({ rows: 2 });
  for (const name of ["accuracy", "loss", "f1", "mcc", "roc_auc", "average_precision", "calibration_error"])
    expect(metrics[name]).toBeTypeOf("number");

  // A file of the user's own: a tenth is held out, or the rows to train and to test on are named.
  const reviews = join(out, "reviews.csv");
  const indices = join(out, "indices.json");
  writeFileSync(reviews, `review,class\n${"The acting was superb.,positive\nA bore.,negative\n".repeat(10)}`);
  writeFileSync(indices, "[3, 1, 20]");
  const tuned = join(out, "tuned");
  const fineTune = (...args: string[]) =>
    run("examples/train-imdb.ts", [
      "--model", model, "--dataset", reviews, "--label_column", "class", "--max_length", "16", "--max_steps", "1",
      "--output_dir", tuned, ...args,
    ]); // prettier-ignore
  expect(fineTune().stderr).toMatch(/18 reviews to train on, 2 to test/);
  expect(run("packages/gpugrad/src/cli.ts", ["evaluate", tuned, "--dataset", reviews, "--label_column", "class"]).stdout).toMatch(/on 20 rows/); // prettier-ignore
  // What is wrong is reported before training starts.
  const late = fineTune("--train_indices", indices, "--eval_indices", indices, "--json", "--overwrite_output_dir");
  expect(late).toMatchObject({ code: 1, stdout: "" });
  expect(late.stderr).toMatch(/--eval_indices: no row 20: the rows to evaluate on are 0 to 19/);
});

test("wrong usage ends with 2 and says what is wrong", () => {
  const config = join(out, "run.yaml");
  writeFileSync(config, "learning_rate: 1e-3\nper_device_train_batch: 4\n");
  for (const [program, args, message] of [
    [
      "examples/train-imdb.ts",
      ["--learning_rat", "1"],
      /unknown option '--learning-rat'\. Did you mean --learning-rate\?/,
    ],
    [
      "examples/train-imdb.ts",
      ["--config", config],
      /run.yaml: there is no per_device_train_batch. Did you mean per_device_train_batch_size/,
    ],
    ["examples/train-imdb.ts", ["--max_length", "x"], /maxLength is x, but it has to be a number/],
    ["examples/train-imdb.ts", ["--lr_scheduler_type", "cosin"], /lrSchedulerType is cosin, but it has to be one of/],
    ["examples/train-imdb.ts", ["--padding", "short"], /padding is short, but it has to be one of longest, max_length/],
    ["examples/train-imdb.ts", ["--sample", "--dataset", "x"], /'--sample' cannot be used with option '--dataset/],
    ["packages/gpugrad/src/cli.ts", ["predict"], /missing required argument 'model'/],
    ["packages/gpugrad/src/cli.ts", ["predikt"], /unknown command/],
  ] as const) {
    const { code, stdout, stderr } = run(program, [...args]);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  }
});
