import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arange, destroy, init, memoryByOwner, scope, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dropout } from "./layers/dropout.ts";
import { Linear } from "./layers/linear.ts";
import { LayerNorm } from "./layers/norms.ts";
import { Module } from "./module.ts";
import { constant, parameter, withoutValues } from "./parameter.ts";
import { SafetensorsFile } from "./safetensors/file.ts";
import { loadModule, saveModule } from "./safetensors/save-module.ts";

let folder: string;
beforeAll(async () => {
  await init();
  folder = await mkdtemp(join(tmpdir(), "gpugrad-nn-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await destroy();
});

/** Two layers in a list, and an output that shares the first one's weight. */
class Model extends Module {
  readonly layers = [new Linear(3, 3), new Linear(3, 3, false)];
  readonly norm = new LayerNorm(3);
  readonly dropout = new Dropout(0.1);
  readonly output = new Linear(3, 3, true, { weight: this.layers[0]!.weight });
  forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = layer.forward(x);
    return this.output.forward(this.dropout.forward(this.norm.forward(x)));
  }
}
const keys = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "norm.weight", "norm.bias", "output.weight", "output.bias"]; // prettier-ignore
const valuesOf = async (module: Module) =>
  Promise.all(Array.from(module.stateDict(), async ([key, t]) => [key, [...(await t.to("f32").data())]]));

test("a parameter's path is its key; a shared one is one parameter with two keys", () => {
  const model = new Model();
  expect([...model.stateDict().keys()]).toEqual(keys);
  expect(Array.from(model.namedParameters(), ([name]) => name)).toEqual(keys.filter((key) => key !== "output.weight"));
  expect(model.numParameters()).toBe(9 + 3 + 9 + 3 + 3 + 3);
  expect(Array.from(model.namedModules(), ([path]) => path)).toEqual(["", "layers.0", "layers.1", "norm", "dropout", "output"]); // prettier-ignore
});

test("loadStateDict copies another's values, whatever the dtype", async () => {
  const [from, to] = [new Model(), new Model()];
  expect(await valuesOf(to)).not.toEqual(await valuesOf(from));
  expect(to.loadStateDict(from.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
  expect(await valuesOf(to)).toEqual(await valuesOf(from));
  expect(to.layers[0]!.weight).not.toBe(from.layers[0]!.weight);
  const half = withoutValues({ dtype: "bf16" }, () => new Linear(3, 3));
  half.loadStateDict(from.layers[0]!.stateDict());
  expect(await half.weight.data()).toEqual(await from.layers[0]!.weight.to("bf16").data());
});

test("loadStateDict names what does not fit, and changes nothing then", async () => {
  const [from, to] = [new Model(), new Model()];
  const before = await valuesOf(to);
  const state = new Map([...from.stateDict(), ["other", from.norm.bias!] as const]);
  state.delete("norm.weight");
  state.delete("output.weight"); // shared with layers.0.weight: not missing
  expect(() => to.loadStateDict(state)).toThrow(
    "loadStateDict: Model: No value for norm.weight. No parameter for other. Pass { strict: false } to load what fits.",
  );
  expect(() => to.loadStateDict([["norm.bias", from.layers[0]!.weight]], { strict: false })).toThrow(
    /loadStateDict: Model: norm.bias: \[3,\s?3\] does not fit the parameter's \[3\]/,
  );
  expect(() => to.loadStateDict(state, { Strict: false } as object)).toThrow(/Strict/);
  expect(await valuesOf(to)).toEqual(before);
  expect(to.loadStateDict(state, { strict: false })).toEqual({ missingKeys: ["norm.weight"], unexpectedKeys: ["other"] }); // prettier-ignore
  expect(await to.layers[1]!.weight.data()).toEqual(await from.layers[1]!.weight.data());
});

test("saveModule writes a shared parameter once, loadModule reads a path or bytes", async () => {
  const [from, to] = [new Model(), new Model()];
  const path = join(folder, "new", "model.safetensors");
  await saveModule(from, path, { note: "mine" });
  expect(await readdir(join(folder, "new"))).toEqual(["model.safetensors"]);
  const file = await SafetensorsFile.open(path);
  expect([file.keys().sort(), file.metadata]).toEqual([keys.filter((key) => key !== "output.weight").sort(), { note: "mine" }]); // prettier-ignore
  await file.close();
  expect(await loadModule(to, path)).toEqual({ missingKeys: [], unexpectedKeys: [] });
  expect(await valuesOf(to)).toEqual(await valuesOf(from));
  const half = withoutValues({ dtype: "f16" }, () => new Model());
  await loadModule(half, path);
  expect(await half.norm.weight!.data()).toEqual(await from.norm.weight!.to("f16").data());
  await saveModule(half, path);
  await loadModule(to, path);
  expect(await valuesOf(to)).toEqual(await valuesOf(half));
  await expect(loadModule(new Linear(3, 3), path)).rejects.toThrow(/loadModule: .*model.safetensors: Linear: No value for weight, bias\. No parameter for layers\.0\.bias/); // prettier-ignore
});

test("replace puts a part in place, in the mode of the whole", () => {
  const model = new Model().train();
  const [before, other] = [model.layers[1], new Linear(3, 3)];
  expect(model.replace("layers.1", other)).toBe(before);
  expect([model.layers[1], other.training]).toEqual([other, true]);
  const own = Object.assign(model, { nothing: null }); // as a layer without bias has it
  for (const path of ["layers.7", "config", "", "layers", "__proto__", "config.x", "layers.7.weight", "nothing.x"])
    expect(() => own.replace(path, other)).toThrow(`replace: Model has no part "${path}"`);
});

test("constants are in no checkpoint, and are disposed with the module, or when it can't be made", () => {
  class Table extends Module {
    readonly weight = parameter([2], "zeros");
    readonly #places = constant(arange(0, 5));

    override *ownConstants() {
      yield this.#places;
    }
  }
  const before = undisposed();
  const model = scope(() => Object.assign(new Model(), { tables: [new Table()] }));
  expect([...model.stateDict().keys()].filter((key) => key.startsWith("tables"))).toEqual(["tables.0.weight"]);
  expect(memoryByOwner()["constants"]).toBeDefined();
  model.dispose();
  const fails = () => {
    new Table();
    throw new Error("no");
  };
  expect(() => withoutValues({}, fails)).toThrow("no");
  expect(undisposed()).toBe(before);
});
