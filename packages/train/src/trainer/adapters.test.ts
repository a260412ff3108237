import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AutoModelForSequenceClassification,
  getPeftModel,
  PeftModel,
  type BertForSequenceClassification,
  type LoraOptions,
} from "@gpugrad/bert";
import { destroy, device, init, manualSeed, scope, traceDispatches } from "@gpugrad/tensor";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { modelLike, stepMemory } from "../diagnostics/memory-advice.ts";
import { createOptimizer } from "../optim/create-optimizer.ts";
import type { TrainerCallback } from "./callbacks.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import { Trainer } from "./trainer.ts";

beforeAll(async () => {
  await init();
  const base = tinyModel();
  await base.savePretrained(baseFolder);
  base.dispose();
});
const baseFolder = mkdtempSync(join(tmpdir(), "gpugrad-base-"));
afterAll(async () => {
  rmSync(baseFolder, { recursive: true });
  await destroy();
});

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-adapter-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LORA: LoraOptions = { r: 2, lora_alpha: 4, lora_dropout: 0.1, task_type: "SEQ_CLS" };

/** The model of the folder with a fresh adapter, the same each time. */
async function adapted(options: LoraOptions = LORA): Promise<BertForSequenceClassification> {
  const model = await AutoModelForSequenceClassification.fromPretrained(baseFolder);
  manualSeed(3);
  return getPeftModel(model, options).model as unknown as BertForSequenceClassification;
}

/** 12 updates of four rows, unless `own` says otherwise. */
const trainerOf = (
  model: BertForSequenceClassification,
  own: Partial<TrainingArguments> = {},
  options: Partial<TrainerOptions> = {},
): Trainer =>
  new Trainer({
    ...{ model, tokenizer, trainDataset: dataset, evalDataset: dataset, ...options },
    args: { perDeviceTrainBatchSize: 4, maxSteps: 12, learningRate: 2e-2, outputDir: folder, saveSteps: 4, ...own },
  });

const filesOf = (...path: string[]): string[] => readdirSync(join(folder, ...path)).sort();
const adapterBytes = (...path: string[]): string =>
  readFileSync(join(folder, ...path, "adapter_model.safetensors")).toString("base64");
const valuesOf = async (model: BertForSequenceClassification): Promise<Map<string, Float32Array>> =>
  new Map(
    await Promise.all([...model.namedParameters()].map(async ([name, p]) => [name, (await p.data()) as Float32Array] as const)), // prettier-ignore
  );

test("checkpoints and the final folder have the adapter alone, which opens with the model it was trained on", async () => {
  const model = await adapted();
  const before = await valuesOf(model);
  const trainer = trainerOf(model, { reportTo: ["html"] });
  await trainer.train();
  await trainer.saveModel();
  const inWords = "LoRA of rank 2, alpha 4, dropout 0.1, on query, value";
  expect(readFileSync(join(folder, "README.md"), "utf8")).toContain(`is an adapter (${inWords}), trained on`);
  expect(readFileSync(join(folder, "README.md"), "utf8")).toContain("library_name: peft");
  expect(readFileSync(join(folder, "report.html"), "utf8")).toContain(`290 of them trained: ${inWords}`);
  for (const place of [[], ["checkpoint-12"]]) {
    expect(filesOf(...place)).toEqual(expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "config.json"])); // prettier-ignore
    expect(filesOf(...place)).not.toContain("model.safetensors");
  }
  const trained = PeftModel.of(model)!.trainable();
  for (const [name, values] of await valuesOf(model))
    if (!trained.has(name)) expect(values, name).toEqual(before.get(name));
    else if (!name.includes("lora_A")) expect(values, name).not.toEqual(before.get(name));

  const { predictions: wanted, metrics } = await trainer.predict(dataset);
  const reopened = await AutoModelForSequenceClassification.fromPretrained(folder);
  expect(PeftModel.of(reopened)).toBeUndefined();
  expect(reopened.loadPlan!.missing).toEqual([]);
  const again = await new Trainer({ model: reopened, tokenizer }).predict(dataset);
  expect(Array.from(again.predictions)).toEqual(Array.from(wanted, (v) => expect.closeTo(v, 4) as number));
  expect(again.metrics["test_accuracy"]).toBe(metrics["test_accuracy"]);
  expect(metrics["test_accuracy"]).toBeGreaterThan(0.9); // it learned
});

