import {
  add,
  addInPlace,
  copyInto,
  defaultGenerator,
  defineOp,
  destroy,
  dropout,
  dryRun,
  empty,
  fill,
  fromArray,
  init,
  linear,
  linearGelu,
  manualSeed,
  matmul,
  memory,
  resetPeakMemory,
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
  test("a gradient under a name that no input has is refused, rather than lost", () => {
    const twist = defineOp("twist", {
      forward: (x: Tensor) => ({ output: x.clone(), inputs: { x }, saved: {} }),
      backward: (_, dy) => ({ dx: dy }) as never,
    });
    scope(() => {
      const loss = sum(twist(leaf([1, 2])));
      expect(() => loss.backward()).toThrow("backward: twist backward: it gives a gradient for dx; the inputs are x.");
    });
  });

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

  describe("of layers that share their input", () => {
    const numbers = (count: number, seed: number) => Array.from({ length: count }, (_, i) => Math.sin(seed + i * i));
    const weights = () => [3, 4, 5].map((seed) => fromArray(numbers(8 * 8, seed), [8, 8]));
    /** A residual and three layers, of 2 x each: the last comes first in backward. */
    const loss = (xs: Tensor[], [q, k, v]: Tensor[]) => {
      const hs = xs.map((x) => mul(x, 2));
      const [a, b, c, d] = [0, 1, 2, 3].map((i) => hs[i % hs.length]!);
      const ys = [linear(a!, q!), linear(b!, k!), linearGelu(c!, v!), d!];
      return ys.map((y) => sum(mul(y, y))).reduce((x, y) => add(x, y));
    };
    const values = numbers(5 * 8, 1);
    const inputs = (count: number) => Array.from({ length: count }, () => leaf(values, [5, 8]));

    test("each adds to the gradient that is there, in the kernel of its product: the bits are those of sums one by one", async () => {
      const [shared] = inputs(1);
      scope(() => loss([shared!], weights()).backward());
      const each = inputs(4); // then nothing adds up
      scope(() => loss(each, weights()).backward());
      const [q, k, v, residual] = await Promise.all(each.map((x) => read(x.grad!)));
      const f32 = Math.fround;
      const added = residual!.map((r, i) => f32(f32(f32(r + v![i]!) + k![i]!) + q![i]!)); // doubling is exact
      expect(await read(shared!.grad!)).toEqual(added);
    });

    test("no separate pass adds them up", () => {
      const additions = (count: number): number =>
        dryRun(() => loss(inputs(count), weights()).backward()).dispatches.filter(({ kernel }) =>
          kernel.endsWith("/binary.wgsl"),
        ).length;
      expect(additions(1)).toBe(additions(4) - 2 * 3); // three doublings less, forward and backward
    });

    test("a gradient that another holds as well isn't changed", async () => {
      // y = h + h wᵀ: h and the layer get the same dy.
      const x = leaf([1, 2], [1, 2]);
      scope(() => {
        const h = mul(x, 1);
        sum(mul(add(h, linear(h, fromArray([1, 2, 3, 4], [2, 2]))), fromArray([1, 10], [1, 2]))).backward();
      });
      expect(await read(x.grad!)).toEqual([1 + 1 + 30, 10 + 2 + 40]);
    });

    test("a leaf's own gradient, too", async () => {
      const x = leaf([1, 2], [1, 2]);
      const w = fromArray([1, 2, 3, 4], [2, 2]);
      scope(() => sum(add(linear(x, w), linear(x, w))).backward());
      expect(await read(x.grad!)).toEqual([8, 12]);
    });
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

  test("an op that gives no gradient for an input ends there; the rest of the tape continues", async () => {
    const first = defineOp("first", {
      forward: (a: Tensor, b: Tensor) => ({ output: a.clone(), inputs: { a, b }, saved: {} }),
      backward: (_saved, dy) => ({ a: dy }),
    });
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    const before = undisposed();
    scope(() => sum(first(mul(a, 3), mul(b, 5))).backward());
    expect(await read(gradientOf(a))).toEqual([3, 3]);
    expect(b.grad).toBeNull();
    expect(undisposed()).toBe(before + 1);
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

  test("a result that was changed in place can't be used further, whoever changed it", async () => {
    const x = leaf([1, 2]);
    const before = undisposed();
    const changes: [string, (y: Tensor) => void][] = [
      ["fill", (y) => fill(y, 0)],
      ["write", (y) => y.write([0, 0])],
      ["writeBytes", (y) => y.writeBytes(new Uint8Array(4))],
      ["restore", (y) => y.restore(new Uint8Array(8))],
      ["copyInto", (y) => copyInto(y, tensor([0, 0]))],
      ["addInPlace", (y) => addInPlace(y, tensor([1, 1]))],
      ["of an alias", (y) => fill(y.detach(), 0)],
      ["without recording", (y) => noGrad(() => fill(y, 0))],
    ];
    for (const [how, change] of changes) {
      scope(() => {
        const y = mul(x, 2);
        change(y);
        expect(() => sum(y), how).toThrow(/^sum: x, \[2\] made by mul \(step \d+\), was modified in place since/);
        expect(() => y.backward({ gradient: tensor([1, 1]) }), how).toThrow(/^backward: the loss, .*modified in place/);
      });
    }
    expect(undisposed()).toBe(before);
    // What was used before the change keeps its gradient, and a leaf may change: it has no past.
    scope(() => {
      const y = mul(x, 2);
      const loss = sum(y);
      fill(y, 0);
      loss.backward();
      fill(x, 5);
      expect(add(x, 1).requiresGrad).toBe(true);
    });
    expect(await read(x.grad!)).toEqual([2, 2]);
  });

  test("a change in place that would lose a gradient is refused", () => {
    const x = leaf([1, 2]);
    const target = tensor([0, 0]);
    expect(() => copyInto(target, x)).toThrow("copyInto: no gradient would flow back");
    expect(() => addInPlace(target, x)).toThrow("addInPlace: no gradient would flow back");
    noGrad(() => copyInto(target, x));
    addInPlace(target, x.detach());
  });

  test("a hook or an op that throws leaves nothing behind", () => {
    const broken = defineOp("broken", {
      forward: (x: Tensor) => ({ output: mul(x, 1), inputs: { x }, saved: {} }),
      backward: (_saved, dy) => ({ x: sum(dy) }), // of another shape
    });
    const x = leaf([1, 2]);
    const before = undisposed();
    const fails = (hooked: (y: Tensor) => Tensor | undefined, message: string | RegExp): void =>
      scope(() => {
        const y = mul(mul(x, 2), 3);
        const loss = sum(add(y, hooked(y) ?? y));
        expect(() => loss.backward()).toThrow(message);
      });
    fails((y) => (registerHook(y, () => { throw new Error("no"); }), undefined), "no"); // prettier-ignore
    fails((y) => (registerHook(y, () => 7 as never), undefined), "hook: a gradient [2] came back as 7.");
    fails((y) => broken(y), "broken backward: dx is [], but x is [2].");
    const off = registerHook(x, () => { throw new Error("leaf"); }); // prettier-ignore
    fails(() => undefined, "leaf");
    off();
    expect(undisposed()).toBe(before);
  });

  test("after retainGraph the tape is still there, and goes with the last handle", () => {
    const x = leaf([1, 2]);
    scope(() => {
      const y = tanh(x);
      const saved = memory().storages;
      const loss = sum(mul(y, y));
      loss.backward({ retainGraph: true });
      x.grad!.dispose();
      x.grad = null;
      expect(memory().storages - saved).toBe(2); // the product and its sum: what backward made is gone
      expect(loss.storage.saves + y.storage.saves).toBe(3); // tanh saved y once, mul twice
      loss.backward();
      expect(y.storage.saves).toBe(0);
    });
  });

  test("whole numbers have no gradient", () => {
    for (const dtype of ["i32", "u32", "bool"] as const) {
      expect(() => tensor([1, 0], dtype).requireGrad()).toThrow(
        `Tensor([2] ${dtype}, user) has no gradient: only floats`,
      );
      expect(() => (tensor([1, 0], dtype).requiresGrad = true)).toThrow("only floats");
    }
    for (const dtype of ["f32", "f16", "bf16"] as const)
      expect(tensor([1], dtype).requireGrad().requiresGrad).toBe(true);
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

test("each leaf is named once its gradient is complete, before backward is over", async () => {
  const [a, b, c] = [leaf([2]), leaf([3]), leaf([5])];
  const names = new Map([
    [a, "a"],
    [b, "b"],
    [c, "c"],
  ]);
  const squared = (x: Tensor): Tensor => mul(mul(x, a), a);
  const named = async (loss: () => Tensor): Promise<[string, number][]> => {
    const complete: [string, Promise<number>][] = [];
    scope(() => loss().backward({ onGradient: (one) => complete.push([names.get(one)!, one.grad!.item()]) }));
    for (const one of names.keys()) {
      one.grad?.dispose();
      one.grad = null;
    }
    return Promise.all(complete.map(async ([name, value]): Promise<[string, number]> => [name, await value]));
  };
  // 2·3·5·2: c is used last, a first and in the end.
  expect(await named(() => mul(mul(mul(mul(a, 1), b), c), a))).toEqual([
    ["c", 12],
    ["b", 20],
    ["a", 60],
  ]);
  // Layers that share a, computed again in backward: (b a²) a² c. The first that is done with doesn't complete a.
  const layers = (): Tensor => mul(checkpoint(squared, [checkpoint(squared, [mul(b, 1)])]), c);
  expect(await named(layers)).toEqual([
    ["c", 48],
    ["a", 480],
    ["b", 80],
  ]);
  expect(await named(() => b)).toEqual([["b", 1]]);
});

test("noGrads that overlap leave recording as it was", async () => {
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await Promise.all([noGrad(() => wait(5)), noGrad(() => wait(15))]);
  expect(scope(() => mul(leaf([1]), 2).requiresGrad)).toBe(true);
});

test("an evaluation without recording does not reach what runs at the same time", async () => {
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const [x, y] = [leaf([1]), leaf([1])];
  const evaluation = noGrad(async () => {
    await wait(5);
    return scope(() => mul(x, 2).requiresGrad);
  });
  const recorded = scope(() => mul(y, 2).requiresGrad);
  await wait(1);
  expect([recorded, scope(() => mul(y, 2).requiresGrad), await evaluation]).toEqual([true, true, false]);
  let late: Promise<boolean> | undefined;
  noGrad(() => void (late = wait(1).then(() => scope(() => mul(x, 2).requiresGrad))));
  expect(await late).toBe(true); // noGrad has ended by then
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

  test("takes the memory of one part at a time, whatever scopes the function has", () => {
    const w = [1, 2, 3, 4].map((seed) => leaf(new Array<number>(4096).fill(seed * 1e-3), [64, 64]));
    const x = leaf(new Array<number>(64 * 1024).fill(0.1), [1024, 64]); // 256 KiB, as everything in between
    const part = (weight: Tensor) => (t: Tensor) => {
      let h = t;
      for (let i = 0; i < 6; i++) h = tanh(matmul(h, weight));
      return h;
    };
    const peak = (checkpointed: boolean): { held: number; peak: number } => {
      for (const t of [...w, x]) {
        t.grad?.dispose();
        t.grad = null;
      }
      const before = memory().bytes;
      resetPeakMemory();
      return scope(() => {
        let h: Tensor = x;
        for (const weight of w) h = checkpointed ? checkpoint(part(weight), [h]) : part(weight)(h);
        const held = memory().bytes - before;
        sum(h).backward();
        return { held, peak: memory().peakBytes - before };
      });
    };
    const [plain, less] = [peak(false), peak(true)];
    const KiB = 1024;
    expect(plain.held).toBeGreaterThanOrEqual(4 * 12 * 256 * KiB);
    expect(less.held).toBeLessThanOrEqual(4 * 256 * KiB);
    expect(less.peak).toBeLessThan(plain.held / 2);
  });

  test("of a function that returns a parameter", async () => {
    const [x, p] = [leaf([1]), leaf([4])];
    scope(() =>
      mul(
        checkpoint(() => p, [x]),
        3,
      ).backward(),
    );
    expect([await read(p.grad!), x.grad, p.gradNode]).toEqual([[3], null, null]);
  });

  test("whose second time throws puts generator and names back", () => {
    const x = leaf([1, 2]);
    let calls = 0;
    scope(() => {
      const y = checkpoint(
        (t) => {
          if (calls++ > 0) throw new Error("second");
          return dropout(t, { p: 0.5 });
        },
        [x],
      );
      const { state } = defaultGenerator;
      expect(() => sum(y).backward()).toThrow("second");
      expect(defaultGenerator.state).toEqual(state);
      expect(tensor([1]).op).toBe("user");
    });
    expect(() => checkpoint(() => undefined as never, [x])).toThrow("the function returned undefined, not a tensor");
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
