import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { destroy, fromArray, init, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { areClasses, toDevice, type ArrayInput, type ModelInputs } from "../inputs.ts";
import type { ConfigValues } from "../pretrained-config.ts";
import type { BertConfig } from "./bert-config.ts";
import { BertForMaskedLM, BertForSequenceClassification } from "./bert-heads.ts";

// Made by PyTorch and Transformers in float64: see fixtures/make_heads.py.
const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../../../test/fixtures");
const json = <T>(file: string) => JSON.parse(readFileSync(join(fixtures, file), "utf8")) as T;
interface Golden {
  config: ConfigValues<BertConfig>;
  labels: number[] | number[][];
  logits: number[];
  loss: number;
  grads: Record<string, number[]>;
}
const goldens = json<Record<string, Golden>>("heads.json");
const { input_ids, attention_mask, token_type_ids } = json<{ inputs: ModelInputs }>("tiny-bert/golden.json").inputs;
const inputs = { input_ids, attention_mask, token_type_ids };

beforeAll(async () => void (await init()));
afterAll(destroy);

function expectClose(name: string, got: ArrayLike<number>, want: readonly number[]): void {
  const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= 3e-6 + 2e-5 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

/** Element i is sin(i + length) / 2, as make_heads.py has it. */
const setValues = (t: Tensor): void => t.write(Float32Array.from({ length: t.size }, (_, i) => Math.sin(i + t.size) / 2)); // prettier-ignore

describe("heads against PyTorch: logits, loss and gradients", () => {
  test.each(Object.entries(goldens))("%s", async (name, { config, labels, logits, loss, grads }) => {
    const options = { config, ignoreMismatchedSizes: true, onReport: () => undefined };
    const folder = join(fixtures, "tiny-bert");
    const model = name.startsWith("masked")
      ? await BertForMaskedLM.fromPretrained(folder, options)
      : await BertForSequenceClassification.fromPretrained(folder, options);
    const parameters = new Map(model.namedParameters());
    for (const [key, parameter] of parameters) if (/^(cls|classifier)\./.test(key)) setValues(parameter);
    const out = scope(() => {
      const { logits, loss } = model.forward({ ...inputs, labels });
      loss!.backward();
      return { logits, loss: loss! };
    });
    expectClose("logits", await out.logits.data(), logits);
    expectClose("loss", await out.loss.data(), [loss]);
    for (const [key, grad] of Object.entries(grads)) expectClose(key, await parameters.get(key)!.grad!.data(), grad);
    expect(scope(() => model.forward(inputs).loss)).toBeUndefined();
    model.dispose();
  });

  test("the first labels say what the problem is, and it stays that", async () => {
    const folder = join(fixtures, "tiny-bert");
    const problem = async (labels: ArrayInput, config: ConfigValues<BertConfig> = {}) => {
      const model = await BertForSequenceClassification.fromPretrained(folder, { config, ignoreMismatchedSizes: true, onReport: () => undefined }); // prettier-ignore
      scope(() => void model.forward({ ...inputs, labels }));
      model.dispose();
      return model.config.problem_type;
    };
    expect(await problem([1, 0, 1])).toBe("single_label_classification");
    expect(await problem([1, 0, 1], { num_labels: 1 })).toBe("regression");
    expect(await problem([[0.5, 0], [1, 0], [1, 1]])).toBe("multi_label_classification"); // prettier-ignore
    expect(await problem([1, 0, 1], { num_labels: 1, problem_type: "single_label_classification" }).catch(String)).toMatch(/labels: 1 at index 0/); // prettier-ignore
  });
});

describe("labels", () => {
  test.each<[string, ArrayInput, boolean]>([
    ["whole numbers", [1, 0, 2], true],
    ["nested whole numbers", [[1], [0]], true],
    ["booleans", [true, false], true],
    ["a number", 1, true],
    ["fractions", [1, 0.5], false],
    ["nested fractions", [[1, 0], [0, 0.25]], false], // prettier-ignore
    ["int32", { data: new Int32Array(2), shape: [2] }, true],
    ["a list with a shape", { data: [1, 0], shape: [2] }, true],
    ["float32", { data: new Float32Array(2), shape: [2] }, false],
    ["float64", { data: new Float64Array(2), shape: [2] }, false],
  ])("%s are classes, or not", (_, labels, expected) => {
    expect(areClasses(labels)).toBe(expected);
  });

  test("on the device are classes unless they are f32, and have to be what the model expects", () => {
    scope(() => {
      const [whole, real] = [fromArray([1, 0], [2], "i32"), fromArray([1, 0], [2], "f32")];
      expect([areClasses(whole), areClasses(real)]).toEqual([true, false]);
      expect(toDevice("labels", whole, "i32")).toEqual({ tensor: whole, values: undefined });
      expect(() => toDevice("labels", whole, "f32")).toThrow("labels: a tensor of i32, where f32 is expected.");
      expect(() => toDevice("labels", real, "i32")).toThrow("labels: a tensor of f32, where i32 is expected.");
    });
  });
});
