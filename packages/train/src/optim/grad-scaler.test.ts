import {
  autocast,
  crossEntropy,
  destroy,
  fromArray,
  init,
  kernel,
  linear,
  manualSeed,
  undisposed,
  randn,
  relu,
  run,
  scope,
  type Tensor,
} from "@gpugrad/tensor";
import "@gpugrad/autograd";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GradScaler, initGradScaler, updateGradScaler, type GradScalerOptions } from "./grad-scaler.ts";
import { Adam, AdamW } from "./adamw.ts";
import { clipGradNorm } from "./clip.ts";
import clockCode from "./clock.wgsl";
import { SGD } from "./sgd.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** A test that gives back what it makes. */
const scopedTest = (name: string, work: () => Promise<void>): void => test(name, () => scope(work));

const SIZES = [3, 16_387, 5]; // two small parameters, and a large one with a tail

function parameters(): [name: string, parameter: Tensor][] {
  return SIZES.map((n, k) => {
    const p = fromArray(Float32Array.from({ length: n }, (_, i) => Math.sin(i + k)), [n]).requireGrad(); // prettier-ignore
    p.grad = fromArray(new Float32Array(n), [n]);
    return [`p${k}`, p];
  });
}

/** Gradients of step t, times `scale`; `bad` is somewhere in one of them. */
function setGradients(named: [string, Tensor][], t: number, scale: number, bad?: number): void {
  for (const [k, [, p]] of named.entries()) {
    const g = Float32Array.from({ length: p.size }, (_, i) => scale * Math.fround(Math.cos(i * (k + 2) + t) / 8));
    if (bad !== undefined && k === t % SIZES.length) g[(t * 7) % g.length] = bad;
    p.grad!.write(g);
  }
}

const valuesOf = (named: [string, Tensor][]): Promise<ArrayLike<number>[]> =>
  Promise.all(named.map(([, p]) => p.data()));

/** Scale, and good steps since it changed, after a step with such a gradient. */
async function afterStep(scaler: GradScaler, p: Tensor, optimizer: SGD, gradient: number) {
  p.grad!.write([1, gradient]);
  scope(() => scaler.step(optimizer));
  scaler.update();
  const { scale, growthTracker } = await scaler.stateDict();
  return { scale, growthTracker };
}

test.each<GradScalerOptions>([
  { growthInterval: 2 },
  { growthInterval: 3, growthFactor: 4, backoffFactor: 0.25 },
  { growthInterval: 4, growthFactor: 1.5, initScale: 3 },
  { growthInterval: 1, initScale: 2 ** 125 }, // stops where f32 would overflow
])("the scale follows the rule on the host: %j", async (options) => {
  const scaler = new GradScaler(options);
  const p = fromArray([1, 1], [2]).requireGrad();
  p.grad = fromArray([0, 0], [2]);
  const optimizer = new SGD([["p", p]]);
  let state = initGradScaler(options);
  for (let t = 0; t < 40; t++) {
    const draw = (t * 7919) % 11;
    const gradient = draw === 3 ? Infinity : draw === 5 ? NaN : draw === 6 ? -Infinity : 1e30; // 1e60 would overflow
    state = updateGradScaler(state, !Number.isFinite(gradient), options);
    expect(await afterStep(scaler, p, optimizer, gradient)).toEqual(state);
  }
  scaler.dispose();
  optimizer.dispose();
});

describe.each([
  ["AdamW", (named: [string, Tensor][]) => new AdamW(named, { lr: 0.01 })],
  ["Adam", (named: [string, Tensor][]) => new Adam(named, { lr: 0.01, weightDecay: 0.1 })],
  ["SGD", (named: [string, Tensor][]) => new SGD(named, { lr: 0.1, momentum: 0.5, dampening: 0.25 })],
] as const)("%s", (_name, optimizerOf) => {
  scopedTest("skipped steps leave no trace: like an optimizer that never saw them", async () => {
    const [scaled, plain] = [parameters(), parameters()];
    const [optimizer, never] = [optimizerOf(scaled), optimizerOf(plain)];
    const scaler = new GradScaler({ initScale: 1024, growthInterval: 3 });
    const bad: Record<number, number> = { 0: NaN, 3: Infinity, 4: -Infinity, 8: NaN };
    for (let t = 0; t < 12; t++) {
      setGradients(scaled, t, await scaler.getScale(), bad[t]);
      const before = await valuesOf(scaled);
      scope(() => scaler.step(optimizer));
      scaler.update();
      if (t in bad) expect(await valuesOf(scaled)).toEqual(before);
      else {
        setGradients(plain, t, 1);
        never.step();
      }
    }
    const stateOf = (o: Pick<AdamW, "state">): Promise<ArrayLike<number>[]> =>
      Promise.all([...o.state().values()].map((state) => state.data()));
    const got = [...(await valuesOf(scaled)), ...(await stateOf(optimizer))];
    const want = [...(await valuesOf(plain)), ...(await stateOf(never))];
    for (const [k, values] of want.entries()) {
      for (let i = 0; i < values.length; i++) {
        // bias corrections come from f32 here, from float64 there
        if (!(Math.abs(got[k]![i]! - values[i]!) <= 1e-7 + 1e-6 * Math.abs(values[i]!))) {
          expect.fail(`tensor ${k}: element ${i} is ${got[k]![i]}, not ${values[i]}`);
        }
      }
    }
    for (const each of [optimizer, never, scaler]) each.dispose();
  });
});

