import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromArray } from "../../factories.ts";
import { backwardOf } from "../../op.ts";
import { Generator } from "../../random.ts";
import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, expectClose, randomNormal, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { attentionReference } from "../attention/attention.reference.ts";
import { zeros } from "../create/create.ts";
import { forceRung, ladders, withRung } from "../ladders.ts";
import { disentangledAttention, type DisentangledAttentionOptions } from "./disentangled-attention.ts";
import { numberDistances } from "./relative-bias.ts";

/** A number for each of 13 distances, several of which share some. */
const numbers = [0, 0, 0, 1, 1, 2, 3, 4, 5, 5, 6, 6, 6];
const LOWEST = -3.4028234663852886e38;

/** In float64, with all scores in memory. `mask` is [B, 1, T, T], or missing. */
function reference(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  K: NdArray | undefined,
  Q: NdArray | undefined,
  mask?: NdArray,
  { scale, first = 0 }: DisentangledAttentionOptions = {},
): NdArray {
  const [B, T, H, D] = q.shape as [number, number, number, number];
  const factor = scale ?? 1 / Math.sqrt(D);
  const bias = ndArray([B, H, T, T], new Float64Array(B * H * T * T));
  const middle = (numbers.length - 1) / 2;
  for (let at = 0; at < bias.data.length; at++) {
    const [b, h, i, j] = [Math.floor(at / (H * T * T)), Math.floor(at / (T * T)) % H, Math.floor(at / T) % T, at % T] as const; // prettier-ignore
    const r = numbers[middle + i - j]! - first;
    let sum = 0;
    for (let d = 0; d < D; d++) {
      if (K) sum += q.data[((b * T + i) * H + h) * D + d]! * K.data[(r * H + h) * D + d]!;
      if (Q) sum += k.data[((b * T + j) * H + h) * D + d]! * Q.data[(r * H + h) * D + d]!;
    }
    bias.data[at] = mask && !mask.data[(b * T + i) * T + j] ? LOWEST : factor * sum;
  }
  return attentionReference(q, k, v, bias, { scale: factor, layout: "BTHD" });
}

type Tables = "both" | "keys" | "queries";

/** The op with the numbering inside, so that only what has gradients is an argument. */
const op = (tables: Tables) => {
  const call = (
    q: Tensor,
    k: Tensor,
    v: Tensor,
    K: Tensor | undefined,
    Q: Tensor | undefined,
    rest: [Tensor?, object?],
  ) => disentangledAttention.definition.forward(q, k, v, K, Q, numberDistances(numbers), ...rest);
  type Rest = [mask?: Tensor, options?: object];
  const forward = {
    both: (q: Tensor, k: Tensor, v: Tensor, K: Tensor, Q: Tensor, ...rest: Rest) => call(q, k, v, K, Q, rest),
    keys: (q: Tensor, k: Tensor, v: Tensor, K: Tensor, ...rest: Rest) => call(q, k, v, K, undefined, rest),
    queries: (q: Tensor, k: Tensor, v: Tensor, Q: Tensor, ...rest: Rest) => call(q, k, v, undefined, Q, rest),
  }[tables];
  return {
    opName: `tables of ${tables}`,
    definition: { forward, backward: disentangledAttention.definition.backward },
  };
};

const shapes = (B: number, T: number, H: number, D: number, tables = 2, R = 7) => [
  ...Array.from({ length: 3 }, () => [B, T, H, D]),
  ...Array.from({ length: tables }, () => [1, R, H, D]),
];

/** The second text has two tokens; its padded queries attend to all tokens alike. */
const lengths = [7, 2];
const seen = Array.from({ length: 2 * 7 * 7 }, (_, at) => {
  const [b, i, j] = [Math.floor(at / 49), Math.floor(at / 7) % 7, at % 7] as const;
  return i < lengths[b]! && j < lengths[b]! ? 1 : 0;
});

