import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SafetensorsFile, openFile } from "@gpugrad/bert";
import { destroy, init, manualSeed, randn } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import type { TrainerCallback } from "./callbacks.ts";
import { Trainer } from "./trainer.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Dropout is on, and steps are recorded: 12 updates of four rows. */
const trainerOf = (options: Partial<TrainerOptions> = {}, own: Partial<TrainingArguments> = {}): Trainer =>
  new Trainer({
    ...{ model: tinyModel(), tokenizer, trainDataset: dataset, evalDataset: dataset.take(24), ...options },
    args: { perDeviceTrainBatchSize: 4, maxSteps: 12, learningRate: 2e-3, ...own },
  });

const weightsOf = async ({ model }: Trainer): Promise<string> =>
  Buffer.concat(await Promise.all(model.parameters().map((p) => p.bytes()))).toString("base64");

async function trained(callback?: (trainer: () => Trainer) => TrainerCallback): Promise<string> {
  const trainer: Trainer = trainerOf(callback ? { callbacks: [callback(() => trainer)] } : {});
  await trainer.train();
  return weightsOf(trainer);
}

describe("training gives the same weights beside", () => {
  test.each<[string, (trainer: () => Trainer) => TrainerCallback]>([
    [
      "an evaluation that onStepResult awaits",
      (t) => ({
        onStepResult: async (_a, _s, _c, { result }) => void (result!.step % 4 === 0 && (await t().evaluate())),
      }),
    ],
    [
      "evaluations that onStepEnd doesn't await",
      (t) => ({ onStepEnd: (_a, { globalStep }) => void (globalStep % 3 === 0 && t().evaluate()) }),
    ],
    [
      "two predictions at once",
      (t) => ({
        onStepEnd: async (_a, { globalStep }) => {
          if (globalStep === 3) await Promise.all([t().predict(dataset), t().predict(dataset.take(9))]);
        },
      }),
    ],
    ["measureStep()", (t) => ({ onStepEnd: (_a, { globalStep }) => void (globalStep === 5 && t().measureStep()) })],
    ["eval() of the model", (t) => ({ onStepBegin: () => void t().model.eval() })],
    ["random numbers and seeds of a callback", () => ({ onStepEnd: () => void (randn([3]), manualSeed(5)) })],
  ])("%s", async (_, callback) => {
    expect(await trained(callback)).toEqual(await trained());
  });

  // Its seed is another one; and after update 4 it allocates its optimizer's memory where updates of this one are recorded.
  test.each([0, 4])("another model's training, begun after update %i", async (step) => {
    const otherOf = (): Trainer => trainerOf({ model: tinyModel({ dropout: 0.3 }) }, { seed: 7 });
    const other = otherOf();
    let training = step === 0 ? other.train() : undefined;
    const begins: TrainerCallback = {
      onStepEnd: (_a, { globalStep }) => void (globalStep === step && (training = other.train())),
    };
    expect(await trained(() => begins)).toEqual(await trained());
    await training;
    const alone = otherOf();
    await alone.train();
    expect(await weightsOf(other)).toEqual(await weightsOf(alone));
  });
});

describe("work that nobody awaits sees the weights of one moment:", () => {
  const lossAfter = async (maxSteps: number): Promise<number> => {
    const trainer = trainerOf({}, { maxSteps, lrSchedulerType: "constant" });
    await trainer.train();
    return (await trainer.evaluate())["eval_loss"]!;
  };

  test.each([3, 12])("an evaluation begun after update %i, without dropout", async (step) => {
    let evaluation: Promise<Record<string, number>> | undefined;
    const begins: TrainerCallback = {
      onStepEnd: (_a, { globalStep }) => void (globalStep === step && (evaluation = trainer.evaluate())),
    };
    const trainer: Trainer = trainerOf({ callbacks: [begins] }, { lrSchedulerType: "constant" });
    await trainer.train();
    expect((await evaluation!)["eval_loss"]).toBe(await lossAfter(step));
  });

  test("a model that is saved", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-overlap-"));
    let saving: Promise<void> | undefined;
    const saves: TrainerCallback = {
      onStepEnd: (_a, { globalStep }) => void (globalStep === 3 && (saving = trainer.saveModel(folder))),
    };
    const trainer: Trainer = trainerOf({ callbacks: [saves] }, { lrSchedulerType: "constant" });
    await trainer.train();
    await saving;
    const three = trainerOf({}, { maxSteps: 3, lrSchedulerType: "constant" });
    await three.train();
    const file = await SafetensorsFile.open(await openFile(join(folder, "model.safetensors")));
    for (const [name, parameter] of three.model.namedParameters())
      expect((await file.read(name)).bytes, name).toEqual(await parameter.bytes());
    await file.close();
    rmSync(folder, { recursive: true });
  });
});

describe("two trainings of one model are refused, the first is not disturbed:", () => {
  test.each(["of one Trainer", "of two"])("%s", async (which) => {
    const first = trainerOf();
    const second = which === "of two" ? trainerOf({ model: first.model }) : first;
    const [one, two] = await Promise.allSettled([first.train(), second.train()]);
    expect(one).toMatchObject({ status: "fulfilled", value: { globalStep: 12, completed: true } });
    expect(String((two as PromiseRejectedResult).reason)).toMatch(
      /^GpugradError: Trainer: train\(\) was called while the same model is being trained/,
    );
    expect(await weightsOf(first)).toEqual(await trained());
    await expect(second.train()).resolves.toMatchObject({ globalStep: 12 }); // one after the other is fine
  });
});