scopedTest("1 − βᵗ on the device is right to 5e-7 for the first 10,000 steps", async () => {
  const tick = kernel("train/optim/clock.wgsl", clockCode);
  const count = 10_000;
  for (const [beta1, beta2] of [
    [0.9, 0.999],
    [0, 0.5],
    [0.95, 0.9999],
  ] as const) {
    // prettier-ignore
    const records = Float32Array.from({ length: 4 * (count + 1) }, (_, i) => (i % 4 === 0 ? i / 4 - 1 : 0)); // t − 1 steps were taken
    const clock = fromArray(records, [count + 1, 4]);
    const logs = { log_beta1: Math.max(-20, Math.log(beta1)), log_beta2: Math.log(beta2) };
    run(tick, { factor: fromArray([1, 1, 1, 1], [4]), clock }, { first: 1, count, ...logs }, { threads: count });
    const got = await clock.data();
    for (let t = 1; t <= count; t++) {
      const want = [t, 1 / -Math.expm1(t * Math.log(beta1)), 1 / Math.sqrt(-Math.expm1(t * Math.log(beta2)))];
      [0, 2, 3].forEach((at, i) => {
        const value = got[4 * t + at]!;
        if (!(Math.abs(value / want[i]! - 1) <= 5e-7))
          expect.fail(`β ${beta1}, ${beta2}, t ${t}: ${value}, not ${want[i]}`);
      });
    }
  }
});

scopedTest("clipping: step({ maxNorm }) is unscale(), clipGradNorm(), step()", async () => {
  const [one, other] = [parameters(), parameters()];
  const [fused, apart] = [new AdamW(one), new AdamW(other)];
  const [scalerOf1, scalerOf2] = [new GradScaler(), new GradScaler()];
  for (const [t, bad] of [undefined, Infinity, undefined].entries()) {
    setGradients(one, t, 2 ** (t > 1 ? 15 : 16), bad);
    setGradients(other, t, 2 ** (t > 1 ? 15 : 16), bad);
    const norms = scope(() => {
      const norm = scalerOf1.step(fused, { maxNorm: 0.5 });
      scalerOf2.unscale(apart);
      const sameNorm = clipGradNorm(apart.parameters, 0.5);
      scalerOf2.step(apart);
      return [norm, sameNorm];
    });
    scalerOf1.update();
    scalerOf2.update();
    const [a, b] = await Promise.all(norms.map((n) => n.item()));
    expect(a).toBe(b);
    if (!bad) expect(a).toBeCloseTo(Math.sqrt(SIZES.reduce((x, y) => x + y)) / 8 / Math.SQRT2, 0);
  }
  expect(await valuesOf(one)).toEqual(await valuesOf(other));
  expect(await scalerOf2.getScale()).toBe(32768);
});

scopedTest("the loss is scaled, and so are its gradients", async () => {
  const scaler = new GradScaler({ initScale: 8 });
  const w = fromArray([3], [1]).requireGrad();
  await scope(async () => {
    const loss = scaler.scale(w.mul(w).sum());
    expect(await loss.item()).toBe(72);
    loss.backward();
  });
  expect(await w.grad!.item()).toBe(48);
});

