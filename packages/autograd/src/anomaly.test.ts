import {
  add,
  cast,
  debug,
  destroy,
  div,
  exp,
  init,
  log,
  maskedFill,
  matmul,
  undisposed,
  mul,
  numerics,
  scope,
  softmax,
  sqrt,
  sum,
  tensor,
  type Tensor,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkpoint, detectAnomaly } from "./index.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

describe("detectAnomaly", () => {
  /** The finding for a scalar function of one leaf, and its backward. */
  async function found(values: number[], f: (x: Tensor) => Tensor, name = "weight"): Promise<string | undefined> {
    const storages = undisposed();
    const x = tensor(values).requireGrad();
    const { firstBad } = await detectAnomaly(() => scope(() => sum(f(x)).backward()), { parameters: [[name, x]] });
    x.dispose();
    expect(undisposed(), "storages left over").toBe(storages);
    expect(numerics.enabled).toBe(false);
    return firstBad?.message;
  }

  test("finite all through: nothing", async () => {
    expect(await found([1, 2, 3], (x) => mul(softmax(x), x))).toBeUndefined();
  });

  test("in the forward pass: the logarithm of a negative number, an exponential that overflows", async () => {
    expect(await found([1, -2, -3], (x) => mul(log(x), 2))).toBe(
      "first bad op: log in the forward pass, output [3] has 2 NaN, inputs finite",
    );
    expect(await found([1, 200], (x) => exp(mul(x, 3)), "encoder.norm.scale")).toBe(
      "first bad op: exp in the forward pass (encoder.norm), output [2] has 1 infinite, inputs finite",
    );
  });

  test("in the backward pass: a root at 0, a quotient whose gradient overflows", async () => {
    expect(await found([0, 4], sqrt, "head.scale")).toBe(
      "first bad op: sqrt in the backward pass (head), gradient of head.scale [2] has 1 infinite, inputs finite",
    );
    // 1e30 / 1e-5 is finite, 1e30 / 1e-10 is not.
    expect(await found([1e-5, 1], (x) => div(tensor([1e30, 1]), x))).toBe(
      "first bad op: div in the backward pass, gradient of weight [2] has 1 infinite, inputs finite",
    );
  });

  test("in the second forward pass of a checkpoint too", async () => {
    let again = false;
    const f = (x: Tensor): Tensor => {
      const y = again ? log(add(x, -5)) : x;
      again = true;
      return mul(y, 2);
    };
    expect(await found([1, 2], (x) => checkpoint(f, [x]))).toBe(
      "first bad op: log in the forward pass, output [2] has 2 NaN, inputs finite",
    );
  });

  test("infinities that the caller asked for are not reported; bad inputs are", async () => {
    const mask = tensor([true, false]);
    expect(await found([1, 2], (x) => softmax(maskedFill(x, mask, -Infinity)))).toBeUndefined();
    mask.dispose();
    const bad = tensor([NaN, Infinity]);
    expect(await found([1, 2], (x) => mul(x, bad))).toBe(
      "first bad op: mul in the forward pass, output [2] has 1 NaN and 1 infinite, inputs not finite: [2] made by user has 1 NaN and 1 infinite",
    );
    bad.dispose();
    for (const [value, what] of [
      [NaN, "1 NaN"],
      [Infinity, "1 infinite"],
    ] as const) {
      const bad = tensor([value, 1]);
      expect(await found([1, 2], (x) => mul(x, bad))).toBe(
        `first bad op: mul in the forward pass, output [2] has ${what}, inputs not finite: [2] made by user has ${what}`,
      );
      bad.dispose();
    }
    const [infinite, nan] = [tensor([Infinity, 1]), tensor([1, NaN])];
    expect(await found([1, 2], (x) => add(mul(x, infinite), nan))).toContain("first bad op: add in the forward pass");
    infinite.dispose();
    nan.dispose();
  });

  test("asynchronous work, its result, what it throws; and a debug() that is on stays on", async () => {
    const storages = undisposed();
    const x = tensor([2]);
    const { result, firstBad } = await detectAnomaly(async () => (await x.item()) + 1);
    expect([result, firstBad]).toEqual([3, undefined]);
    await expect(
      detectAnomaly(() => {
        mul(x, x).dispose();
        throw new Error("of the work");
      }),
    ).rejects.toThrow("of the work");
    debug({ checkNumerics: true });
    await detectAnomaly(() => scope(() => void log(mul(x, -1))));
    await expect(scope(() => log(mul(x, -1)).item())).rejects.toThrow("checkNumerics: log is the first op");
    debug({ checkNumerics: false });
    x.dispose();
    expect(undisposed()).toBe(storages);
  });

  test("a parameter that was cast keeps its name", async () => {
    const x = tensor([[1e20]]).requireGrad();
    const { firstBad } = await detectAnomaly(
      () =>
        scope(() => {
          const half = cast(mul(x, 1e-18), "bf16");
          void matmul(cast(x, "bf16"), mul(half, 1e20));
        }),
      { parameters: [["layer.dense.weight", x]] },
    );
    expect(firstBad!.message).toBe(
      "first bad op: matmul in the forward pass (layer.dense), output [1,1] has 1 infinite, inputs finite",
    );
    expect(firstBad).toMatchObject({ kind: "op", name: "matmul", direction: "forward", inputsFinite: true, inf: 1 });
    expect(firstBad!.inputs[0]!.largest).toBeCloseTo(1e20, -18);
    x.dispose();
  });
});
