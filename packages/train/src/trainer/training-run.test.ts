import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BertForSequenceClassification, PreTrainedModel } from "@gpugrad/bert";
import { add, crossEntropy, destroy, device, fromArray, init, keep, ones, undisposed } from "@gpugrad/tensor";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { EarlyStoppingCallback, type TrainerCallback } from "./callbacks.ts";
import { OutputFolder } from "../checkpoint/output-folder.ts";
import { writeSealedFolder } from "../checkpoint/sealed-folder.ts";
import type { BatchTokenizer } from "../data/batch.ts";
import { Dataset } from "../data/dataset.ts";
import { trainWordPiece } from "../sample/wordpiece.ts";
import { NonFiniteError } from "./non-finite.ts";
import { Trainer } from "./trainer.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-run-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A Trainer on the letters: 12 updates of four rows, unless `own` says otherwise. */
const trainerWith = (own: Partial<TrainingArguments>, options: Partial<TrainerOptions> = {}): Trainer =>
  new Trainer({
    ...{ tokenizer, trainDataset: dataset, evalDataset: dataset },
    ...options,
    model: options.model ?? tinyModel(),
    args: { perDeviceTrainBatchSize: 4, maxSteps: 12, learningRate: 2e-3, ...own },
  });

const bytesOf = async (model: BertForSequenceClassification): Promise<string> =>
  (await Promise.all(model.parameters().map((p) => p.bytes()))).map((b) => Buffer.from(b).toString("base64")).join();

/** Weights at the end of a run that nothing disturbs. */
async function undisturbed(own: Partial<TrainingArguments> = {}): Promise<string> {
  const trainer = trainerWith(own);
  await trainer.train();
  return bytesOf(trainer.model);
}

const checkpoints = (): string[] => readdirSync(folder).filter((name) => name.startsWith("checkpoint-"));

describe("an update of several batches", () => {
  async function weightsOf(own: Partial<TrainingArguments>): Promise<number[]> {
    const model = tinyModel({ dropout: 0 });
    const sgd = { optim: "sgd", learningRate: 0.1, maxGradNorm: 0, trainSamplingStrategy: "sequential" } as const;
    await trainerWith({ ...sgd, ...own }, { model, trainDataset: dataset.take(11) }).train();
    return (await Promise.all(model.parameters().map((p) => p.data()))).flatMap((values) => Array.from(values));
  }
  const difference = (a: number[], b: number[]): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

  test("counts every row the same, as one batch of them all; the mean of means and the sum don't", async () => {
    const whole = await weightsOf({ perDeviceTrainBatchSize: 11, maxSteps: 2 });
    const parts = { perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 3, maxSteps: 2 }; // 4 + 4 + 3 rows
    expect(difference(whole, await weightsOf(parts))).toBeLessThan(1e-6);
    const recordedAtOnce = await weightsOf({ ...parts, padding: "max_length", maxLength: 11, recordSteps: true });
    expect(difference(whole, recordedAtOnce)).toBeLessThan(1e-6);
    expect(difference(whole, await weightsOf({ ...parts, gradientAccumulationLoss: "mean" }))).toBeGreaterThan(1e-5);
    expect(difference(whole, await weightsOf({ ...parts, gradientAccumulationLoss: "sum" }))).toBeGreaterThan(1e-3);
  });

  test("weighs classes over all of its rows", async () => {
    const classWeights = [3, 0.5];
    const whole = await weightsOf({ perDeviceTrainBatchSize: 11, maxSteps: 2, classWeights });
    const parts = { perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 3, maxSteps: 2 };
    expect(difference(whole, await weightsOf({ ...parts, classWeights }))).toBeLessThan(1e-6);
    expect(difference(whole, await weightsOf(parts))).toBeGreaterThan(1e-3);
  });
});