scopedTest(
  "with autocast the scale finds its level by itself: it shrinks until gradients fit f16, then training continues",
  async () => {
    manualSeed(1);
    const weights = [randn([16, 8]), randn([2, 16])] as [Tensor, Tensor];
    for (const w of weights) w.requireGrad();
    const x = randn([32, 8]);
    const y = fromArray(Int32Array.from({ length: 32 }, (_, i) => i % 2), [32], "i32"); // prettier-ignore
    const optimizer = new AdamW(weights.map((w, i) => [`w${i}`, w]), { lr: 0.05 }); // prettier-ignore
    const scaler = new GradScaler({ initScale: 2 ** 30, growthInterval: 5 });
    const losses: number[] = [];
    for (let t = 0; t < 60; t++) {
      const loss = scope(() => {
        const loss = autocast(() => crossEntropy(linear(relu(linear(x, weights[0])), weights[1]), y));
        scaler.scale(loss).backward();
        scaler.step(optimizer);
        scaler.update();
        optimizer.zeroGrad();
        return loss;
      });
      losses.push(await loss.item());
    }
    expect(losses[3]).toBe(losses[0]); // 2³⁰ times a gradient doesn't fit
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 10);
    expect(Math.log2(await scaler.getScale())).toBeLessThan(27);
    optimizer.dispose();
    scaler.dispose();
  },
);

scopedTest("a late parameter and one that never comes have clocks of their own", async () => {
  const [early, late, never] = [1, 1, 1].map(() => fromArray([1], [1]).requireGrad()) as [Tensor, Tensor, Tensor];
  const optimizer = new AdamW([["early", early], ["late", late], ["never", never]], { lr: 0.1, weightDecay: 0 }); // prettier-ignore
  const scaler = new GradScaler({ initScale: 4 });
  early.grad = fromArray([4], [1]);
  for (let t = 0; t < 9; t++) {
    if (t === 8) late.grad = fromArray([4], [1]);
    scope(() => scaler.step(optimizer));
    scaler.update();
  }
  expect(await late.item()).toBeCloseTo(0.9, 6); // a first step moves by lr
  expect(await early.item()).toBeCloseTo(0.1, 5);
  expect(await never.item()).toBe(1);
});

scopedTest("stateDict() and loadStateDict() continue where they were", async () => {
  const p = fromArray([1, 1], [2]).requireGrad();
  p.grad = fromArray([0, 0], [2]);
  const optimizer = new SGD([["p", p]]);
  const scaler = new GradScaler({ growthInterval: 3, initScale: 16 });
  await afterStep(scaler, p, optimizer, 1);
  await afterStep(scaler, p, optimizer, Infinity);
  await afterStep(scaler, p, optimizer, 1);
  const state = await scaler.stateDict();
  expect(state).toEqual({ scale: 8, growthTracker: 1, growthFactor: 2, backoffFactor: 0.5, growthInterval: 3 });
  const next = new GradScaler();
  next.loadStateDict(state);
  await afterStep(next, p, optimizer, 1);
  expect(await afterStep(next, p, optimizer, 1)).toEqual({ scale: 16, growthTracker: 0 });
  next.update(5);
  expect(await next.getScale()).toBe(5);
});

scopedTest("disabled, it only clips", async () => {
  const scaler = new GradScaler({ enabled: false });
  const p = fromArray([1], [1]).requireGrad();
  p.grad = fromArray([3], [1]);
  expect(scaler.scale(p)).toBe(p);
  expect(await scaler.step(new SGD([["p", p]], { lr: 1 }), { maxNorm: 1 }).item()).toBe(3);
  scaler.update();
  expect(await p.item()).toBeCloseTo(0, 6);
  expect([await scaler.getScale(), await scaler.report().data()]).toEqual([1, Float32Array.of(1, 0)]);
});

test("errors: calls out of order, and options that can't be", () => {
  const p = fromArray([1], [1]).requireGrad();
  p.grad = fromArray([3], [1]);
  const optimizer = new SGD([["p", p]]);
  const scaler = new GradScaler();
  expect(() => scaler.update()).toThrow(/update\(\) without a step\(\)/);
  scaler.unscale(optimizer);
  expect(() => scaler.unscale(optimizer)).toThrow(/after another unscale\(\)/);
  expect(() => scaler.step(optimizer, { maxNorm: 1 })).toThrow(/can't clip after unscale\(\)/);
  scope(() => scaler.step(optimizer));
  expect(() => scaler.step(optimizer)).toThrow(/after another step\(\)/);
  expect(() => scaler.unscale(optimizer)).toThrow(/after step\(\)/);
  scaler.update();
  const before = undisposed();
  expect(() => new GradScaler({ growthFactor: 1 })).toThrow(/growthFactor 1,/);
  expect(undisposed()).toBe(before);
});

scopedTest("unscale() without a step is forgotten by update(), and its memory given back", async () => {
  const named = parameters();
  const [optimizer, scaler] = [new SGD(named), new GradScaler({ initScale: 4 })];
  setGradients(named, 1, 4);
  scaler.unscale(optimizer);
  scaler.update();
  const before = undisposed();
  scaler.unscale(optimizer);
  scaler.update();
  expect(undisposed()).toBe(before);
  scaler.dispose();
  optimizer.dispose();
});
