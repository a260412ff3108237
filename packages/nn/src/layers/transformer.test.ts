import { readFileSync } from "node:fs";
import { destroy, fromArray, init, manualSeed, mul, sum, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Module } from "../module.ts";
import { Linear } from "./linear.ts";
import { MultiheadAttention } from "./multihead-attention.ts";
import { TransformerEncoderLayer } from "./transformer-encoder-layer.ts";

interface Golden {
  output: number[];
  weights?: number[];
  inputs: Record<string, number[]>;
  grads: Record<string, number[]>;
}
// Made by PyTorch in float64: see fixtures/make_layers.py.
const golden = JSON.parse(readFileSync(new URL("../../test/fixtures/layers.json", import.meta.url), "utf8")) as Record<
  "attention" | "postNorm" | "preNorm",
  Golden
>;
const [B, T, S, E, H, F] = [2, 3, 4, 4, 2, 6];

beforeAll(async () => void (await init()));
afterAll(destroy);

const waves = (shape: readonly number[], k: number): Tensor =>
  fromArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin((i + 1) * k)),
    shape,
  );

/** The weights that make_layers.py makes. */
function fill(module: Module): void {
  for (const [i, [name, p]] of [...module.namedParameters()].entries()) {
    const one = /^norm.*weight$/.test(name) ? 1 : 0;
    p.write(Float32Array.from({ length: p.size }, (_, j) => Math.sin((j + 1) * (0.7 + 0.1 * i)) * 0.5 + one));
  }
}

