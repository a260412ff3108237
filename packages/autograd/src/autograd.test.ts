import {
  add,
  defineOp,
  destroy,
  dropout,
  empty,
  fromArray,
  init,
  manualSeed,
  matmul,
  undisposed,
  mul,
  notDifferentiable,
  scope,
  softmax,
  sum,
  tanh,
  tensor,
  type Tensor,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkpoint, gradcheck, gradientOf, noGrad, registerHook, retainGrad, tape } from "./index.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const leaf = (values: number[], shape = [values.length]): Tensor =>
  Object.assign(fromArray(values, shape), { requiresGrad: true });
const read = async (t: Tensor): Promise<number[]> => Array.from(await t.data());

describe("backward", () => {
  test("chain rule through shared values, by hand", async () => {
    // y = Σ (a·b + a)², dy/da = 2(ab + a)(b + 1), dy/db = 2(ab + a)·a
    const a = leaf([1, 2, -3]);
    const b = leaf([0.5, -1, 2]);
    scope(() => {
      const s = add(mul(a, b), a);
      sum(mul(s, s)).backward();
    });
    expect(await read(a.grad!)).toEqual([2 * 1.5 * 1.5, 0, 2 * -9 * 3]);
    expect(await read(b.grad!)).toEqual([2 * 1.5 * 1, 0, 2 * -9 * -3]);
  });

  test("gradients add up over calls, until they are cleared", async () => {
    const x = leaf([3]);
    scope(() => mul(x, x).backward());
    scope(() => mul(x, x).backward());
    expect(await read(x.grad!)).toEqual([12]);
  });

  test("two leaves that share a gradient get memory of their own", () => {
    const a = leaf([1, 2]);
    const b = leaf([3, 4]);
    scope(() => sum(add(a, b)).backward());
    expect(a.grad!.buffer.id).not.toBe(b.grad!.buffer.id);
  });

  test("nothing but the gradients is left", () => {
    const w = leaf([1, 2, 3, 4], [2, 2]);
    const before = undisposed();
    for (let i = 0; i < 3; i++) {
      scope(() => sum(tanh(matmul(softmax(w), w))).backward());
      w.grad!.dispose();
      w.grad = null;
    }
    expect(undisposed()).toBe(before);
  });

  test("a tape that nobody can reach is let go without backward", () => {
    const w = leaf([1, 2, 3, 4], [2, 2]);
    const before = undisposed();
    scope(() => void sum(tanh(matmul(softmax(w), w))));
    expect(undisposed()).toBe(before);
  });

  test("a long tape", async () => {
    const x = leaf([1]);
    scope(() => {
      let y: Tensor = x;
      for (let i = 0; i < 3000; i++) y = add(y, x);
      y.backward();
    });
    expect(await read(x.grad!)).toEqual([3001]);
  });

  test("errors say what is wrong and the way out", () => {
    const x = leaf([1, 2]);
    scope(() => {
      const y = mul(x, x);
      expect(() => y.backward()).toThrow(/shape \[2\], not one element/);
      const loss = sum(y);
      loss.backward();
      expect(() => loss.backward()).toThrow(/used before.*retainGraph/);
      expect(() => tensor([1]).backward()).toThrow(/has no tape/);
      expect(() => noGrad(() => sum(mul(x, x))).backward()).toThrow(/noGrad/);
      expect(() => y.detach().backward()).toThrow(/has no tape/);
    });
    expect(() => gradientOf(leaf([1]), "classifier.bias")).toThrow(
      /classifier.bias \[1\] has no gradient: backward\(\) was not called/,
    );
  });

  test("retainGraph allows a second pass", async () => {
    const x = leaf([2]);
    scope(() => {
      const y = mul(x, x);
      y.backward({ retainGraph: true });
      y.backward();
    });
    expect(await read(x.grad!)).toEqual([8]);
  });

  test("a value changed in place after it was saved is noticed", () => {
    const x = leaf([1, 2]);
    const w = tensor([3, 4]);
    const before = undisposed();
    scope(() => {
      const loss = sum(mul(x, w));
      w.write([5, 6]);
      expect(() => loss.backward()).toThrow(/mul .*changed in place/);
    });
    expect(undisposed()).toBe(before);
  });

  test("an op without a gradient refuses when it is recorded", () => {
    const round = defineOp("round", {
      forward: (x: Tensor) => ({ output: empty(x.shape), inputs: { x }, saved: {} }),
      backward: notDifferentiable("it is constant between its steps"),
    });
    expect(() => scope(() => round(leaf([1])))).toThrow(/round: it has no gradient: it is constant/);
  });
});

