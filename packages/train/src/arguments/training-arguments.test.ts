import { describe, expect, test } from "vitest";
import { argumentsToJson, parseArgument, snakeCase, trainingArguments } from "./training-arguments.ts";

/** The defaults of `TrainingArguments` in Transformers 5.23.0, printed from Python. */
const transformers = {
  ...{ num_train_epochs: 3, max_steps: -1, per_device_train_batch_size: 8, per_device_eval_batch_size: 8 },
  ...{
    gradient_accumulation_steps: 1,
    gradient_checkpointing: false,
    fp16: false,
    learning_rate: 5e-5,
    weight_decay: 0,
  },
  ...{ adam_beta1: 0.9, adam_beta2: 0.999, adam_epsilon: 1e-8, max_grad_norm: 1, label_smoothing_factor: 0 },
  ...{ lr_scheduler_type: "linear", warmup_steps: 0, logging_strategy: "steps", logging_steps: 500 },
  ...{ logging_first_step: false, logging_nan_inf_filter: true, eval_strategy: "no", eval_steps: null, eval_delay: 0 },
  ...{ eval_on_start: false, save_strategy: "steps", save_steps: 500, save_total_limit: null, save_only_model: false },
  ...{ load_best_model_at_end: false, metric_for_best_model: null, greater_is_better: null, seed: 42, data_seed: null },
  ...{ train_sampling_strategy: "random", dataloader_drop_last: false, dataloader_num_workers: 0, push_to_hub: false },
  ...{ hub_model_id: null, hub_strategy: "every_save", hub_token: null, hub_revision: null, run_name: null },
  ...{ resume_from_checkpoint: null },
};

test("names and defaults are Transformers'", () => {
  const ours = Object.fromEntries(Object.entries(trainingArguments()).map(([name, value]) => [snakeCase(name), value]));
  expect(ours).toMatchObject(transformers);
});

test("both spellings; the nearest name for one that isn't there", () => {
  expect(trainingArguments({ num_train_epochs: 5, learningRate: 1e-3 })).toMatchObject({
    numTrainEpochs: 5,
    learningRate: 1e-3,
  });
  expect(() => trainingArguments({ num_train_epoch: 5 })).toThrow(
    /there is no num_train_epoch. Did you mean numTrainEpochs/,
  );
  expect(() => trainingArguments({ learninRate: 5 })).toThrow(/Did you mean learningRate/);
  expect(() => trainingArguments({ xyzzy: "x" })).toThrow(/there is no xyzzy. There are outputDir, /);
  expect(() => trainingArguments({ deepspeed: "x" })).toThrow(/there is no deepspeed. A run uses one device/);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ learningRate: -1 }, /learningRate is -1, but it can't be negative/],
  [{ perDeviceTrainBatchSize: 2.5 }, /perDeviceTrainBatchSize is 2.5, but it has to be a whole number of at least 1/],
  [{ adamBeta2: 1 }, /adamBeta2 is 1, but it has to be below 1/],
  [{ loggingSteps: 2.5 }, /loggingSteps is 2.5, but it has to be a whole number/],
  [{ evalStrategy: "step" }, /evalStrategy is step, but it has to be one of no, steps, epoch\. Did you mean steps\?$/],
  [{ fp16: "yes" }, /fp16 is yes, but it has to be true or false/],
  [{ reportTo: ["tensorbord"] }, /there is no tensorbord.*Did you mean tensorboard/],
  [{ classWeights: "balance" }, /classWeights is balance, but it has to be balanced, or a list/],
  [{ maxSteps: 0 }, /maxSteps is 0/],
  [
    { loadBestModelAtEnd: true, outputDir: "x", evalStrategy: "epoch" },
    /evaluations and checkpoints do not coincide: evalStrategy is epoch, saveStrategy steps/,
  ],
  [
    { loadBestModelAtEnd: true, outputDir: "x", evalStrategy: "steps", evalSteps: 3, saveSteps: 10 },
    /saveSteps 10 is not a multiple of evalSteps 3/,
  ],
  [{ lrSchedulerType: "greedy" }, /it watches a metric: set evalStrategy/],
  [{ saveStrategy: "best" }, /nothing is evaluated/],
  [{ pushToHub: true }, /pushToHub is true, but there is no outputDir/],
  [
    { dilocoSteps: 10, fp16: true },
    /dilocoSteps is 10, but each rank would leave out other updates: set fp16 to false/,
  ],
  [{ dilocoSteps: 10, onNonFinite: "skip" }, /set onNonFinite to stop or ignore/],
  [{ reportTo: ["html"] }, /reportTo is \["html"\], but there is no outputDir/],
])("%o can't be", (given, message) => expect(() => trainingArguments(given)).toThrow(message));

test("what follows from others is filled in", () => {
  const evaluated = {
    outputDir: "x",
    evalStrategy: "steps",
    loggingSteps: 50,
    saveSteps: 100,
    loadBestModelAtEnd: true,
  };
  expect(trainingArguments(evaluated)).toMatchObject({
    evalSteps: 50,
    metricForBestModel: "loss",
    greaterIsBetter: false,
  });
  expect(trainingArguments({ ...evaluated, metricForBestModel: "f1" }).greaterIsBetter).toBe(true);
  expect(trainingArguments({ outputDir: "x", reportTo: ["all"] }).reportTo).toEqual([
    "html",
    "jsonl",
    "csv",
    "tensorboard",
  ]);
  expect(trainingArguments({ reportTo: ["none"] }).reportTo).toEqual([]);
});

describe("from a command line", () => {
  test.each([
    ["learningRate", "1e-4", 1e-4],
    ["fp16", "true", true],
    ["fp16", "False", false],
    ["reportTo", "html,csv", ["html", "csv"]],
    ["classWeights", "1,2.5", [1, 2.5]],
    ["classWeights", "balanced", "balanced"],
    ["lrSchedulerKwargs", '{"num_cycles": 2}', { num_cycles: 2 }],
    ["resumeFromCheckpoint", "true", true],
    ["resumeFromCheckpoint", "output/checkpoint-5", "output/checkpoint-5"],
    ["outputDir", "here", "here"],
  ] as const)("--%s %s", (name, written, value) => expect(parseArgument(name, written)).toEqual(value));

  test("what can't be read is reported", () => {
    expect(() => parseArgument("learningRate", "fast")).toThrow(/learningRate is fast, but it has to be a number/);
    expect(() => parseArgument("lrSchedulerKwargs", "num_cycles=2")).toThrow(/it has to be JSON/);
  });
});

test("what is saved has Transformers' names, and no token", () => {
  const json = argumentsToJson(trainingArguments({ hubToken: "hf_secret", outputDir: "x" }));
  expect(json).toMatchObject({ hub_token: "<HUB_TOKEN>", output_dir: "x", num_train_epochs: 3 });
  expect(JSON.stringify(json)).not.toContain("hf_secret");
});
