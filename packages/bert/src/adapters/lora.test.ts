import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad } from "@gpugrad/autograd";
import { localFolder, openFile, SafetensorsFile } from "@gpugrad/nn";
import { destroy, init, manualSeed, scope, square, sum, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSums, valuesOf, type Sums } from "../../test/tiny-family.ts";
import { architectures, AutoModelForSequenceClassification } from "../models/auto.ts";
import { BertConfig } from "../models/bert/bert-config.ts";
import { BertForSequenceClassification } from "../models/bert/bert-heads.ts";
import type { Labels } from "../models/family.ts";
import type { ModelInputs } from "../models/inputs.ts";
import { PreTrainedModel } from "../models/pretrained.ts";
import { LoraConfig, type LoraOptions } from "./lora-config.ts";
import { getPeftModel, PeftModel } from "./peft-model.ts";

// Made by PEFT in float64: see make_lora.py.
interface Case {
  options: LoraOptions;
  config: object;
  inputs: ModelInputs & Labels;
  keys: string[];
  logits: number[];
  loss: number;
  grads: Record<string, Sums>;
  merged: Record<string, Sums>;
}
const fixtures = new URL("../../test/fixtures/", import.meta.url);
const cases = JSON.parse(readFileSync(new URL("lora.json", fixtures), "utf8")) as Case[];
const fileKey = (key: string): string => `base_model.model.${key.replace(/(\.lora_\w+)\.default(?=\.|$)/, "$1")}`;

function baseModel({ config }: Pick<Case, "config">): BertForSequenceClassification {
  const model = BertForSequenceClassification.fromConfig(new BertConfig(config));
  for (const [name, parameter] of model.namedParameters()) parameter.write(valuesOf(name, parameter.size));
  return model;
}

/** A model with the adapter of a case, whose values follow from their keys in its file. */
function adapted(golden: Case): PeftModel<BertForSequenceClassification> {
  const peft = getPeftModel(baseModel(golden), golden.options);
  for (const [key, parameter] of peft.model.namedParameters()) {
    if (!parameter.requiresGrad) continue;
    const offset = Number(key.includes("magnitude"));
    parameter.write(valuesOf(fileKey(key), parameter.size).map((v) => v + offset));
  }
  return peft;
}
const logitsOf = async ({ model }: PeftModel<BertForSequenceClassification>, { inputs }: Case) =>
  Array.from(await scope(() => noGrad(() => model.forward(inputs)).logits.data()));
const close = (got: readonly number[], want: readonly number[]) =>
  expect(got.map((v, i) => Math.abs(v - want[i]!) <= 1e-5 + 1e-4 * Math.abs(want[i]!))).toEqual(want.map(() => true));

beforeAll(async () => void (await init()));
afterAll(destroy);

describe.each(cases.map((c) => [JSON.stringify(c.options), c] as const))("%s", (_, golden) => {
  test("computes, trains and merges as PEFT does", async () => {
    const before = undisposed();
    const peft = adapted(golden);
    const { model } = peft;
    const trained = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
    expect(trained.map(([key]) => fileKey(key)).sort()).toEqual(golden.keys);
    close(await logitsOf(peft, golden), golden.logits);
    scope(() => model.forward(golden.inputs).loss!.backward());
    for (const [key, { grad }] of model.namedParameters()) {
      const want = golden.grads[fileKey(key)];
      if (want) await expectSums(`gradient of ${key}`, grad!, want);
      else expect(grad, key).toBeNull();
    }
    model.zeroGrad();
    peft.mergeAndUnload();
    close(await logitsOf(peft, golden), golden.logits);
    for (const [key, parameter] of model.namedParameters()) await expectSums(key, parameter, golden.merged[key]);
    model.dispose();
    expect(undisposed()).toBe(before);
  });

  test("is saved and opened, and taken out to the byte", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-"));
    const peft = adapted(golden);
    await peft.savePretrained(folder);
    const file = await SafetensorsFile.open(await openFile(join(folder, "adapter_model.safetensors")));
    expect([...file.keys()].sort()).toEqual(golden.keys);
    await file.close();
    const want = await logitsOf(peft, golden);
    peft.dispose();

    const again = await PeftModel.fromPretrained(baseModel(golden), (await localFolder(folder))!);
    expect(await logitsOf(again, golden)).toEqual(want);
    expect(again.model.parameters().some(({ requiresGrad }) => requiresGrad)).toBe(false);
    again.mergeAdapter();
    close(await logitsOf(again, golden), want);
    again.unmergeAdapter();
    expect(await logitsOf(again, golden)).toEqual(want);
    again.setAdapter([]);
    const plain = baseModel(golden);
    const bare = new PeftModel(plain);
    // Trained biases stay as they are in PEFT, too; here what an adapter trains whole goes with it.
    expect(await logitsOf(again, golden)).toEqual(await logitsOf(bare, golden));
    again.dispose();
    bare.dispose();
    rmSync(folder, { recursive: true });
  });
});