describe("callbacks", () => {
  test("get every event in Transformers' order; a plain function gets all of them", async () => {
    const events: string[] = [];
    const trainer = trainerWith(
      {
        maxSteps: -1,
        numTrainEpochs: 1,
        perDeviceTrainBatchSize: 30,
        loggingSteps: 2,
        saveSteps: 2,
        evalStrategy: "epoch",
        outputDir: folder,
      },
      { callbacks: [(event) => void (event !== "onStepResult" && event !== "onPredictionStep" && events.push(event))] },
    );
    expect(events.splice(0)).toEqual(["onInitEnd"]);
    await trainer.train();
    expect(events).toEqual([
      ...["onTrainBegin", "onEpochBegin", "onStepBegin", "onStepEnd", "onStepBegin", "onStepEnd"],
      ...["onLog", "onSave", "onEpochEnd", "onLog", "onEvaluate", "onLog", "onTrainEnd"],
    ]);
  });

  test("onInitEnd may be asynchronous: all else waits for it, and throws what it threw", async () => {
    const events: string[] = [];
    const takesTime: TrainerCallback = {
      onInitEnd: async () => {
        await new Promise(setImmediate);
        events.push("onInitEnd");
      },
      onTrainBegin: () => void events.push("onTrainBegin"),
    };
    await trainerWith({ maxSteps: 1 }, { callbacks: [takesTime] }).train();
    expect(events).toEqual(["onInitEnd", "onTrainBegin"]);

    const refuses: TrainerCallback = { onInitEnd: () => Promise.reject(new Error("not with these arguments")) };
    const trainer = trainerWith({}, { callbacks: [refuses] });
    await new Promise(setImmediate); // nobody has asked for it yet
    for (const work of [
      () => trainer.train(),
      () => trainer.evaluate(),
      () => trainer.predict(dataset),
      () => trainer.saveModel(folder),
    ])
      await expect(work()).rejects.toThrow("not with these arguments");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("change what is done next by the flags of control", async () => {
    const stopsEarly: TrainerCallback = {
      onStepEnd: (_args, { globalStep }, control) => {
        control.shouldLog = globalStep === 2;
        control.shouldTrainingStop = globalStep === 3;
      },
    };
    const trainer = trainerWith({}, { callbacks: [stopsEarly] });
    expect(await trainer.train()).toMatchObject({ globalStep: 3, completed: false });
    expect(trainer.state.logHistory.map(({ step }) => step)).toEqual([2, 3]);
  });

  test("early stopping: after a number of evaluations without a better metric; its count is in the checkpoint", async () => {
    const scores = [0.5, 0.7, 0.7, 0.6, 0.9];
    const trainer = trainerWith(
      {
        evalStrategy: "steps",
        evalSteps: 2,
        saveSteps: 2,
        loadBestModelAtEnd: true,
        metricForBestModel: "score",
        outputDir: folder,
      },
      {
        callbacks: [new EarlyStoppingCallback({ earlyStoppingPatience: 2 })],
        computeMetrics: () => ({ score: scores.shift()! }),
      },
    );
    expect(await trainer.train()).toMatchObject({ globalStep: 8, completed: false });
    expect(trainer.state).toMatchObject({
      bestMetric: 0.7,
      bestGlobalStep: 4,
      bestModelCheckpoint: join(folder, "checkpoint-4"),
    });
    const saved = JSON.parse(readFileSync(join(folder, "checkpoint-8", "trainer_state.json"), "utf8")) as object;
    expect(saved).toHaveProperty(
      "stateful_callbacks.EarlyStoppingCallback.attributes.early_stopping_patience_counter",
      2,
    );
  });

  test.each<[greater: boolean, best: number, step: number, scores: number[]]>([
    [true, 0.9, 3, [NaN, 0.5, 0.9, 0.7, NaN]],
    [false, 0.5, 2, [NaN, 0.5, 0.9, 0.7, NaN]],
    [true, 0.5, 1, [0.5, NaN, 0.4, NaN, 0.1]],
  ])(
    "a metric that is NaN is never the best (greater is better: %s): %d at %i of %j",
    async (greater, best, step, scores) => {
      const saved: number[] = [];
      const own = {
        evalStrategy: "steps",
        evalSteps: 1,
        metricForBestModel: "score",
        greaterIsBetter: greater,
      } as const;
      const record: TrainerCallback = { onSave: (_args, { globalStep }) => void saved.push(globalStep) };
      const queue = [...scores];
      const trainer = trainerWith(
        { ...own, maxSteps: 5, saveSteps: 1, saveTotalLimit: 1, loadBestModelAtEnd: true, outputDir: folder },
        {
          computeMetrics: () => ({ score: queue.shift()! }),
          callbacks: [new EarlyStoppingCallback({ earlyStoppingPatience: 4 })],
        },
      );
      expect(await trainer.train()).toMatchObject({ globalStep: 5, completed: true });
      expect(trainer.state).toMatchObject({ bestMetric: best, bestGlobalStep: step });
      expect(trainer.state.bestModelCheckpoint).toBe(join(folder, `checkpoint-${step}`));
      expect(checkpoints()).toContain(`checkpoint-${step}`);
      const again = [...scores];
      await trainerWith(
        { ...own, maxSteps: 5, saveStrategy: "best", outputDir: join(folder, "best") },
        { computeMetrics: () => ({ score: again.shift()! }), callbacks: [record] },
      ).train();
      expect(saved.at(-1)).toBe(step);
    },
  );

  test("early stopping begins to count at the first evaluation, which may be NaN", async () => {
    const ends = async (scores: number[]): Promise<number> => {
      const trainer = trainerWith(
        { evalStrategy: "steps", evalSteps: 1, metricForBestModel: "score" },
        { computeMetrics: () => ({ score: scores.shift()! }), callbacks: [new EarlyStoppingCallback()] },
      );
      return (await trainer.train()).globalStep;
    };
    expect(await ends([NaN, 0.5, 0.6, 0.6])).toBe(4);
    expect(await ends([NaN, NaN])).toBe(2);
    expect(await ends([0.5, NaN])).toBe(2);
  });

  test("two callbacks of a class keep a state each", async () => {
    const own = { evalStrategy: "steps", evalSteps: 1, metricForBestModel: "score", saveSteps: 3 } as const;
    const scores = [5, 4, 3, 2, 1, 0];
    const pair = (): TrainerCallback[] => [
      new EarlyStoppingCallback({ earlyStoppingPatience: 4 }),
      new EarlyStoppingCallback({ earlyStoppingPatience: 50, earlyStoppingThreshold: 10 }),
      { onEvaluate: (_a, { globalStep }, control) => void (control.shouldTrainingStop ||= globalStep === 3) },
    ];
    const first = trainerWith(
      { ...own, outputDir: folder },
      { computeMetrics: () => ({ score: scores.shift()! }), callbacks: pair() },
    );
    await first.train();
    const counter = "attributes.early_stopping_patience_counter";
    expect(first.state.statefulCallbacks["EarlyStoppingCallback"]).toMatchObject([
      { args: { early_stopping_patience: 4 } },
      { args: { early_stopping_patience: 50 } },
    ]);
    expect(first.state.statefulCallbacks).toHaveProperty(`EarlyStoppingCallback.0.${counter}`, 2);
    const resumed = trainerWith(
      { ...own, outputDir: folder, resumeFromCheckpoint: true },
      { computeMetrics: () => ({ score: scores.shift()! }), callbacks: pair() },
    );
    expect(await resumed.train()).toMatchObject({ globalStep: 5, completed: false }); // the fourth that is no better
  });

  test("wishes of several add up: a stop's checkpoint where saveStrategy is best, a flag that is set between two updates", async () => {
    const own = { evalStrategy: "steps", evalSteps: 2, metricForBestModel: "score", saveStrategy: "best" } as const;
    const scores = [0.9, 0.1, 0.1];
    const trainer = trainerWith(
      { ...own, outputDir: folder },
      {
        computeMetrics: () => ({ score: scores.shift()! }),
        callbacks: [{ onStepEnd: (_a, { globalStep }) => void (globalStep === 4 && trainer.stop()) }],
      },
    );
    await trainer.train();
    expect(checkpoints().sort()).toEqual(["checkpoint-2", "checkpoint-4"]);
    const asks: TrainerCallback = {
      onStepResult: (_a, _s, control, { result }) => void (result!.step === 5 && (control.shouldLog = true)),
      onStepEnd: (_a, { globalStep }, control) => void (globalStep === 12 && (control.shouldTrainingStop = false)),
    };
    const logs = trainerWith({}, { callbacks: [asks] });
    expect(await logs.train()).toMatchObject({ globalStep: 12, completed: true }); // also if a callback clears the stop at the end
    expect(logs.state.logHistory).toHaveLength(2);
  });

  test("the best model is loaded at the end", async () => {
    const scores = [0.5, 0.9, 0.1];
    const own = { evalStrategy: "steps", evalSteps: 4, saveSteps: 4, outputDir: folder, saveTotalLimit: 1 } as const;
    const trainer = trainerWith(
      { ...own, loadBestModelAtEnd: true, metricForBestModel: "score" },
      { computeMetrics: () => ({ score: scores.shift()! }) },
    );
    await trainer.train();
    const eight = trainerWith(
      { maxSteps: 12 },
      {
        callbacks: [
          { onStepEnd: (_a, { globalStep }, control) => void (control.shouldTrainingStop = globalStep === 8) },
        ],
      },
    );
    await eight.train();
    expect(await bytesOf(trainer.model)).toBe(await bytesOf(eight.model));
    expect(checkpoints().sort()).toEqual(["checkpoint-12", "checkpoint-8"]); // the best, and the newest
  });
});

describe("the output folder", () => {
  test("stop() saves; the run continues from there to the same bytes", async () => {
    const trainer = trainerWith(
      { outputDir: folder, saveStrategy: "no" },
      { callbacks: [{ onStepEnd: (_a, { globalStep }) => void (globalStep === 5 && trainer.stop()) }] },
    );
    expect(await trainer.train()).toMatchObject({ globalStep: 5, completed: false });
    expect(checkpoints()).toEqual(["checkpoint-5"]);
    const losses: number[] = [];
    const goesOn = trainerWith(
      { outputDir: folder, saveStrategy: "no", resumeFromCheckpoint: true },
      { callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void losses.push(result!.loss) }] },
    );
    const { trainingLoss, ...rest } = await goesOn.train();
    expect(rest).toMatchObject({ globalStep: 12, completed: true });
    expect(losses).toHaveLength(7);
    expect(trainingLoss).toBeCloseTo(losses.reduce((a, b) => a + b) / 7, 12); // of the updates of this call alone
    expect(await bytesOf(goesOn.model)).toBe(await undisturbed());
  });

  test("a run in mixed precision continues with its loss scale", async () => {
    const fp16 = { fp16: true, padding: "max_length", maxLength: 8, maxSteps: 8 } as const;
    const trainer = trainerWith({ ...fp16, outputDir: folder, saveSteps: 3 });
    await trainer.train();
    const resumed = trainerWith(fp16);
    await trainerWith({ ...fp16, outputDir: join(folder, "more") }, { model: resumed.model }).train({
      resumeFromCheckpoint: join(folder, "checkpoint-3"),
    });
    expect(await bytesOf(resumed.model)).toBe(await bytesOf(trainer.model));
  });

  test("a run that was over stays as it is when it is resumed", async () => {
    await trainerWith({ outputDir: folder }).train();
    const again = trainerWith({ outputDir: folder });
    expect(await again.train({ resumeFromCheckpoint: true })).toMatchObject({ globalStep: 12, completed: true });
    expect(await bytesOf(again.model)).toBe(await undisturbed());
  });

  test("a run with accumulation continues in the middle of an epoch, with the batches that are left", async () => {
    const own = { gradientAccumulationSteps: 4, maxSteps: 8, outputDir: folder, saveSteps: 2 } as const; // 15 batches, 4 updates an epoch
    const rowsOf = async (more: Partial<TrainingArguments>): Promise<number[][]> => {
      const read: number[][] = [];
      const rows = new Dataset({
        ...{ name: "letters", length: dataset.length, labels: { numLabels: 2 } },
        row: (i) => (read.push([i]), dataset.row(i)),
      });
      await trainerWith({ ...own, dataloaderPrefetch: 0, ...more }, { trainDataset: rows }).train();
      return read;
    };
    const all = await rowsOf({});
    expect(all).toHaveLength(120);
    const resumed = await rowsOf({ resumeFromCheckpoint: join(folder, "checkpoint-6") });
    expect(resumed).toEqual(all.slice(60 + 2 * 16)); // after an epoch and two updates of four batches of four rows
    rmSync(join(folder, "checkpoint-8"), { recursive: true });
    expect(await rowsOf({ resumeFromCheckpoint: join(folder, "checkpoint-4") })).toEqual(all.slice(60)); // after an epoch
  });

  test("time left and the log of a run that was resumed are those of its own updates", async () => {
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    const results: [step: number, secondsLeft: number][] = [];
    const seconds: TrainerCallback = {
      onStepBegin: () => void (now += 1000),
      onStepResult: (_a, _s, _c, { result }) => void results.push([result!.step, result!.secondsLeft]),
    };
    const own = { outputDir: folder, saveSteps: 4 } as const;
    await trainerWith(own).train();
    const resumed = trainerWith(own, { callbacks: [seconds] });
    const result = await resumed.train({ resumeFromCheckpoint: join(folder, "checkpoint-8") });
    clock.mockRestore();
    expect(results.map(([step]) => step)).toEqual([9, 10, 11, 12]);
    for (const [step, left] of results) expect(left).toBeLessThanOrEqual(2 * (12 - step)); // a second each, two under way at a time
    expect(result).toMatchObject({ updates: 4, globalStep: 12 });
    expect(result.metrics.train_steps_per_second).toBe(1);
    expect(result.metrics.train_samples_per_second).toBe(4);
    const over = trainerWith({ ...own, resumeFromCheckpoint: true });
    const { trainingLoss, updates } = await over.train();
    expect([trainingLoss, updates]).toEqual([NaN, 0]); // no update, no loss
    expect(over.state.logHistory.filter((entry) => "train_loss" in entry)).toEqual([]);
  });

  test.each([
    ["[]", /trainer_state.json: expected a JSON object/],
    ['{"global_step": "5"}', /trainer_state.json: global_step is not a whole number of at least 0: "5"/],
    ['{"global_step": 2.5}', /global_step is not a whole number/],
    ['{"epoch": null}', /epoch is not a number of at least 0: null/],
    ['{"log_history": {}}', /log_history is not a list of objects/],
    ['{"best_model_checkpoint": 3}', /best_model_checkpoint is not a folder or null: 3/],
    ['{"stateful_callbacks": {"A": 1}}', /stateful_callbacks is not an object of states/],
  ])("a state that is not one is refused: %s", async (content, message) => {
    await trainerWith({ outputDir: folder, maxSteps: 2 }).train();
    const checkpoint = join(folder, "checkpoint-2");
    await writeSealedFolder(checkpoint, async (aside) => {
      cpSync(checkpoint, aside, { recursive: true });
      rmSync(join(aside, "checksums.json"));
      writeFileSync(join(aside, "trainer_state.json"), content);
      await Promise.resolve();
    });
    await expect(trainerWith({ outputDir: folder, resumeFromCheckpoint: true }).train()).rejects.toThrow(message);
  });

  test("a checkpoint that was cut short is skipped with a warning", async () => {
    await trainerWith({ outputDir: folder, saveSteps: 4 }).train();
    truncateSync(join(folder, "checkpoint-12", "optimizer.safetensors"), 100);
    const warnings: string[] = [];
    const trainer = trainerWith(
      { outputDir: folder, saveSteps: 4 },
      { callbacks: [{ onWarning: (_a, _s, _c, { warning }) => void warnings.push(warning!) }] },
    );
    await trainer.train({ resumeFromCheckpoint: true });
    expect(warnings[0]).toMatch(/checkpoint-12 is passed over: optimizer.safetensors has 100 bytes instead of/);
    expect(await bytesOf(trainer.model)).toBe(await undisturbed());
  });

  test("refuses what would lose something", async () => {
    const trainer = trainerWith({ outputDir: folder, saveSteps: 6 });
    await expect(trainer.train({ resumeFromCheckpoint: true })).rejects.toThrow(/no whole checkpoint to resume from/);
    await trainer.train();
    await expect(trainerWith({ outputDir: folder }).train()).rejects.toThrow(
      /an earlier run has left checkpoint-6, checkpoint-12 here. Continue it \(resumeFromCheckpoint: true\)/,
    );
    await trainerWith({ outputDir: folder, overwriteOutputDir: true, maxSteps: 2 }).train();
    expect(checkpoints()).toEqual(["checkpoint-2"]);
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    await expect(trainerWith({ outputDir: file }).train()).rejects.toThrow(
      /can't be written to.*Choose another output folder/,
    );
    const other = trainerWith({ outputDir: join(folder, "shared") });
    const inUse: TrainerCallback = {
      onTrainBegin: async () =>
        void (await expect(other.train()).rejects.toThrow(/in use by another run: process \d+/)),
    };
    await trainerWith({ outputDir: join(folder, "shared"), maxSteps: 1 }, { callbacks: [inUse] }).train();
    mkdirSync(join(folder, "of-another"));
    await tinyModel().savePretrained(join(folder, "of-another"));
    await expect(other.train({ resumeFromCheckpoint: join(folder, "of-another") })).rejects.toThrow(
      /can't be resumed from: checksums.json is missing/,
    );
    writeFileSync(join(folder, "of-another", "optimizer.pt"), "");
    await expect(other.train({ resumeFromCheckpoint: join(folder, "of-another") })).rejects.toThrow(
      /Transformers' own checkpoint.*give the folder as the model/,
    );
  });

  test("a full disk does not end a run: it gives a warning, and the next checkpoint is saved", async () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const save = vi.spyOn(OutputFolder.prototype, "save").mockRejectedValueOnce(full);
    const warnings: string[] = [];
    const trainer = trainerWith(
      { outputDir: folder, saveSteps: 4 },
      { callbacks: [{ onWarning: (_a, _s, _c, { warning }) => void warnings.push(warning!) }] },
    );
    await trainer.train();
    save.mockRestore();
    expect(warnings).toEqual([expect.stringMatching(/checkpoint-4 couldn't be saved: ENOSPC.*The run continues/)]);
    expect(checkpoints().sort()).toEqual(["checkpoint-12", "checkpoint-8"]);
  });

  test("nor does an older checkpoint that can't be deleted", async () => {
    const busy = Object.assign(new Error("EPERM: operation not permitted, rmdir"), { code: "EPERM" });
    const rotate = vi.spyOn(OutputFolder.prototype, "rotate").mockRejectedValueOnce(busy);
    const warnings: string[] = [];
    const trainer = trainerWith(
      { outputDir: folder, saveSteps: 4, saveTotalLimit: 1 },
      { callbacks: [{ onWarning: (_a, _s, _c, { warning }) => void warnings.push(warning!) }] },
    );
    await trainer.train();
    rotate.mockRestore();
    expect(warnings).toEqual([expect.stringMatching(/older checkpoint couldn't be deleted: EPERM.*The run continues/)]);
    expect(checkpoints()).toEqual(["checkpoint-12"]);
  });
});

test("the evaluations of a run tokenize their texts once, and so does each of several runs", async () => {
  writeFileSync(join(folder, "file"), "");
  vi.stubEnv("GPUGRAD_TOKEN_CACHE", join(folder, "file", "tokens")); // can't be written: a warning each time
  const warnings: string[] = [];
  const trainer = trainerWith(
    { maxSteps: 4, evalStrategy: "steps", evalSteps: 2 },
    {
      tokenizer: { ...tokenizer, savePretrained: async (to) => writeFileSync(join(to, "tokenizer.json"), "{}") },
      callbacks: [{ onWarning: (_a, _s, _c, { warning }) => void warnings.push(warning!) }],
    },
  );
  await trainer.train();
  const once = expect.stringMatching(/tokens are kept in memory/) as unknown;
  expect(warnings).toEqual([once]);
  await trainer.train();
  expect(warnings).toEqual([once, once]);
  vi.unstubAllEnvs();
});

describe("a run survives", () => {
  test.each(["from a checkpoint", "from the start"])(
    "the loss of the device: it continues %s, to the same bytes",
    async (where) => {
      const warnings: string[] = [];
      let isLost = false;
      const loses: TrainerCallback = {
        onStepEnd: (_args, { globalStep }) => {
          if (globalStep !== 7 || isLost) return;
          isLost = true;
          device().gpu.destroy();
        },
        onWarning: (_a, _s, _c, { warning }) => void warnings.push(warning!),
      };
      const own = where === "from the start" ? {} : { outputDir: folder, saveSteps: 4 };
      const trainer = trainerWith(own, { callbacks: [loses] });
      expect(await trainer.train()).toMatchObject({ globalStep: 12, completed: true });
      expect(warnings).toEqual([
        expect.stringMatching(
          where === "from the start" ? /continues from the start/ : /continues from .*checkpoint-4/,
        ),
      ]);
      expect(await bytesOf(trainer.model)).toBe(await undisturbed());
    },
  );

  test("the loss of a device while idle: the next run continues from the checkpoint that it was asked for", async () => {
    const steps: number[] = [];
    const trainer = trainerWith(
      { outputDir: folder, saveSteps: 4 },
      {
        callbacks: [
          { onStepResult: (_a, _s, _c, { result }) => void steps.push(result!.step), onWarning: () => undefined },
        ],
      },
    );
    await trainer.train();
    const whole = await bytesOf(trainer.model);
    device().gpu.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    steps.length = 0;
    await trainer.train({ resumeFromCheckpoint: join(folder, "checkpoint-4") });
    expect(steps).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(await bytesOf(trainer.model)).toBe(whole);
  });

  test("a clock that jumps, forwards and back: no time is negative", async () => {
    let now = Date.now();
    const clock = vi.spyOn(Date, "now").mockImplementation(() => (now += now % 2 === 0 ? -86_400_001 : 3_600_000));
    const seen: number[] = [];
    const trainer = trainerWith(
      { outputDir: folder, saveSteps: 5 },
      {
        callbacks: [
          { onStepResult: (_a, _s, _c, { result }) => void seen.push(result!.tokensPerSecond, result!.secondsLeft) },
        ],
      },
    );
    const { metrics } = await trainer.train();
    clock.mockRestore();
    expect(Math.min(...seen, ...Object.values(metrics))).toBeGreaterThanOrEqual(0);
    expect(checkpoints()).toHaveLength(3);
  });
});

describe("callbacks inside an update", () => {
  test.each([false, true])("see its batches, its gradients and the step (fp16: %s)", async (fp16) => {
    const events: string[] = [];
    const reads: Promise<number>[] = [];
    const norms: number[] = [];
    const gradientNorm = async (model: PreTrainedModel): Promise<number> => {
      const gradients = model.parameters().flatMap(({ grad }) => (grad ? [grad.data()] : []));
      return Math.hypot(...(await Promise.all(gradients)).map((values) => Math.hypot(...values)));
    };
    const inner: TrainerCallback = {
      onStepBegin: () => void events.push("begin"),
      onSubstepEnd: () => void events.push("substep"),
      onPreOptimizerStep(_args, _state, _control, { model }) {
        events.push("gradients");
        reads.push(gradientNorm(model));
      },
      onOptimizerStep(_args, _state, _control, { model }) {
        events.push(`step, ${model.parameters().some(({ grad }) => grad) ? "gradients there" : "no gradients"}`);
      },
      onStepEnd: () => void events.push("end"),
      onStepResult: (_args, _state, _control, { result }) =>
        void norms.push(result!.gradNorm * (result!.lossScale ?? 1)),
    };
    await trainerWith({ maxSteps: 4, gradientAccumulationSteps: 2, fp16 }, { callbacks: [inner] }).train();
    const update = ["begin", "substep", "gradients", "step, gradients there", "end"];
    expect(events).toEqual([update, update, update, update].flat());
    for (const [i, norm] of (await Promise.all(reads)).entries()) expect(norm / norms[i]!).toBeCloseTo(1, 4);
  });

  test("can't be asynchronous", async () => {
    const inner: TrainerCallback = { onOptimizerStep: () => Promise.resolve() as unknown as void };
    await expect(trainerWith({ maxSteps: 1 }, { callbacks: [inner] }).train()).rejects.toThrow(
      "Trainer: onOptimizerStep is asynchronous, but an update can't wait for it. Use onStepEnd, which may be.",
    );
  });
});

describe("a loss that is NaN", () => {
  /** The third update in a row of four meets a weight that is infinite by then. */
  const breaks = (model: BertForSequenceClassification, at: number): TrainerCallback => ({
    onStepBegin: (_args, { globalStep }) => {
      if (globalStep === at) model.classifier.bias.write([Infinity, 0]);
    },
  });

  test("stops, and names the rows and the first bad op", async () => {
    const model = tinyModel();
    const before = undisposed();
    const trainer = trainerWith(
      { trainSamplingStrategy: "sequential", padding: "max_length", maxLength: 8 },
      { model, callbacks: [breaks(model, 5)] },
    );
    const error = await trainer.train().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error).toMatchObject({ step: 6, rows: [20, 21, 22, 23] });
    expect((error as Error).message).toMatch(
      /^Trainer: update 6 has loss \S+ and gradient norm \S+; it was left out, and training stopped. .*classifier.bias.*Its rows: letters, row 20; /,
    );
    expect(undisposed()).toBe(before);
  });

  test.each<[string, Partial<TrainingArguments>]>([
    ["steps called", { recordSteps: false }],
    ["steps recorded", { recordSteps: true }],
    ["without clipping", { maxGradNorm: 0 }],
    ["accumulated", { gradientAccumulationSteps: 2, perDeviceTrainBatchSize: 2 }],
    ["in mixed precision", { fp16: true }],
  ])("leaves the weights as they were before it: %s", async (_, own) => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ text: "abcd", label: i === 25 ? 3e38 : i / 40 }));
    const options = (): Partial<TrainerOptions> => ({
      ...{ model: tinyModel({ numLabels: 1 }), trainDataset: Dataset.fromRows(rows) },
    });
    const args = { trainSamplingStrategy: "sequential", lrSchedulerType: "constant", ...own } as const;
    const before = trainerWith({ ...args, maxSteps: 6 }, options());
    await before.train();
    const trainer = trainerWith({ ...args, maxSteps: 10 }, options());
    const error = await trainer.train().catch((error: unknown) => error);
    expect(error).toMatchObject({ name: "NonFiniteError", step: 7 });
    expect(trainer.state.globalStep).toBe(6);
    expect(await bytesOf(trainer.model)).toBe(await bytesOf(before.model));
  });

  test("so does a loss that is NaN though its gradients are finite", async () => {
    let calls = 0;
    const nan = fromArray([NaN], []);
    const own = { lrSchedulerType: "constant", maxSteps: 4 } as const;
    const before = trainerWith(own, { computeLoss: ({ logits }, labels) => crossEntropy(logits, labels) });
    await before.train();
    const trainer = trainerWith(
      { ...own, maxSteps: 9 },
      {
        computeLoss: ({ logits }, labels) => {
          const loss = crossEntropy(logits, labels);
          return ++calls === 5 ? add(loss, nan) : loss;
        },
      },
    );
    await expect(trainer.train()).rejects.toThrow(/update 5 has loss NaN/);
    expect(await bytesOf(trainer.model)).toBe(await bytesOf(before.model));
  });

  test("is left out, if that is asked for, and the run continues", async () => {
    const rows = Array.from({ length: 16 }, (_, i) => ({ text: "abcd", label: i === 6 ? 1e30 : i / 16 }));
    const losses: number[] = [];
    const trainer = trainerWith(
      { maxSteps: 4, onNonFinite: "skip", trainSamplingStrategy: "sequential", loggingSteps: 1 },
      {
        model: tinyModel({ numLabels: 1 }),
        trainDataset: Dataset.fromRows(rows),
        callbacks: [{ onStepResult: (_a, _s, _c, { result }) => void losses.push(result!.loss) }],
      },
    );
    await trainer.train();
    expect(losses.map(Number.isFinite)).toEqual([true, false, true, true]);
    expect(trainer.state.logHistory.slice(0, 4).every(({ loss }) => Number.isFinite(loss))).toBe(true); // logging_nan_inf_filter
    expect(
      (await Promise.all(trainer.model.parameters().map((p) => p.data()))).every((v) =>
        Array.from(v).every(Number.isFinite),
      ),
    ).toBe(true);
  });
});

