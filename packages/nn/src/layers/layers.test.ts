import { destroy, fromArray, full, init, manualSeed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as initializers from "../initializers.ts";
import { initialize, parameter, withoutValues } from "../parameter.ts";
import { Dropout } from "./dropout.ts";
import { Embedding } from "./embedding.ts";
import { Linear } from "./linear.ts";
import { MultiheadAttention } from "./multihead-attention.ts";
import { LayerNorm, RMSNorm } from "./norms.ts";

beforeAll(async () => {
  await init();
  manualSeed(1);
  const dirty = Array.from({ length: 4 }, () => full([64, 64], 12345)); // what is made next gets this memory
  await dirty[0]!.data();
  for (const tensor of dirty) tensor.dispose();
});
afterAll(destroy);

async function spread(tensor: Tensor): Promise<{ least: number; most: number; std: number }> {
  const values = Array.from(await tensor.data());
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
  return { least: Math.min(...values), most: Math.max(...values), std };
}

describe("modules begin as in PyTorch", () => {
  test("Linear: uniformly within 1/√in", async () => {
    const linear = new Linear(64, 256);
    for (const tensor of [linear.weight, linear.bias]) {
      const { least, most, std } = await spread(tensor);
      expect(least).toBeGreaterThanOrEqual(-1 / 8);
      expect(most).toBeLessThanOrEqual(1 / 8);
      expect(least).toBeLessThan(-0.11);
      expect(most).toBeGreaterThan(0.11);
      expect(Math.abs(std - 1 / 8 / Math.sqrt(3))).toBeLessThan(0.01);
    }
    expect(linear.weight.requiresGrad && linear.bias.requiresGrad).toBe(true);
  });

  test("LayerNorm: 1 and 0; Embedding: N(0, 1), and 0 for padding", async () => {
    const norm = new LayerNorm(64);
    expect([norm.eps, await spread(norm.weight!), await spread(norm.bias!)]).toEqual([
      1e-5,
      { least: 1, most: 1, std: 0 },
      { least: 0, most: 0, std: 0 },
    ]);
    const embedding = new Embedding(200, 32, 3);
    expect(Math.abs((await spread(embedding.weight)).std - 1)).toBeLessThan(0.05);
    const rows = await embedding.weight.data();
    expect(Array.from(rows.slice(96, 128))).toEqual(Array(32).fill(0));
    expect(rows[95]).not.toBe(0);
    const values = [...(await new Embedding(8, 64).weight.data())]; // no padding: no row is 0
    expect(values.filter((value) => Math.abs(value) > 1e-6).length).toBeGreaterThan(500);
  });

  test("RMSNorm: 1, and float32's epsilon; without weights where none are wanted", async () => {
    const norm = new RMSNorm(64);
    expect([norm.eps, await spread(norm.weight!)]).toEqual([2 ** -23, { least: 1, most: 1, std: 0 }]);
    expect([...new RMSNorm(4, 1e-6, false).parameters(), ...new LayerNorm(4, 1e-6, false).parameters()]).toEqual([]);
    expect([...new LayerNorm(4, 1e-6, true, false).stateDict().keys()]).toEqual(["weight"]);
    expect([...new Linear(4, 4, false).stateDict().keys()]).toEqual(["weight"]);
  });

  test("MultiheadAttention: projections within Xavier's bound, biases 0", async () => {
    const layer = new MultiheadAttention(48, 4);
    const bound = Math.sqrt(6 / (48 + 3 * 48));
    const { least, most, std } = await spread(layer.in_proj_weight);
    expect(most).toBeLessThanOrEqual(bound);
    expect(least).toBeGreaterThanOrEqual(-bound);
    expect(Math.abs(std - bound / Math.sqrt(3))).toBeLessThan(0.005);
    for (const bias of [layer.in_proj_bias!, layer.out_proj.bias!])
      expect(await spread(bias)).toEqual({ least: 0, most: 0, std: 0 });
    expect((await spread(layer.out_proj.weight)).most).toBeLessThanOrEqual(1 / Math.sqrt(48));
  });
});

describe("layers compute", () => {
  // Values of PyTorch 2.9 for x = [[1, 2, 4], [-1, 0, 3]].
  const x = (): Tensor => fromArray([1, 2, 4, -1, 0, 3], [2, 3]);
  const close = async (y: Tensor, want: number[]) => {
    const got = await y.data();
    for (const [i, w] of want.entries()) expect(Math.abs(got[i]! - w)).toBeLessThan(1e-6);
  };

  test("the norms, with and without weights", async () => {
    const layerNorm = [-1.0690415, -0.2672604, 1.3363019, -0.9805789, -0.3922316, 1.3728105];
    const rmsNorm = [0.3779645, 0.7559289, 1.5118579, -0.5477225, 0, 1.6431676];
    for (const affine of [true, false]) {
      await close(new LayerNorm(3, 1e-5, affine).forward(x()), layerNorm);
      await close(new RMSNorm(3, undefined, affine).forward(x()), rmsNorm);
    }
  });

  test("a linear layer with and without bias, and one that shares another's weight", async () => {
    const layer = new Linear(3, 1, false);
    layer.weight.write([1, 10, 100]);
    await close(layer.forward(x()), [421, 299]);
    const tied = new Linear(3, 1, true, { weight: layer.weight });
    tied.bias.write([0.5]);
    await close(tied.forward(x()), [421.5, 299.5]);
    expect(tied.weight).toBe(layer.weight);
  });

  test("dropout drops in training alone", async () => {
    const layer = new Dropout();
    expect(layer.p).toBe(0.5);
    const ones = full([1000], 1);
    expect(layer.forward(ones)).toBe(ones);
    const kept = Array.from(await layer.train().forward(ones).data());
    expect([...new Set(kept)].sort()).toEqual([0, 2]);
  });

  test.each([
    [() => new Linear(0, 4), "Linear: inFeatures is 0, not a positive integer."],
    [() => new Linear(3, NaN), "Linear: outFeatures is NaN, not a positive integer."],
    [() => new Linear("3" as never, 4), 'Linear: inFeatures is "3", not a positive integer. Write 3.'],
    [() => new LayerNorm(-1), "LayerNorm: size is -1, not"],
    [() => new LayerNorm(4, NaN), "LayerNorm: eps is NaN, not a finite number"],
    [() => new LayerNorm(4, 1e-5, 0 as never), "LayerNorm: elementwiseAffine is 0, not true or false. Write false."],
    [() => new Linear(3, 4, "no" as never), 'Linear: bias is "no", not true or false.'],
    [() => new RMSNorm(4, -1), "RMSNorm: eps is -1, not"],
    [() => new RMSNorm(1.5), "RMSNorm: size is 1.5, not"],
    [() => new Embedding(3, 2, 3), /Embedding: paddingIdx: 3 is not one of 3 ids/],
    [() => new Dropout(1), "Dropout: p is 1, not a probability, at least 0 and below 1."],
    [() => parameter([2, NaN], initializers.zeros), /parameter: shape/],
  ])("sizes that can't be are refused: %s", (make, message) => expect(make).toThrow(message));
});

describe("initializers against PyTorch's formulas", () => {
  /** Values of a parameter [40, 30, 2]: fanIn 60, fanOut 80. */
  const of = (initializer: (p: Tensor) => void) => spread(parameter([40, 30, 2], initializer));

  test.each([
    ["xavierUniform", (p: Tensor) => initializers.xavierUniform(p), Math.sqrt(6 / 140)],
    ["xavierUniform, gain 2", (p: Tensor) => initializers.xavierUniform(p, { gain: 2 }), 2 * Math.sqrt(6 / 140)],
    ["kaimingUniform", (p: Tensor) => initializers.kaimingUniform(p), Math.sqrt(6 / 60)],
    ["kaimingUniform, fanOut", (p: Tensor) => initializers.kaimingUniform(p, { mode: "fanOut" }), Math.sqrt(6 / 80)],
    ["kaimingUniform, a", (p: Tensor) => initializers.kaimingUniform(p, { a: Math.sqrt(5) }), Math.sqrt(1 / 60)],
    ["uniform", (p: Tensor) => initializers.uniform(p, { low: -3, high: 3 }), 3],
  ])("%s stays within its bound", async (_, initializer, bound) => {
    const { least, most, std } = await of(initializer);
    expect(Math.max(-least, most)).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(Math.min(-least, most)).toBeGreaterThan(0.98 * bound);
    expect(Math.abs(std / (bound / Math.sqrt(3)) - 1)).toBeLessThan(0.05);
  });

  test.each([
    ["xavierNormal", (p: Tensor) => initializers.xavierNormal(p), Math.sqrt(2 / 140)],
    ["kaimingNormal", (p: Tensor) => initializers.kaimingNormal(p), Math.sqrt(2 / 60)],
    ["kaimingNormal, tanh", (p: Tensor) => initializers.kaimingNormal(p, { nonlinearity: "tanh" }), 5 / 3 / Math.sqrt(60)], // prettier-ignore
    ["normal", (p: Tensor) => initializers.normal(p, { mean: 0, std: 3 }), 3],
    ["truncatedNormal within ±2σ", (p: Tensor) => initializers.truncatedNormal(p), 0.8796257],
    ["truncatedNormal of BERT", (p: Tensor) => initializers.truncatedNormal(p, { std: 0.02 }), 0.02],
  ])("%s has its deviation", async (_, initializer, want) => {
    expect(Math.abs((await of(initializer)).std / want - 1)).toBeLessThan(0.05);
  });

  test("truncatedNormal has the distribution that is left between its bounds", async () => {
    const [low, high] = [-1, 3];
    const p = parameter([20_000], (t) => initializers.truncatedNormal(t, { mean: 1, std: 2, low, high }));
    const values = Array.from(await p.data()).sort((a, b) => a - b);
    expect(values[0]).toBeGreaterThanOrEqual(low);
    expect(values.at(-1)).toBeLessThanOrEqual(high);
    // Where N(1, 2²) between −1 and 3 has 5, 25, 50, 75 and 95 % below: scipy's truncnorm.ppf.
    for (const [share, want] of [
      [0.05, -0.7353],
      [0.25, 0.1165],
      [0.5, 1],
      [0.75, 1.8835],
      [0.95, 2.7353],
    ] as const)
      // prettier-ignore
      expect(Math.abs(values[Math.round(share * values.length)]! - want)).toBeLessThan(0.05);
    expect((await spread(parameter([20_000], (t) => initializers.truncatedNormal(t, { low: -30, high: 30 })))).std).toBeCloseTo(1, 1); // prettier-ignore
  });

  test.each([
    [() => initializers.kaimingUniform(full([3], 0)), /kaimingUniform: \[3\] is not a weight/],
    [() => initializers.kaimingNormal(full([3, 3], 0), { mode: "fan_in" as "fanIn" }), /mode "fan_in" is not known/],
    [() => initializers.calculateGain("gelu" as "relu"), /nonlinearity "gelu" is not known/],
    [() => initializers.truncatedNormal(full([3], 0), { low: 1, high: 1 }), /low 1 is not below high 1/],
    [() => initializers.truncatedNormal(full([3], 0), { std: 0 }), /std 0 is not a positive number/],
    [() => initializers.truncatedNormal(full([3], 0), { std: -1 }), /std -1 is not a positive number/],
    [() => initializers.normal(full([3], 0), { sd: 1 } as object), /sd/],
  ])("refuses by name: %s", (call, message) => expect(call).toThrow(message));
});

test("without values, no random number is drawn; initialize gives them later", async () => {
  manualSeed(4);
  const now = new Linear(8, 8);
  manualSeed(4);
  const shapes: string[] = [];
  const later = withoutValues({ dtype: "f16", onParameter: (n, shape) => shapes.push(`${n}: ${shape.join()}`) }, () => new Linear(8, 8)); // prettier-ignore
  expect([later.weight.dtype, shapes]).toEqual(["f16", ["64: 8,8", "72: 8"]]);
  for (const p of later.parameters()) initialize(p);
  expect(await later.weight.data()).toEqual(await now.weight.to("f16").data());
  expect(await later.bias.data()).toEqual(await now.bias.to("f16").data());
});

test("a parameter begins with what its initializer gives, or the name of one", async () => {
  expect(await parameter([2, 2], "ones").toArray()).toEqual([[1, 1], [1, 1]]); // prettier-ignore
  expect(await parameter([3], "zeros").toArray()).toEqual([0, 0, 0]);
  expect(() => parameter([3], "normal" as "ones")).toThrow(
    'parameter: initializer is normal; it has to be a function, "zeros" or "ones".',
  );
});