/** A folder with the model of a case, and one with its adapter, which names the other. */
async function saved(golden: Case): Promise<{ base: string; folder: string }> {
  const [base, folder] = ["base-", "adapter-"].map((name) => mkdtempSync(join(tmpdir(), `gpugrad-${name}`))) as [string, string]; // prettier-ignore
  const peft = adapted(golden);
  const plain = baseModel(golden);
  await plain.savePretrained(base);
  plain.dispose();
  peft.model.nameOrPath = base;
  await peft.savePretrained(folder);
  peft.dispose();
  return { base, folder };
}

test("an adapter's folder opens as the model it was trained on, merged; with PEFT's files alone, too", async () => {
  for (const golden of [cases[0]!, cases[2]!, cases[4]!]) {
    const before = undisposed();
    const { base, folder } = await saved(golden);
    const reports: string[] = [];
    const open = async (dtype: "f32" | "f16" = "f32") => {
      const model = await AutoModelForSequenceClassification.fromPretrained(folder, { dtype, onReport: (r) => reports.push(r) }); // prettier-ignore
      const logits = Array.from(await scope(() => noGrad(() => model.forward(golden.inputs)).logits.data()));
      expect([model.nameOrPath, model.loadPlan!.missing]).toEqual([folder, []]);
      for (const parameter of model.parameters()) expect(parameter.dtype).toBe(dtype);
      model.dispose();
      return logits;
    };
    close(await open(), golden.logits);
    rmSync(join(folder, "config.json"));
    close(await open(), golden.logits);
    const half = await open("f16");
    expect(half.map((v, i) => Math.abs(v - golden.logits[i]!) < 2e-2)).toEqual(half.map(() => true));
    expect(reports).toEqual([]);
    expect(undisposed()).toBe(before);
    rmSync(base, { recursive: true });
    await expect(open()).rejects.toThrow(/the adapter's model: /);
    rmSync(folder, { recursive: true });
  }
});

test("the adapter's own classes are kept, whatever the model had", async () => {
  const { base, folder } = await saved(cases[0]!);
  const plain = await AutoModelForSequenceClassification.fromPretrained(base, {
    ...{ config: { id2label: { 0: "a", 1: "b", 2: "c" } }, ignoreMismatchedSizes: true, onReport: () => undefined },
  });
  const peft = getPeftModel(plain, { task_type: "SEQ_CLS" });
  expect(peft.configOf().values).toMatchObject({ target_modules: ["query", "value"], r: 8, lora_alpha: 8 });
  await peft.savePretrained(folder);
  const weight = Array.from(await (plain as unknown as BertForSequenceClassification).classifier.weight.data());
  peft.dispose();
  const again = await AutoModelForSequenceClassification.fromPretrained(folder);
  expect(again.config.id2label).toEqual({ 0: "a", 1: "b", 2: "c" });
  expect(Array.from(await (again as unknown as BertForSequenceClassification).classifier.weight.data())).toEqual(weight); // prettier-ignore
  again.dispose();
  for (const each of [base, folder]) rmSync(each, { recursive: true });
});

test("without target_modules, queries and values of each family are adapted, and learn", async () => {
  const families = readdirSync(fixtures).flatMap((name) => /^tiny-(.*)\.json$/.exec(name)?.[1] ?? []);
  expect(families.length).toBeGreaterThan(8);
  for (const name of families) {
    const text = readFileSync(new URL(`tiny-${name}.json`, fixtures), "utf8");
    const all = JSON.parse(text) as { architecture: string; config: object; inputs: ModelInputs }[];
    const { architecture, config, inputs } = all.find((each) => each.architecture.endsWith("ForMaskedLM"))!;
    const Model = architectures[architecture]!;
    const model = PreTrainedModel.fromConfig.call(Model, new Model.Config(config)) as PreTrainedModel & { forward(inputs: ModelInputs): { logits: Tensor } }; // prettier-ignore
    const peft = getPeftModel(model, { r: 2 });
    const trained = [...peft.trainable()];
    expect(trained.length, name).toBeGreaterThan(1);
    scope(() => sum(square(model.forward(inputs).logits)).backward());
    const gradients = new Map([...model.namedParameters()].map(([key, { grad }]) => [key, grad]));
    for (const key of trained.filter((each) => each.includes("lora_B"))) {
      const values = await gradients.get(key)!.data();
      expect(values.some((v) => v !== 0), `${name}: ${key}`).toBe(true); // prettier-ignore
    }
    model.zeroGrad();
    peft.dispose();
  }
});

test.each([
  [true, 1 / Math.sqrt(3 * 12), 0], // uniform in ±1/√in
  ["gaussian", 1 / 4, 0],
  [false, 1 / Math.sqrt(3 * 12), 1 / Math.sqrt(3 * 4)],
] as const)("init_lora_weights: %s", async (init_lora_weights, std, ofB) => {
  manualSeed(0);
  const peft = getPeftModel(baseModel(cases[0]!), { r: 4, target_modules: "all-linear", init_lora_weights });
  const numbers = { A: [] as number[], B: [] as number[] };
  for (const [key, parameter] of peft.model.namedParameters()) {
    const matrix = /lora_([AB])/.exec(key)?.[1] as "A" | "B" | undefined;
    if (matrix && (matrix === "B" || parameter.shape[1] === 12)) numbers[matrix].push(...(await parameter.data()));
  }
  const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  expect(Math.abs(deviation(numbers.A) / std - 1)).toBeLessThan(0.1);
  expect(Math.abs(deviation(numbers.B) - ofB)).toBeLessThan(0.03);
  peft.dispose();
});

test("several adapters: one or the other, both, and combinations", async () => {
  const golden = cases[0]!;
  const before = undisposed();
  const peft = getPeftModel(baseModel(golden), { r: 2, lora_alpha: 4, target_modules: ["query"] }, "one");
  peft.addAdapter("two", { r: 2, lora_alpha: 2, target_modules: ["query", "value"] });
  const plain = await logitsOf(peft, golden);
  for (const name of ["one", "two"]) {
    peft.setAdapter(name);
    for (const [key, parameter] of peft.model.namedParameters())
      if (parameter.requiresGrad) parameter.write(valuesOf(fileKey(key), parameter.size));
  }
  const of = (names: string | string[]) => (peft.setAdapter(names), logitsOf(peft, golden));
  const [one, two, both, none] = [await of("one"), await of("two"), await of(["one", "two"]), await of([])];
  expect(none).toEqual(plain);
  expect(one).not.toEqual(plain);
  expect(two).not.toEqual(one);
  peft.addWeightedAdapter(["one", "two"], [1, 1], "sum", "cat");
  close(await of("sum"), both);
  peft.addWeightedAdapter(["one"], [1], "same", "linear");
  close(await of("same"), one);
  expect(() => peft.addWeightedAdapter(["one", "sum"], [1, 1], "bad", "linear")).toThrow(/ranks 2, 4 differ/);
  peft.deleteAdapter("one");
  expect(peft.adapters).toEqual(["two", "sum", "same"]);
  expect(() => peft.setAdapter("one")).toThrow(/none of the name "one". There are two, sum, same/);
  peft.dispose();
  expect(undisposed()).toBe(before);
});

describe("what can't be", () => {
  test.each([
    [{ r: 0 }, /r: 0 is not an integer from 1/],
    [{ lora_dropout: 1 }, /lora_dropout: 1 is not a probability/],
    [{ target_modules: 3 }, /target_modules: 3 is not names/],
    [{ use_qalora: true }, /use_qalora: true is not supported/],
    [{ lora_alpa: 3 }, /lora_alpa: 3 is not supported. *Did you mean lora_alpha/],
    [{ bias: "some" }, /bias: "some" is not "none"/],
    [{ init_lora_weights: "pissa" }, /init_lora_weights: "pissa" is not true, false or "gaussian"/],
  ])("%j", (options, message) => {
    expect(() => new LoraConfig(options as LoraOptions)).toThrow(message);
  });

  test("regular expressions that never end, names of nothing, files of other models", async () => {
    const model = baseModel(cases[0]!);
    const peft = new PeftModel(model);
    expect(() => peft.addAdapter("a", { target_modules: "(([a-z_.0-9]+)+)+!" })).toThrow(/stopped after 1000 ms/);
    expect(() => peft.addAdapter("a", { target_modules: "(" })).toThrow(/is not a regular expression/);
    expect(() => peft.addAdapter("a", { target_modules: ["q"] })).toThrow(
      /name no linear layer of BertForSeq.*There are bert/,
    );
    expect(() => peft.addAdapter("a.b", { target_modules: ["query"] })).toThrow(/"a.b" is not a name/);
    expect(peft.adapters).toEqual([]);
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-"));
    await expect(peft.loadAdapter((await localFolder(folder))!, "a")).rejects.toThrow(/no adapter_config.json/);
    const other = getPeftModel(baseModel(cases[0]!), { target_modules: ["value"], r: 2 });
    await other.savePretrained(folder);
    other.dispose();
    const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8")) as object;
    for (const [change, message] of [
      [{ target_modules: ["query"] }, /keys do not fit this model: missing .*query.*unexpected .*value/],
      [{ r: 3 }, /lora_A.weight is \[2,12\], this model's is \[3,12\]/],
      [{ peft_type: "IA3" }, /peft_type is "IA3"; only "LORA"/],
      [
        { init_lora_weights: "pissa_niter_16" },
        /"pissa_niter_16" changed the base model's weights.*path_initial_model/,
      ],
      [{ init_lora_weights: "OLoRA" }, /"OLoRA" changed the base model's weights/],
    ] as const) {
      writeFileSync(join(folder, "adapter_config.json"), JSON.stringify({ ...config, ...change }));
      await expect(peft.loadAdapter((await localFolder(folder))!, "a")).rejects.toThrow(message);
      expect(peft.adapters).toEqual([]);
    }
    rmSync(folder, { recursive: true });
    peft.dispose();
  });
});