async function expectClose(name: string, tensor: Tensor, want: readonly number[]): Promise<void> {
  const got = await tensor.data();
  expect(got.length, name).toBe(want.length);
  const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= 2e-6 + 1e-5 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

async function expectGradients(module: Module, inputs: Record<string, Tensor>, want: Golden): Promise<void> {
  expect([...module.stateDict().keys()]).toEqual(Object.keys(want.grads));
  for (const [name, input] of Object.entries(inputs)) await expectClose(name, input.grad!, want.inputs[name]!);
  for (const [name, p] of module.namedParameters()) await expectClose(`grad.${name}`, p.grad!, want.grads[name]!);
}

const bools = (rows: number[][]): Tensor => fromArray(Uint8Array.from(rows.flat()), [rows.length, rows[0]!.length], "bool"); // prettier-ignore
const inputs = () => ({
  query: waves([B, T, E], 1.1).requireGrad(),
  key: waves([B, S, E], 1.3).requireGrad(),
  value: waves([B, S, E], 1.7).requireGrad(),
});
const masks = () => ({
  keyPaddingMask: bools([[0, 0, 0, 0], [0, 0, 0, 1]]), // prettier-ignore
  attnMask: bools([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]), // prettier-ignore
});

describe("MultiheadAttention against PyTorch", () => {
  test.each([true, false])("output and gradients with masks; weights wanted: %s", async (needWeights) => {
    const layer = new MultiheadAttention(E, H, { batchFirst: true });
    fill(layer);
    const { query, key, value } = inputs();
    const { output, weights } = layer.forward(query, key, value, { ...masks(), needWeights });
    sum(mul(output, waves(output.shape, 0.9))).backward();
    await expectClose("output", output, golden.attention.output);
    if (needWeights) await expectClose("weights", weights!, golden.attention.weights!);
    else expect(weights).toBeUndefined();
    await expectGradients(layer, { query, key, value }, golden.attention);
  });

  test("tokens first unless batchFirst; each head's weights; a mask for each head", async () => {
    const layer = new MultiheadAttention(E, H);
    fill(layer);
    const [query, key, value] = Object.values(inputs()).map((x) => x.permute([1, 0, 2])) as [Tensor, Tensor, Tensor];
    const { keyPaddingMask, attnMask } = masks();
    const each = fromArray(Uint8Array.from({ length: B * H * T * S }, (_, i) => [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0][i % (T * S)]!), [B * H, T, S], "bool"); // prettier-ignore
    for (const mask of [attnMask, each]) {
      const { output, weights } = layer.forward(query, key, value, { keyPaddingMask, attnMask: mask, averageAttnWeights: false }); // prettier-ignore
      await expectClose("output", output.permute([1, 0, 2]), golden.attention.output);
      expect(weights!.shape).toEqual([B, H, T, S]);
      await expectClose("weights", weights!.mean({ dim: 1 }), golden.attention.weights!);
    }
  });

  test("isCausal hides what comes later", async () => {
    const layer = new MultiheadAttention(E, H);
    const x = waves([T, B, E], 1.1);
    const attnMask = bools([[0, 1, 1], [0, 0, 1], [0, 0, 0]]); // prettier-ignore
    const want = await layer.forward(x, x, x, { attnMask }).output.data();
    await expectClose("output", layer.forward(x, x, x, { isCausal: true }).output, [...want]);
    expect(await layer.forward(x, x, x).output.data()).not.toEqual(want);
  });

  test("drops weights in training alone", async () => {
    manualSeed(2);
    const layer = new MultiheadAttention(E, H, { dropout: 0.5 });
    const x = waves([T, B, E], 1.1);
    const of = async () => (await layer.forward(x, x, x, { needWeights: false }).output.data()).slice();
    expect(await of()).toEqual(await of());
    layer.train();
    expect(await of()).not.toEqual(await of());
  });

  test("refuses what it can't do, by name", () => {
    const layer = new MultiheadAttention(E, H, { batchFirst: true });
    const { query, key, value } = inputs();
    const call = (options: object) => () => layer.forward(query, key, value, options);
    expect(() => new MultiheadAttention(5, 2)).toThrow(
      /MultiheadAttention: embedDim 5 is not a multiple of numHeads 2/,
    );
    expect(() => new MultiheadAttention(4, NaN)).toThrow("MultiheadAttention: numHeads is NaN, not a positive integer");
    expect(() => new MultiheadAttention(4, 2, { batch_first: true } as object)).toThrow(/batch_first/);
    expect(() => new MultiheadAttention(4, 2, { dropout: 1.5 })).toThrow(
      "MultiheadAttention: dropout is 1.5, not a probability",
    );
    expect(() => layer.forward(waves([2, 3], 1), key, value)).toThrow(/query is \[2,\s?3\], not \[B, T, 4\]/);
    expect(call({ keyPaddingMask: waves([B, S], 1) })).toThrow(
      /keyPaddingMask is f32 \[2,\s?4\]; it may be bool \[2,\s?4\]/,
    );
    expect(call({ attnMask: bools([[0]]) })).toThrow(/attnMask is bool \[1,\s?1\]; it may be bool \[3,\s?4\] or \[4,\s?3,\s?4\]/); // prettier-ignore
    expect(call({ needsWeights: false })).toThrow(/needsWeights/);
  });
});

describe("TransformerEncoderLayer against PyTorch", () => {
  test.each([
    ["postNorm", {}],
    ["preNorm", { activation: "gelu", normFirst: true, bias: false }],
  ] as const)("%s: output and gradients", async (name, options) => {
    for (const replaced of [false, true]) {
      const layer = new TransformerEncoderLayer(E, H, { dimFeedforward: F, dropout: 0, ...options });
      fill(layer);
      // Layers that ignore what could be computed along: the activation comes all the same.
      if (replaced) layer.linear1.forward = (x: Tensor) => Linear.prototype.forward.call(layer.linear1, x);
      const src = waves([T, B, E], 1.1).requireGrad();
      const call = { srcKeyPaddingMask: bools([[0, 0, 0], [0, 0, 1]]) }; // prettier-ignore
      const output = layer.forward(src, { ...call, isCausal: true });
      sum(mul(output, waves(output.shape, 0.9))).backward();
      await expectClose("output", output, golden[name].output);
      await expectGradients(layer, { src }, golden[name]);
      await expectClose("srcMask", layer.forward(src, { ...call, srcMask: bools([[0, 1, 1], [0, 0, 1], [0, 0, 0]]) }), golden[name].output); // prettier-ignore
    }
  });

  test("PyTorch's defaults", () => {
    const layer = new TransformerEncoderLayer(8, 2);
    expect(layer.linear1.weight.shape).toEqual([2048, 8]);
    expect([layer.dropout.p, layer.dropout1.p, layer.dropout2.p, layer.norm1.eps]).toEqual([0.1, 0.1, 0.1, 1e-5]);
    expect(() => new TransformerEncoderLayer(8, 2, { activation: "sinus" as "relu" })).toThrow(/activation.*sinus/);
  });
});
