import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad } from "@gpugrad/autograd";
import { add, destroy, fromArray, init, mul, scope, sum, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFile, SafetensorsFile } from "@gpugrad/nn";
import { architectures, AutoModelForMaskedLM } from "../src/models/auto.ts";
import type { ModelInputs } from "../src/models/inputs.ts";
import type { HeadOutput } from "../src/models/outputs.ts";
import { PreTrainedModel } from "../src/models/pretrained.ts";

/** What make_tiny_families.py wrote of one model. */
interface Case {
  architecture: string;
  note: string;
  config: object;
  /** config.json as Transformers writes it, without the version. */
  config_json: Record<string, unknown>;
  inputs: ModelInputs;
  loss: number;
  outputs: Record<string, Sums>;
  hidden_states: Sums[];
  attentions: Sums[];
  grads: Record<string, Sums>;
}
/** A weighted sum of all elements, and the sum of their absolute values. */
export type Sums = [weighted: number, absolute: number];
type AnyModel = PreTrainedModel & { forward(inputs: ModelInputs, options?: object): Partial<HeadOutput> };

/** The weight of element i in a weighted sum. */
const weightOf = (i: number): number => Math.cos(i * 1.3 + 0.4);

/** The values of a parameter, as make_tiny_families.py makes them. */
export function valuesOf(name: string, count: number): Float32Array {
  const seed = (Array.from(name).reduce((a, c, k) => a + (k + 1) * c.charCodeAt(0), 0) % 997) / 100;
  const isNorm = name.toLowerCase().endsWith("norm.weight");
  return Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin(i * 12.9898 + seed) * 43758.5453;
    return (x - Math.floor(x) - 0.5) * 0.8 + Number(isNorm);
  });
}

export function tinyModel({ architecture, config }: Pick<Case, "architecture" | "config">): AnyModel {
  const Model = architectures[architecture]!;
  const model = PreTrainedModel.fromConfig.call(Model, new Model.Config(config)) as AnyModel;
  for (const [name, parameter] of model.namedParameters()) parameter.write(valuesOf(name, parameter.size));
  return model;
}

export async function expectSums(name: string, tensor: Tensor | undefined, sums: Sums | undefined): Promise<void> {
  expect([tensor, sums], name).not.toContain(undefined);
  const [weighted, absolute] = sums!;
  const values: readonly number[] = Array.from(await tensor!.data());
  const got = [values.reduce((a, x, i) => a + x * weightOf(i), 0), values.reduce((a, x) => a + Math.abs(x), 0)];
  const atol = 2e-6 + 2e-5 * absolute;
  const close = Math.abs(got[0]! - weighted) <= atol && Math.abs(got[1]! - absolute) <= atol;
  if (!close) expect.fail(`${name}: sums ${got.join(", ")}, not ${weighted}, ${absolute}`);
}

/** Tests a family with the cases of `tiny-<name>.json`: outputs, loss, hidden states, attentions and the gradient of every parameter; and saving. */
export function testFamily(name: string): void {
  const cases = JSON.parse(readFileSync(new URL(`fixtures/tiny-${name}.json`, import.meta.url), "utf8")) as Case[];
  beforeAll(async () => void (await init()));
  afterAll(destroy);

  describe(`${name} against Transformers`, () => {
    test.each(cases.map((c) => [c.architecture, c.note, c] as const))("%s %s", async (_, __, c) => {
      const before = undisposed();
      const model = tinyModel(c);
      const { loss, ...out } = scope(() => {
        const { loss, hidden_states: _, attentions: __, ...outputs } = model.forward(c.inputs);
        const total = loss ?? weightedSum(Object.values(outputs));
        total.backward();
        return { loss: total.detach(), ...outputs };
      });
      const [got] = await loss.data();
      expect(Math.abs(got! - c.loss), `loss: ${got}, not ${c.loss}`).toBeLessThanOrEqual(1e-5 + 1e-5 * Math.abs(c.loss)); // prettier-ignore
      for (const [key, sums] of Object.entries(c.outputs)) await expectSums(key, (out as Record<string, Tensor>)[key], sums); // prettier-ignore
      const gradients = new Map(Array.from(model.namedParameters(), ([key, { grad }]) => [key, grad]));
      for (const [key, sums] of Object.entries(c.grads)) await expectSums(`grad.${key}`, gradients.get(key)!, sums);
      for (const [key, grad] of gradients) if (!(key in c.grads)) expect(grad, `grad.${key}`).toBeNull();

      const { hidden_states, attentions } = scope(() => {
        const all = noGrad(() => model.forward(c.inputs, { outputHiddenStates: true, outputAttentions: true }));
        return { hidden_states: all.hidden_states!, attentions: all.attentions! };
      });
      expect([hidden_states.length, attentions.length]).toEqual([c.hidden_states.length, c.attentions.length]);
      for (const [i, sums] of c.hidden_states.entries()) await expectSums(`hidden_states.${i}`, hidden_states[i], sums);
      for (const [i, sums] of c.attentions.entries()) await expectSums(`attentions.${i}`, attentions[i], sums);
      model.zeroGrad();
      model.dispose();
      for (const t of [loss, ...Object.values(out), ...hidden_states, ...attentions] as Tensor[]) t.dispose();
      expect(undisposed()).toBe(before);
    });

    test("config.json is as Transformers writes it", () => {
      for (const { architecture, config, config_json } of cases) {
        const Config = architectures[architecture]!.Config;
        const { transformers_version: _, ...written } = JSON.parse(String(new Config(config))) as Case["config_json"];
        expect(written).toEqual(config_json);
      }
    });
  });

  test("a masked language model that was saved opens again, and its tied decoder is saved once", async () => {
    const c = cases.find(({ architecture, note }) => architecture.endsWith("ForMaskedLM") && note !== "untied")!;
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-"));
    const model = tinyModel(c);
    await model.savePretrained(folder);
    const tied = model.tiedKeys();
    const file = await SafetensorsFile.open(await openFile(join(folder, "model.safetensors")));
    for (const [first, ...others] of tied) {
      expect(file.keys()).toContain(first);
      for (const key of others) expect(file.keys()).not.toContain(key);
    }
    await file.close();
    const reports: string[] = [];
    const again = await AutoModelForMaskedLM.fromPretrained(folder, { onReport: (report) => reports.push(report) });
    const logitsOf = (of: Pick<AnyModel, "forward">) => scope(() => noGrad(() => of.forward(c.inputs)).logits!.data());
    expect(await logitsOf(again)).toEqual(await logitsOf(model));
    expect([again.constructor, reports]).toEqual([model.constructor, []]);
    model.dispose();
    again.dispose();
    rmSync(folder, { recursive: true });
  });
}

const weightedSum = (outputs: readonly Tensor[]): Tensor =>
  outputs
    .map((y) =>
      sum(
        mul(
          y,
          fromArray(
            Array.from({ length: y.size }, (_, i) => weightOf(i)),
            y.shape,
          ),
        ),
      ),
    ) // prettier-ignore
    .reduce((a, b) => add(a, b));