test("a run that is resumed ends with the bytes of one that nothing disturbed", async () => {
  const own = { loadBestModelAtEnd: true, evalStrategy: "steps", evalSteps: 4, metricForBestModel: "loss" } as const;
  const whole = trainerOf(await adapted(), own);
  await whole.train();
  await whole.saveModel();
  const wanted = adapterBytes();
  const best = whole.state.bestModelCheckpoint!;
  expect(adapterBytes(best.slice(folder.length + 1))).toBe(wanted);
  expect(adapterBytes("checkpoint-4")).not.toBe(wanted);
  for (const name of ["checkpoint-8", "checkpoint-12"]) rmSync(join(folder, name), { recursive: true });
  manualSeed(99);
  const again = trainerOf(await adapted(), { ...own, resumeFromCheckpoint: true });
  await again.train();
  await again.saveModel();
  expect(again.state.globalStep).toBe(12);
  expect(adapterBytes()).toBe(wanted);
});

test("the optimizer keeps state of the adapter alone", async () => {
  const model = await adapted();
  await trainerOf(model, { saveSteps: 12 }).train();
  const text = readFileSync(join(folder, "checkpoint-12", "optimizer.json"), "utf8");
  const { parameters } = JSON.parse(text) as { parameters: { name: string }[] };
  const trained = [...PeftModel.of(model)!.trainable()];
  expect(trained).toHaveLength(2 * 2 * 2 + 2); // A and B of two layers' queries and values; the classifier
  expect(parameters.map(({ name }) => name).sort()).toEqual(trained.sort());
});

test("no gradient of a frozen weight is computed", async () => {
  /** Matrix products, and sums for the gradients of biases, norms and embeddings, of an update. */
  const work = async (model: BertForSequenceClassification): Promise<{ products: number; sums: number }> => {
    const dispatches = await traceDispatches(() =>
      scope(() =>
        model
          .forward({
            input_ids: [
              [1, 2],
              [3, 4],
            ],
            labels: [1, 0],
          })
          .loss!.backward(),
      ),
    );
    const count = (pattern: RegExp): number => dispatches.filter(({ kernel }) => pattern.test(kernel)).length;
    return { products: count(/matmul-/), sums: count(/reduce|norm-weight|add-rows|position-backward/) };
  };
  const full = await work(tinyModel());
  expect(full.products).toBe(3 * 14); // y, dx and dW of each linear layer
  expect(full.sums).toBeGreaterThan(14);
  const queries = await work(await adapted({ r: 2, target_modules: ["query"], modules_to_save: ["pooler.dense"] }));
  const forward = 14 + 2 * 2; // with A and B of two layers
  // Of frozen layers dx alone, and none where nothing below them is trained: classifier; the second layer's six, the first one's last three.
  const frozen = 1 + 6 + 3;
  const trained = 2 + (4 + 3); // the pooler; dx and dW of A and B, without A's dx in the first layer
  expect(queries).toEqual({ products: forward + frozen + trained, sums: 1 }); // the pooler's bias
});

describe("what else depends on the weights", () => {
  test("a lost device: base and adapter are put on the new one", async () => {
    const run = async (lose: boolean): Promise<string> => {
      rmSync(folder, { recursive: true });
      let lost = false;
      const onStepEnd: TrainerCallback["onStepEnd"] = (_args, { globalStep }) => {
        if (!lose || lost || globalStep !== 6) return;
        lost = true;
        device().gpu.destroy();
      };
      const trainer = trainerOf(await adapted(), {}, { callbacks: [{ onStepEnd }] });
      await trainer.train();
      await trainer.saveModel();
      const { predictions } = await trainer.predict(dataset);
      return [adapterBytes(), ...predictions].join();
    };
    expect(await run(true)).toBe(await run(false));
  });

  test("the memory of an update is that of a model with such an adapter", async () => {
    const model = await adapted();
    const common = { config: model.config, batchSize: 2, length: 8 };
    const args = trainerOf(model).args;
    const lora = stepMemory({ ...common, modelFor: modelLike(model), optimizerFor: (twin) => createOptimizer(twin, args) }); // prettier-ignore
    const full = stepMemory(common);
    const trained = 4 * [...PeftModel.of(model)!.trainable()].reduce((sum, name) => sum + new Map(model.namedParameters()).get(name)!.size, 0); // prettier-ignore
    expect(lora.parts.optimizerState).toBeGreaterThanOrEqual(2 * trained);
    expect(lora.parts.optimizerState).toBeLessThan(full.parts.optimizerState / 4);
    expect(lora.parts.gradients).toBeLessThan(full.parts.gradients / 4);
  });

  test("gradient checkpointing gives the same adapter", async () => {
    const run = async (gradientCheckpointing: boolean): Promise<string> => {
      const trainer = trainerOf(await adapted(), { gradientCheckpointing, overwriteOutputDir: true });
      await trainer.train();
      await trainer.saveModel();
      return adapterBytes();
    };
    expect(await run(true)).toBe(await run(false));
  });
});
