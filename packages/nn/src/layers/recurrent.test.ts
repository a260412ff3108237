import { add, destroy, init, manualSeed, mul, randn, scope, sum, tensor, zeros, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GRU, GRUCell, LSTM, LSTMCell } from "./recurrent.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

type Rows = number[][];
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const times = (w: Rows, x: number[], b: number[]): number[] =>
  w.map((row, i) => row.reduce((s, v, j) => s + v * x[j]!, b[i]!));

/** A step of one row in float64, by the formulas of PyTorch's pages. */
function step(kind: "GRU" | "LSTM", x: number[], [h, c]: Rows, w: Record<string, Rows>): Rows {
  const a = times(w["weight_ih"]!, x, w["bias_ih"] as unknown as number[]);
  const b = times(w["weight_hh"]!, h!, w["bias_hh"] as unknown as number[]);
  const H = h!.length;
  if (kind === "GRU")
    return [
      h!.map((old, j) => {
        const [r, z] = [sigmoid(a[j]! + b[j]!), sigmoid(a[H + j]! + b[H + j]!)];
        return (1 - z) * Math.tanh(a[2 * H + j]! + r * b[2 * H + j]!) + z * old;
      }),
    ];
  const gate = (k: number, j: number): number => a[k * H + j]! + b[k * H + j]!;
  const next = c!.map((old, j) => sigmoid(gate(1, j)) * old + sigmoid(gate(0, j)) * Math.tanh(gate(2, j)));
  return [next.map((v, j) => sigmoid(gate(3, j)) * Math.tanh(v)), next];
}

/** A layer over rows [B][T][in] of these lengths, from states of 0, both ways. */
function sequence(kind: "GRU" | "LSTM", x: Rows[], lengths: number[], w: Record<string, Rows>, H: number): Rows[] {
  const ys = x.map((row) => row.map(() => new Array<number>(2 * H).fill(0)));
  for (const [d, suffix] of ["_l0", "_l0_reverse"].entries()) {
    const own = Object.fromEntries(Object.entries(w).flatMap(([k, v]) => (k.endsWith(suffix) ? [[k.slice(0, -suffix.length), v]] : []))); // prettier-ignore
    for (const [b, row] of x.entries()) {
      let state: Rows = [new Array<number>(H).fill(0), new Array<number>(H).fill(0)];
      for (let s = 0; s < lengths[b]!; s++) {
        const t = d === 0 ? s : lengths[b]! - 1 - s;
        state = step(kind, row[t]!, state, own);
        for (const [j, v] of state[0]!.entries()) ys[b]![t]![d * H + j] = v;
      }
    }
  }
  return ys;
}

describe.each([["GRU", GRU] as const, ["LSTM", LSTM] as const])("%s", (kind, Layer) => {
  test("forward and gradients, both ways, rows of their own lengths", async () => {
    manualSeed(5);
    const layer = new Layer(3, 2, { batchFirst: true, bidirectional: true });
    await scope(async () => {
      const x = randn([2, 4, 3]);
      x.requiresGrad = true;
      const dy = randn([2, 4, 4]);
      const [y] = layer.forward(x, undefined, { lengths: tensor([4, 2], "i32") });
      const weights: Record<string, Rows> = {};
      for (const [key, p] of layer.namedParameters()) weights[key] = (await p.toArray()) as Rows;
      const [rows, scale] = [(await x.toArray()) as Rows[], await dy.data()];
      const want = (): number[] => sequence(kind, rows, [4, 2], weights, 2).flat(2);
      for (const [i, v] of (await y.data()).entries()) expect(v).toBeCloseTo(want()[i]!, 5);

      sum(mul(y, dy)).backward();
      const loss = (): number => want().reduce((s, v, i) => s + v * scale[i]!, 0);
      const difference = (list: number[], i: number): number => {
        const [at, h] = [list[i]!, 1e-5];
        const [above, below] = [at + h, at - h].map((v) => ((list[i] = v), loss()));
        list[i] = at;
        return (above! - below!) / (2 * h);
      };
      const compare = async (gradient: Tensor, lists: number[][]): Promise<void> => {
        const numbers = lists.flatMap((list) => [...list.keys()].map((i) => difference(list, i)));
        for (const [i, v] of (await gradient.data()).entries()) expect(v).toBeCloseTo(numbers[i]!, 4);
      };
      await compare(x.grad!, rows.flat());
      for (const [key, p] of layer.namedParameters())
        await compare(p.grad!, p.rank === 1 ? [weights[key] as unknown as number[]] : weights[key]!);
    });
    layer.dispose();
  });

  test("PyTorch's keys and shapes, within its bounds", async () => {
    manualSeed(1);
    const layer = new Layer(3, 16, { numLayers: 2, bidirectional: true });
    const rows = kind === "GRU" ? 48 : 64;
    const shapes = [[3, 16, 0, 0], [3, 16, 0, 0], [32, 16, 0, 0], [32, 16, 0, 0]].flatMap((columns) =>
      columns.map((n) => (n ? [rows, n] : [rows])),
    ); // prettier-ignore
    const keys = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"].flatMap((s) =>
      ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((name) => name + s),
    );
    expect([...layer.stateDict().keys()]).toEqual(keys);
    expect(layer.parameters().map((p) => p.shape)).toEqual(shapes);
    for (const p of layer.parameters()) {
      const largest = Math.max(...Array.from(await p.data(), Math.abs));
      expect(largest).toBeLessThanOrEqual(0.25);
      expect(largest).toBeGreaterThan(0.2);
    }
    expect(() => layer.forward(zeros([2, 3]))).toThrow(`${kind}: x is [2,3], not [T, B, in]`);
    layer.dispose();
  });
});

test("cells take the steps of a sequence, and layers their last states", async () => {
  manualSeed(2);
  const [gru, lstm] = [new GRU(3, 4, { bias: false }), new LSTM(3, 4, { bias: false })];
  const [gruCell, lstmCell] = [new GRUCell(3, 4, { bias: false }), new LSTMCell(3, 4, { bias: false })];
  const ofCell = (state: Map<string, Tensor>) => [...state].map(([key, p]) => [key.replace("_l0", ""), p] as const);
  gruCell.loadStateDict(ofCell(gru.stateDict()));
  lstmCell.loadStateDict(ofCell(lstm.stateDict()));
  await scope(async () => {
    const x = randn([2, 5, 3]);
    const [first, second] = [x.slice([[0, 1]]).reshape([5, 3]), x.slice([[1, 2]]).reshape([5, 3])];
    const h = gruCell.forward(second, gruCell.forward(first));
    expect(await add(h, 0).data()).toEqual(await gru.forward(x)[1].data());
    const [lh, lc] = lstmCell.forward(second, lstmCell.forward(first));
    const [, [hn, cn]] = lstm.forward(x);
    expect([await lh.data(), await lc.data()]).toEqual([await hn.data(), await cn.data()]);
  });
  expect(() => gru.forward(zeros([2, 5, 3]), zeros([1, 4, 4]))).toThrow("not [1,5,4]: [layers, B, H]");
  for (const layer of [gru, lstm, gruCell, lstmCell]) layer.dispose();
});