describe.each(["bias", "fused"] as const)("%s", (rung) => {
  let end: () => void;
  beforeAll(() => void (end = forceRung("positions", rung)));
  afterAll(() => end());
  // `attention` is chosen by the device here, so that its heads of 8 and of 5 take different kernels.
  checkOp(op("both"), reference, {
    cases: [
      { shapes: shapes(1, 1, 1, 4) },
      { shapes: shapes(2, 7, 2, 8), args: [undefined, { scale: 0.3 }] },
      { shapes: shapes(1, 3, 3, 5, 2, 5), args: [undefined, { first: 1 }], note: "tables without the rows that no distance reaches" }, // prettier-ignore
    ],
    together: [["q", "k", "v", "keyPositions", "queryPositions"]],
  });
  checkOp(op("keys"), (q: NdArray, k: NdArray, v: NdArray, K: NdArray) => reference(q, k, v, K, undefined), {
    cases: [{ shapes: shapes(2, 6, 1, 8, 1) }],
    together: [["q", "k", "v"]],
  });
  checkOp(op("queries"), (q: NdArray, k: NdArray, v: NdArray, Q: NdArray) => reference(q, k, v, undefined, Q), {
    cases: [{ shapes: shapes(2, 6, 1, 8, 1) }],
    together: [["q", "k", "v"]],
  });

  describe("masked", () => {
    withDevice();
    test("a padded query attends to all tokens alike", async () => {
      const size = shapes(2, 7, 2, 8);
      const arrays = size.map((shape, n) => ndArray(shape, Float32Array.from(randomNormal(shape.reduce((a, b) => a * b), n + 1)))); // prettier-ignore
      const [q, k, v, K, Q] = arrays as [NdArray, NdArray, NdArray, NdArray, NdArray];
      const y = scope(() => {
        const [a, b, c, d, e] = arrays.map(({ data, shape }) => fromArray(Float32Array.from(data), shape)) as [Tensor, Tensor, Tensor, Tensor, Tensor]; // prettier-ignore
        return disentangledAttention(a, b, c, d, e, numberDistances(numbers), fromArray(seen, [2, 1, 7, 7], "bool"));
      });
      const want = reference(q, k, v, K, Q, ndArray([2, 1, 7, 7], seen));
      expectClose(await y.data(), want.data, { rtol: 1e-5, atol: 2e-6 }, "y");
    });
  });
});

describe.each(["naive", "online", "registers", "subgroup"] as const)("fused into attention by %s", (kernel) => {
  withDevice();
  const runs = () => ladders.attention.rungs[kernel].suits(device().adapter, { headDim: 8 });

  test("padding, dropout, and more tokens than a step takes: all gradients equal those of the written bias", async () => {
    if (!runs()) return;
    const [B, T, H, D] = [2, 37, 2, 8];
    const places = Array.from({ length: 2 * T - 1 }, (_, d) => Math.floor(d / 3)); // three distances for a number
    const mask = Array.from({ length: B * T * T }, (_, at) => {
      const length = at < T * T ? T : 20;
      return Math.floor(at / T) % T < length && at % T < length;
    });
    const size = [...Array<number[]>(3).fill([B, T, H, D]), ...Array<number[]>(2).fill([1, places.at(-1)! + 1, H, D])];
    const results = (positions: "bias" | "fused") =>
      withRung("attention", kernel, () =>
        withRung("positions", positions, () =>
          scope(() => {
            const inputs = size.map((shape, n) =>
              fromArray(
                randomNormal(
                  shape.reduce((a, b) => a * b),
                  n + 1,
                ),
                shape,
              ),
            );
            const [q, k, v, K, Q] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
            const how = { dropoutP: 0.2, generator: new Generator(3) };
            const { forward } = disentangledAttention.definition;
            const seen = fromArray(mask, [B, 1, T, T], "bool");
            const { output, saved } = forward(q, k, v, K, Q, numberDistances(places), seen, how);
            const dy = fromArray(randomNormal(B * T * H * D, 9), [B, T, H, D]);
            const all = { q: true, k: true, v: true, keyPositions: true, queryPositions: true };
            return [output, ...Object.values(backwardOf(disentangledAttention)(saved, dy, all))] as Tensor[];
          }),
        ),
      );
    const want = results("bias");
    for (const [n, x] of results("fused").entries())
      expectClose(
        await x.data(),
        await want[n]!.data(),
        { rtol: 1e-5, atol: 2e-5 },
        ["y", "dq", "dk", "dv", "dK", "dQ"][n]!,
      );
  });
});

describe("disentangledAttention", () => {
  withDevice();

  test("is fused where kernels may have as many buffers, and attention's kernels can", () => {
    const { fused } = ladders.positions.rungs;
    const cpu = { ...device().adapter, cpu: true, storageBuffers: 12 };
    expect(fused.suits(cpu, { headDim: 64 })).toBe(true);
    expect(fused.suits({ ...cpu, storageBuffers: 10 }, { headDim: 64 })).toBe(false);
    expect(fused.suits({ ...cpu, cpu: false, workgroupBytes: 32768 }, { headDim: 64 })).toBe(false);
  });

  test("errors", () => {
    const distances = numberDistances([0, 1, 2]);
    const q = zeros([1, 2, 3, 4]);
    expect(() => disentangledAttention(q, q, q, undefined, undefined, distances)).toThrow("neither keyPositions nor");
    expect(() => disentangledAttention(q, q, q, zeros([1, 3, 2, 4]), undefined, distances)).toThrow(
      "keyPositions is [1,3,2,4], not [1, R, 3, 4]",
    );
  });
});