describe("what an earlier call has left", () => {
  test("gradients on parameters are cleared before the first update", async () => {
    const trainer = trainerWith({});
    for (const parameter of trainer.model.parameters()) parameter.grad = keep(ones(parameter.shape));
    await trainer.train();
    expect(await bytesOf(trainer.model)).toBe(await undisturbed());
  });

  test("what callbacks have counted: a run from the start begins at nothing", async () => {
    const scores = [3, 2, 2, 1, 1, 3, 4, 5, 6];
    const trainer = trainerWith(
      { evalStrategy: "steps", evalSteps: 1, metricForBestModel: "score", maxSteps: 3 },
      {
        computeMetrics: () => ({ score: scores.shift()! }),
        callbacks: [new EarlyStoppingCallback({ earlyStoppingPatience: 3 })],
      },
    );
    expect(await trainer.train()).toMatchObject({ globalStep: 3 });
    expect(await trainer.train()).toMatchObject({ globalStep: 3, completed: true });
  });
});

test("the row without a label is named, wherever it is in its batch", async () => {
  const rows = Array.from({ length: 8 }, (_, i) => ({ text: "abcd", ...(i !== 3 && { label: i % 2 }) }));
  const trainDataset = Dataset.fromRows(rows, { name: "mixed" });
  await expect(trainerWith({ trainSamplingStrategy: "sequential" }, { trainDataset }).train()).rejects.toThrow(
    /mixed, row 3 has no label to train on/,
  );
});

