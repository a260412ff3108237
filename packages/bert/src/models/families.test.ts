import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { noGrad } from "@gpugrad/autograd";
import { setValue } from "@gpugrad/nn";
import { add, destroy, fromArray, init, mul, scope, sum, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { architectures } from "./auto.ts";
import type { ModelInputs } from "./inputs.ts";
import type { OutputOptions, States } from "./outputs.ts";
import { PreTrainedModel } from "./pretrained.ts";

// Made by Transformers in float64: see make.py beside the files, which gives weights, probes and inputs by the same rules.
const folder = fileURLToPath(new URL("../../test/fixtures/families", import.meta.url));

interface Case {
  architecture: string;
  config: Record<string, unknown>;
  inputs: ModelInputs;
  outputs: Record<string, number[]>;
  loss: number;
  gradients: Record<string, number | null>;
}
type Output = States & Record<string, Tensor>;
type Model = PreTrainedModel & { forward(inputs: ModelInputs, options?: OutputOptions): Output };

/** scale · sin(start + step · i) for element i; start and step come from the FNV-1a hash of the name. */
function valuesOf(name: string, count: number, scale: number, offset = 0): Float32Array {
  let h = 2166136261;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 16777619) >>> 0;
  const [start, step] = [(h % 1000) / 100, 1 + (Math.floor(h / 1000) % 1000) / 997];
  return Float32Array.from({ length: count }, (_, i) => scale * Math.sin(start + step * i) + offset);
}
const probe = (name: string, { shape, size }: Tensor): Tensor => fromArray(valuesOf(name, size, 1), shape);

function modelOf({ architecture, config }: Case): Model {
  const Class = architectures[architecture]!;
  const model = PreTrainedModel.fromConfig.call(Class, new Class.Config(config)) as Model;
  for (const [name, parameter] of model.namedParameters()) {
    const isNorm = name.endsWith("weight") && parameter.rank === 1;
    setValue(parameter, () => fromArray(valuesOf(name, parameter.size, 0.5, Number(isNorm)), parameter.shape));
  }
  return model;
}

function expectClose(name: string, got: ArrayLike<number>, want: ArrayLike<number>, atol = 2e-5): void {
  expect(got.length, name).toBe(want.length);
  const wrong = Array.from(want).findIndex((w, i) => !(Math.abs(got[i]! - w) <= atol + 1e-4 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

beforeAll(() => init());
afterAll(() => destroy());

describe.each(readdirSync(folder).filter((name) => name.endsWith(".json")))("%s", (file) => {
  const cases = JSON.parse(readFileSync(join(folder, file), "utf8")) as Case[];

  test.each(cases)("$architecture", async (golden) => {
    const before = undisposed();
    const model = modelOf(golden);
    model.train();
    await scope(async () => {
      const out = model.forward(golden.inputs);
      const outputs = Object.keys(golden.outputs);
      for (const name of outputs) expectClose(name, await out[name]!.data(), golden.outputs[name]!);
      // A model without a head has no loss: its outputs are multiplied with probes.
      const loss = out["loss"] ?? outputs.map((name) => sum(mul(out[name]!, probe(name, out[name]!)))).reduce((a, b) => add(a, b)); // prettier-ignore
      expectClose("loss", [await loss.item()], [golden.loss]);
      loss.backward();
    });
    const gradients = [...model.namedParameters()].map(([name, { grad, shape, size }]) => {
      const along = grad && scope(() => sum(mul(grad, fromArray(valuesOf(`grad.${name}`, size, 1), shape))).item());
      return [name, along ?? null] as const;
    });
    expect(gradients.map(([name]) => name).sort()).toEqual(Object.keys(golden.gradients).sort());
    for (const [name, along] of gradients) {
      const want = golden.gradients[name];
      if (want === null) expect(await along, name).toBeNull();
      else expectClose(`gradient of ${name}`, [(await along)!], [want!], 1e-4);
    }
    model.dispose();
    expect(undisposed()).toBe(before);
  });

  test("states and attention probabilities come on request, and change nothing", async () => {
    const model = modelOf(cases[0]!);
    const { plain, asked, states } = scope(() => {
      const run = (options?: OutputOptions) => noGrad(() => model.forward(cases[0]!.inputs, options));
      const out = run({ outputHiddenStates: true, outputAttentions: true });
      const last = out.hidden_states.at(-1)!;
      return {
        plain: run()["last_hidden_state"]!.data(),
        asked: out["last_hidden_state"]!.data(),
        states: [last.data(), out.attentions.map((p) => [...p.shape]), out.hidden_states.length] as const,
      };
    });
    const [last, attentions, count] = states;
    expectClose("with states", await asked, await plain, 1e-5);
    expect(await last).toEqual(await asked);
    expect(count).toBe(attentions.length + 1);
    for (const shape of attentions) expect(shape).toEqual([3, 3, 7, 7]);
    model.dispose();
  });

  test("config.json is as Transformers writes it", () => {
    for (const { architecture, config } of cases) {
      const Class = architectures[architecture]!;
      const written = JSON.parse(String(new Class.Config(config))) as Record<string, unknown>;
      expect(written).toEqual({ ...config, transformers_version: written["transformers_version"] });
    }
  });
});