describe("hooks", () => {
  test("see and change gradients, on leaves and results", async () => {
    const x = leaf([1, 2]);
    const seen: number[][] = [];
    const reads: Promise<void>[] = [];
    scope(() => {
      const y = mul(x, 3);
      registerHook(y, (g) => void reads.push(read(g).then((v) => void seen.push(v))));
      registerHook(x, (g) => mul(g, 10));
      retainGrad(y);
      sum(mul(y, y)).backward();
      reads.push(read(y.grad!).then((v) => void seen.push(v)));
    });
    await Promise.all(reads);
    expect(seen).toEqual([
      [6, 12],
      [6, 12],
    ]);
    expect(await read(x.grad!)).toEqual([180, 360]);
  });
});

test("a leaf's hook sees the whole gradient, once", async () => {
  const w = leaf([1]);
  let calls = 0;
  registerHook(w, (g) => {
    calls++;
    return g.clamp({ max: 2.5 });
  });
  scope(() => add(mul(w, 2), mul(w, 4)).backward());
  expect([calls, ...(await read(w.grad!))]).toEqual([1, 2.5]);
});

test("noGrads that overlap leave recording as it was", async () => {
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await Promise.all([noGrad(() => wait(5)), noGrad(() => wait(15))]);
  expect(scope(() => mul(leaf([1]), 2).requiresGrad)).toBe(true);
});

describe("checkpoint", () => {
  test("of a function that passes its input on, twice", async () => {
    const x = leaf([3]);
    for (let i = 0; i < 2; i++) scope(() => checkpoint((t) => t, [x]).backward());
    expect(await read(x.grad!)).toEqual([2]);
  });

  test("the same gradients as without, dropout included, for inputs and parameters", async () => {
    const run = async (checkpointed: boolean): Promise<number[][]> => {
      const x = leaf([0.3, -1, 2, 0.7], [2, 2]);
      const w = leaf([1, -2, 0.5, 3], [2, 2]);
      manualSeed(7);
      const block = (t: Tensor): Tensor => scope(() => dropout(tanh(matmul(t, w)), { p: 0.5 }));
      scope(() => {
        const y = checkpointed ? checkpoint(block, [x]) : block(x);
        sum(mul(y, y)).backward();
      });
      return [await read(x.grad!), await read(w.grad!)];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  test("saves only its inputs", () => {
    const x = leaf(new Array<number>(64).fill(1), [8, 8]);
    const deep = (t: Tensor): Tensor => scope(() => tanh(tanh(tanh(tanh(t)))));
    const held = (f: () => Tensor): number => {
      const before = undisposed();
      return scope(() => (f(), undisposed() - before));
    };
    expect(held(() => checkpoint(deep, [x]))).toBeLessThan(held(() => deep(x)));
  });
});

test("gradcheck passes right gradients and names the element of a wrong one", async () => {
  await gradcheck((a, b) => matmul(tanh(a), b), [leaf([0.1, 0.2, -0.3, 0.4], [2, 2]), leaf([1, -1, 0.5, 2], [2, 2])]);
  const wrong = defineOp("wrong", {
    forward: (x: Tensor) => ({ output: mul(x, x), inputs: { x }, saved: { x } }),
    backward: ({ x }, dy) => ({ x: mul(mul(x, 3), dy) }),
  });
  await expect(gradcheck((x) => wrong(x), [leaf([1, 2])])).rejects.toThrow(/input 0, element 0: backward gives 4.26/);
});

test("the tape can be printed and drawn", () => {
  const w = leaf([1, 2], [1, 2]);
  scope(() => {
    const loss = sum(tanh(w));
    const t = tape(loss, new Map([[w, "w"]]));
    expect(t.toString().split("\n")).toEqual([
      expect.stringMatching(/^#\d+ tanh \[1,2\] ← x: w$/),
      expect.stringMatching(/^#\d+ sum \[\] ← x: #\d+$/),
    ]);
    expect(t.toDot()).toMatch(/^digraph tape \{/);
    expect(t.toMermaid()).toContain('(["w"])');
  });
});