test("what a handler of warnings throws comes out of the call under way", async () => {
  const refuses: TrainerCallback = {
    onWarning: () => {
      throw new Error("no warnings here");
    },
  };
  const noted = trainerWith({ maxSteps: 2, dataloaderNumWorkers: 1 }, { callbacks: [refuses] }); // this tokenizer can't go to a thread
  await expect(noted.train()).rejects.toThrow("no warnings here");
});

describe("arguments do what they say", () => {
  test("evalDelay: the first evaluation is at that update or epoch, not one later", async () => {
    const evaluationsOf = async (own: Partial<TrainingArguments>): Promise<(number | undefined)[]> => {
      const trainer = trainerWith({ maxSteps: 8, perDeviceTrainBatchSize: 30, ...own });
      await trainer.train();
      return trainer.state.logHistory.filter((entry) => "eval_loss" in entry).map(({ step }) => step);
    };
    expect(await evaluationsOf({ evalStrategy: "steps", evalSteps: 2, evalDelay: 4 })).toEqual([4, 6, 8]);
    expect(await evaluationsOf({ evalStrategy: "steps", evalSteps: 2, evalDelay: 5 })).toEqual([6, 8]);
    expect(await evaluationsOf({ evalStrategy: "epoch", evalDelay: 2 })).toEqual([4, 6, 8]);
    expect(await evaluationsOf({ evalStrategy: "epoch", evalDelay: 2.5 })).toEqual([6, 8]);
  });

  test("warmupSteps below 1 are a share of all updates, rounded up", async () => {
    const rates: number[] = [];
    await trainerWith(
      { maxSteps: 10, warmupSteps: 0.25, lrSchedulerType: "constant_with_warmup", learningRate: 3e-3 },
      { callbacks: [{ onStepResult: (_a, _s, _c, { result }) => void rates.push(result!.learningRate) }] },
    ).train();
    expect(rates.map((rate) => Math.round(1e6 * rate))).toEqual([
      0, 1000, 2000, 3000, 3000, 3000, 3000, 3000, 3000, 3000,
    ]); // of 3
  });

  test("the loss of an evaluation is the mean over rows, not over batches", async () => {
    const evaluate = async (perDeviceEvalBatchSize: number, own: Partial<TrainingArguments> = {}): Promise<number> =>
      (await trainerWith({ perDeviceEvalBatchSize, ...own }).evaluate({ dataset: dataset.take(11) }))["eval_loss"]!;
    const whole = await evaluate(11);
    expect(await evaluate(4)).toBeCloseTo(whole, 6); // 4, 4 and 3 rows
    expect(await evaluate(10)).toBeCloseTo(whole, 6); // 10 and 1
    const weighted = { classWeights: [5, 0.1] };
    expect(await evaluate(10, weighted)).toBeCloseTo(await evaluate(11, weighted), 6);
  });

  test("weight decay leaves biases and layer norms alone, unless noDecayGroups is false", async () => {
    const own = { weightDecay: 0.5 };
    const change = async (name: string, more: Partial<TrainingArguments>): Promise<number> =>
      Math.abs((await moved(name, { ...own, ...more })) - (await moved(name, {})));
    for (const name of ["bert.embeddings.LayerNorm.weight", "classifier.bias"]) expect(await change(name, {})).toBe(0);
    expect(await change("bert.embeddings.LayerNorm.weight", { noDecayGroups: false })).toBeGreaterThan(1e-3);
    expect(await change("classifier.weight", {})).toBeGreaterThan(1e-4);
  });

  test("evalOnStart evaluates before the first update; saveStrategy best saves what is better, and nothing else", async () => {
    const scores = [0.2, 0.5, 0.9, 0.1];
    const trainer = trainerWith(
      {
        ...{ outputDir: folder, evalOnStart: true, evalStrategy: "steps", evalSteps: 4 },
        ...{ saveStrategy: "best", metricForBestModel: "score" },
      },
      { computeMetrics: () => ({ score: scores.shift()! }) },
    );
    await trainer.train();
    const evaluations = trainer.state.logHistory.filter((entry) => "eval_score" in entry);
    expect(evaluations.map(({ step, eval_score: score }) => [step, score])).toEqual([
      ...[[0, 0.2], [4, 0.5], [8, 0.9], [12, 0.1]], // prettier-ignore
    ]);
    expect(checkpoints().sort()).toEqual(["checkpoint-4", "checkpoint-8"]);
  });

  test("reduce_lr_on_plateau halves the rate at evaluations that are no better", async () => {
    const rates: number[] = [];
    const trainer = trainerWith(
      {
        ...{ evalStrategy: "steps", evalSteps: 3, metricForBestModel: "score", greaterIsBetter: true },
        ...{ lrSchedulerType: "reduce_lr_on_plateau", lrSchedulerKwargs: { factor: 0.5, patience: 0 } },
      },
      {
        computeMetrics: () => ({ score: 0.5 }),
        callbacks: [{ onStepResult: (_args, _state, _control, { result }) => void rates.push(result!.learningRate) }],
      },
    );
    await trainer.train();
    expect(rates).toEqual([2e-3, 2e-3, 2e-3, 2e-3, 2e-3, 2e-3, 1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4]);
  });

  /** How far one step of SGD moves the parameters of a name. */
  async function moved(name: string, own: Partial<TrainingArguments>): Promise<number> {
    const model = tinyModel({ dropout: 0 });
    const parameter = new Map(model.namedParameters()).get(name)!;
    const before = await parameter.data();
    const sgd = { optim: "sgd", learningRate: 0.1, maxGradNorm: 0, lrSchedulerType: "constant" } as const;
    await trainerWith({ ...sgd, maxSteps: 1, trainSamplingStrategy: "sequential", ...own }, { model }).train();
    return Math.hypot(...Array.from(await parameter.data(), (value, i) => value - before[i]!));
  }

  test("layerwiseLrDecay slows the layers below, freeze leaves parameters alone", async () => {
    const embeddings = "bert.embeddings.position_embeddings.weight";
    const decayed = { layerwiseLrDecay: 0.5 };
    expect((await moved(embeddings, decayed)) / (await moved(embeddings, {}))).toBeCloseTo(0.5 ** 3, 4); // below two layers
    expect((await moved("classifier.weight", decayed)) / (await moved("classifier.weight", {}))).toBeCloseTo(1, 6);
    expect(await moved(embeddings, { freeze: ["bert.embeddings"] })).toBe(0);
    expect(await moved("classifier.weight", { freeze: ["bert.embeddings"] })).toBeGreaterThan(0);
  });

  test("evaluations share their tokens, in a run and with the next one; the memory of updates is given back", async () => {
    vi.stubEnv("GPUGRAD_CACHE", folder);
    const textOf = (word: string) => (_: unknown, i: number) => ({
      text: `${word} `.repeat(1 + (i % 7)),
      label: i % 2,
    });
    const [trainDataset, evalDataset] = ["train", "held"].map((word) =>
      Dataset.fromRows(Array.from({ length: 20 }, textOf(word))),
    ) as [Dataset, Dataset];
    const words = trainWordPiece(["train", "held"], { vocabSize: 30, maxLength: 16 });
    let tokenized = 0;
    const counting: BatchTokenizer = {
      ...{ modelMaxLength: words.modelMaxLength, padTokenId: words.padTokenId, paddingSide: words.paddingSide },
      savePretrained: (path) => words.savePretrained(path),
      encodeBatch: (texts, options) => {
        tokenized += texts.filter((text) => text.includes("held")).length;
        return words.encodeBatch(texts, options);
      },
    };
    for (const [most, padding] of [
      [20, "longest"],
      [0, "max_length"],
    ] as const) {
      const losses: number[] = [];
      const trainer = trainerWith(
        { evalStrategy: "steps", evalSteps: 4, padding, maxLength: 8 },
        {
          ...{ tokenizer: counting, trainDataset, evalDataset },
          callbacks: [
            { onEvaluate: (_args, _state, _control, { metrics }) => void losses.push(metrics!["eval_loss"]!) },
          ],
        },
      );
      tokenized = 0;
      const trimmed = vi.spyOn(device(), "trim");
      await trainer.train();
      expect([losses.length, tokenized]).toEqual([3, most]);
      expect(trimmed).toHaveBeenCalledOnce();
      await trainer.evaluate(); // by itself: texts, as they come
      expect([losses.length, tokenized]).toEqual([4, most + 20]);
      expect(losses[3]).toBe(losses[2]);
      trimmed.mockRestore();
    }
    vi.unstubAllEnvs();
  });

  test("group_by_length with tokens made by another thread: rows of like length come together", async () => {
    vi.stubEnv("GPUGRAD_CACHE", folder);
    const texts = Array.from({ length: 64 }, (_, i) => "word ".repeat(1 + ((i * 7) % 13)));
    const words = trainWordPiece(texts, { vocabSize: 30, maxLength: 16 });
    const spreadOf = async (trainSamplingStrategy: "random" | "group_by_length"): Promise<number> => {
      let spread = 0;
      const trainer = trainerWith(
        { trainSamplingStrategy, dataloaderNumWorkers: 1, maxSteps: -1, numTrainEpochs: 1 },
        {
          tokenizer: words,
          trainDataset: Dataset.fromRows(texts.map((text, i) => ({ text, label: i % 2 }))),
          callbacks: [
            {
              onStepResult: (_args, _state, _control, { result }) =>
                void (spread += Math.max(...result!.lengths) - Math.min(...result!.lengths)),
            },
          ],
        },
      );
      expect(await trainer.train()).toMatchObject({ globalStep: 16, completed: true });
      return spread;
    };
    expect(await spreadOf("group_by_length")).toBeLessThan(0.5 * (await spreadOf("random")));
    vi.unstubAllEnvs();
  });
});
