import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  AutoModelForSequenceClassification,
  openFile,
  SafetensorsFile,
  toFloat32,
  type ModelInputs,
} from "@gpugrad/bert";
import { destroy, device, fromArray, init, mul, undisposed, record, scope, sum, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { getScheduler } from "../schedule/get-scheduler.ts";
import { Adam, AdamW } from "./adamw.ts";
import { clipFactor, clipGradNorm, clipGradValue } from "./clip.ts";
import { noDecayGroups } from "./groups.ts";
import { SGD } from "./sgd.ts";
import { Adafactor } from "./adafactor.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** A parameter with a gradient, as backward would leave it. */
function parameter(values: number[], gradient: number[]): Tensor {
  const p = fromArray(values, [values.length]);
  p.requiresGrad = true;
  p.grad = fromArray(gradient, [values.length]);
  return p;
}

const close = async (t: Tensor, want: number[], relative = 2e-6, absolute = 1e-9): Promise<void> => {
  const got = await t.data();
  expect(got.length).toBe(want.length);
  want.forEach((w, i) => {
    if (!(Math.abs(got[i]! - w) <= absolute + relative * Math.abs(w)))
      expect.fail(`element ${i} is ${got[i]}, not ${w}`);
  });
};

/** A test that gives back what it makes. */
const scopedTest = (name: string, work: () => Promise<void>): void => test(name, () => scope(work));

/** Numbers within −1 … 1 that look random, the same for the same seed. */
const noise = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(12.9898 * (i + 1) + 78.233 * seed) ** 3));

describe("formulas, by float64 on the host", () => {
  const sizes = [3, 16_387, 5, 1, 16_384, 7, 0]; // five small ones: a dispatch of three, and one of two; and one with a tail

  test.each([
    ["AdamW", true],
    ["Adam", false],
  ] as const)("%s, of small parameters and a large one", (_name, decoupled) =>
    scope(async () => {
      const options = { lr: 0.01, betas: [0.8, 0.98] as const, eps: 1e-6, weightDecay: 0.1 };
      const parameters = sizes.map((n, k) => parameter(noise(n, k), noise(n, 10 + k)));
      const optimizer = new (decoupled ? AdamW : Adam)(
        parameters.map((p, k) => [`p${k}`, p]),
        options,
      );
      const want = sizes.map((n, k) => ({ p: noise(n, k), m: noise(n, 0).fill(0), v: noise(n, 0).fill(0) }));
      for (const t of [1, 2]) {
        const gradients = sizes.map((n, k) =>
          noise(n, 10 * t + k).map((g, i) => (i % 5 === 1 ? 0 : i % 7 === 2 ? g / 1e9 : g)),
        );
        parameters.forEach((p, k) => p.grad!.write(gradients[k]!));
        optimizer.step();
        want.forEach(({ p, m, v }, k) =>
          gradients[k]!.forEach((given, i) => {
            let g = Math.fround(given);
            if (decoupled) p[i]! *= 1 - options.lr * options.weightDecay;
            else g += options.weightDecay * p[i]!;
            m[i] = 0.8 * m[i]! + 0.2 * g;
            v[i] = 0.98 * v[i]! + 0.02 * g * g;
            p[i]! -= (options.lr * m[i]) / (1 - 0.8 ** t) / (Math.sqrt(v[i] / (1 - 0.98 ** t)) + options.eps);
          }),
        );
      }
      const state = optimizer.state();
      expect([...state.keys()].slice(0, 2)).toEqual(["exp_avg.p0", "exp_avg_sq.p0"]);
      for (const [k, { p, m, v }] of want.entries()) {
        await close(parameters[k]!, p, 5e-6, 1e-7);
        await close(state.get(`exp_avg.p${k}`)!, m, 5e-6, 1e-8);
        await close(state.get(`exp_avg_sq.p${k}`)!, v, 5e-6, 1e-8);
      }
      optimizer.dispose();
    }),
  );

  test("SGD with momentum, dampening and Nesterov: the first buffer is the gradient itself", async () => {
    const p = parameter([1], [2]);
    const optimizer = new SGD([["p", p]], { lr: 0.1, momentum: 0.5, nesterov: true });
    optimizer.step(); // b = 2; p = 1 − 0.1·(2 + 0.5·2)
    await close(p, [0.7]);
    optimizer.step(); // b = 0.5·2 + 2 = 3; p = 0.7 − 0.1·(2 + 0.5·3)
    await close(p, [0.35]);
    const q = parameter([1], [2]);
    const damped = new SGD([["q", q]], { lr: 0.1, momentum: 0.5, dampening: 0.25 });
    damped.step(); // b = 2
    damped.step(); // b = 1 + 0.75·2 = 2.5
    await close(q, [1 - 0.1 * 2 - 0.1 * 2.5]);
  });
});

test("groups: biases and layer norms are not decayed, embeddings are", async () => {
  const named: [string, Tensor][] = ["word_embeddings.weight", "dense.bias", "LayerNorm.weight"].map((name) => [
    name,
    parameter([1], [0]),
  ]);
  new AdamW(noDecayGroups(named), { lr: 0.1, weightDecay: 0.5 }).step();
  const values = await Promise.all(named.map(async ([, p]) => (await p.data())[0]!));
  expect(values).toEqual([Math.fround(0.95), 1, 1]);
});

test("errors: nothing to train, the same parameter twice", () => {
  const p = parameter([1], [1]);
  expect(() => new AdamW([["p", p], ["q", p]])).toThrow(/q is given twice/); // prettier-ignore
  expect(() => new AdamW([["p", fromArray([1], [1])]])).toThrow(/no parameter requires a gradient/);
});

test("a parameter whose gradient comes late is corrected by its own steps", async () => {
  const early = parameter([1], [1]);
  const late = parameter([1], [1]);
  const gradient = late.grad;
  late.grad = null;
  const optimizer = new AdamW([["early", early], ["late", late]], { lr: 0.1, weightDecay: 0 }); // prettier-ignore
  for (let i = 0; i < 9; i++) optimizer.step();
  late.grad = gradient;
  optimizer.step();
  await close(late, [0.9], 1e-6); // a first step moves by lr
});

test("parameters of sixteen bits are refused by name", () => {
  const half = parameter([1], [1]).to("f16").requireGrad();
  expect(() => new SGD([["w", half]])).toThrow(/SGD: w is f16; training needs f32/);
});

describe("clipping", () => {
  test("by the norm of all gradients together; nothing is read back", async () => {
    const a = parameter([0, 0], [3, 0]);
    const b = parameter([0], [4]);
    const norm = clipGradNorm([a, b], 1);
    expect(await norm.item()).toBe(5);
    await close(a.grad!, [3 / 5.000001, 0]);
    await close(b.grad!, [4 / 5.000001]);
  });

  test("a small norm changes nothing; zeros stay zeros", async () => {
    const p = parameter([0, 0], [0.3, 0]);
    clipGradNorm([p], 1).dispose();
    expect(await p.grad!.data()).toEqual(Float32Array.of(0.3, 0));
  });

  test("a million elements, in the 1-, 2- and infinity norm", async () => {
    const p = fromArray(new Float32Array(1_000_003), [1_000_003]);
    p.grad = fromArray(
      Float32Array.from({ length: 1_000_003 }, (_, i) => ((i % 7) - 3) / 4),
      [1_000_003],
    );
    const values = Array.from(await p.grad.data());
    await close(clipGradNorm([p], 1e9), [Math.sqrt(values.reduce((s, v) => s + v * v, 0))]);
    await close(clipGradNorm([p], 1e9, { normType: 1 }), [values.reduce((s, v) => s + Math.abs(v), 0)]);
    await close(clipGradNorm([p], 1e9, { normType: Infinity }), [0.75]);
  });

  scopedTest("in a step: the same bits as in place, for any mixture of sizes; gradients stay", async () => {
    const sizes = [1, 2, 3, 16_384, 4, 5, 63, 0, 257, 16_385, 64, 40_003];
    const make = (): Tensor[] => sizes.map((n, k) => parameter(noise(n, k), noise(n, 20 + k)));
    const [inPlace, inStep] = [make(), make()];
    const named = (parameters: Tensor[]) => parameters.map((p, k) => [`p${k}`, p] as const);
    const [one, other] = [new AdamW(named(inPlace)), new AdamW(named(inStep))];
    const norm = clipGradNorm(inPlace, 0.5);
    one.step();
    const by = clipFactor(inStep, 0.5);
    other.step(by);
    const squares = sizes.flatMap((n, k) => noise(n, 20 + k)).reduce((s, g) => s + g * g, 0);
    await close(norm, [Math.sqrt(squares)]);
    expect(await by.norm.item()).toBe(await norm.item());
    for (const [k, p] of inStep.entries()) {
      expect(await p.data()).toEqual(await inPlace[k]!.data());
      expect(await p.grad!.data()).toEqual(Float32Array.from(noise(sizes[k]!, 20 + k)));
    }
    one.dispose();
    other.dispose();
  });

  describe.each<[string, (named: [string, Tensor][]) => AdamW | SGD]>([
    ["AdamW", (named) => new AdamW(named, { lr: 0.01 })],
    ["SGD", (named) => new SGD(named, { lr: 0.1, momentum: 0.5, dampening: 0.25 })],
  ])("skipNonFinite, %s", (_name, optimizerOf) => {
    scopedTest("a step with a gradient that isn't finite leaves no trace but `found`, recorded as well", async () => {
      const sizes = [3, 16_387];
      const bad: Record<number, number> = { 0: NaN, 2: Infinity, 3: -Infinity };
      const make = (): [string, Tensor][] => sizes.map((n, k) => [`p${k}`, parameter(noise(n, k), noise(n, 9 + k))]);
      const [named, other] = [make(), make()];
      const [optimizer, never] = [optimizerOf(named), optimizerOf(other)];
      const work = () =>
        scope(() => {
          const by = clipFactor(optimizer.parameters, 0.5, { skipNonFinite: true });
          optimizer.step(by);
          return { norm: by.norm, found: by.found };
        });
      let recorded: ReturnType<typeof record<ReturnType<typeof work>>> | undefined;
      for (let t = 0; t < 7; t++) {
        const gradients = sizes.map((n, k) => noise(n, 10 * t + k));
        other.forEach(([, p], k) => p.grad!.write(gradients[k]!));
        if (t in bad) gradients[t % 2]![2] = bad[t]!;
        named.forEach(([, p], k) => p.grad!.write(gradients[k]!));
        if (recorded) recorded.recording.replay();
        const { norm, found } = recorded?.result ?? (t === 0 ? work() : (recorded = record(work)).result);
        expect(await found.item()).toBe(t in bad ? 1 : 0);
        if (t in bad) continue;
        expect(await norm.item()).toBeCloseTo(Math.hypot(...gradients.flat()), 3);
        never.step(clipFactor(never.parameters, 0.5));
      }
      // Corrections of Adam come from f32 on the device, and from float64 on the host.
      for (const [k, [, p]] of named.entries()) await close(p, Array.from(await other[k]![1].data()), 1e-6, 1e-7);
      recorded!.recording.dispose();
      optimizer.dispose();
      never.dispose();
    });
  });

  scopedTest("on a GPU six gradients share a dispatch, large ones too", async () => {
    const sizes = [16_385, 40_003, 24_576, 3, 100_000, 16_384, 17_000, 65_536, 20_001, 257];
    const { adapter } = device();
    const gradients = sizes.map((n, k) => noise(n, 40 + k));
    const parameters = sizes.map((n, k) => parameter(new Array<number>(n).fill(0), gradients[k]!));
    const squares = gradients.flat().reduce((sum, g) => sum + g * g, 0);
    const largest = gradients.flat().reduce((most, g) => Math.max(most, Math.abs(g)), 0);
    Object.assign(adapter, { cpu: false });
    try {
      const before = device().queue.dispatched;
      const { norm } = clipFactor(parameters, 1);
      expect(device().queue.dispatched - before).toBe(5); // the scale, seven large ones, three small ones, the factor
      await close(norm, [Math.sqrt(squares)]);
      await close(clipFactor(parameters, 1, { normType: Infinity }).norm, [largest]);
      // Each element counts once: the first and the last of each gradient, by itself.
      for (const [k, n] of sizes.entries()) {
        for (const at of [0, n - 1]) {
          const only = parameters.map((p, i) => (p.grad!.write(new Float32Array(sizes[i]!)), p));
          only[k]!.grad!.write(Float32Array.from({ length: n }, (_, i) => (i === at ? -3 : 0)));
          expect(await clipFactor(only, 1, { normType: 1 }).norm.item()).toBe(3);
        }
      }
    } finally {
      Object.assign(adapter, { cpu: true });
    }
  });

  test("no gradient at all: norm 0", async () => {
    expect(await clipGradNorm([fromArray([1], [1])], 1).item()).toBe(0);
  });

  test.each([1, 2, Infinity] as const)(
    "a gradient with NaN: norm %s is NaN, and so are all gradients; infinite: 0 and NaN",
    async (normType) => {
      for (const [bad, norm, rest] of [
        [NaN, NaN, NaN],
        [-Infinity, Infinity, 0],
      ] as const) {
        const p = [parameter([0, 0, 0], [5, bad, 0.25]), parameter(noise(9000, 1), noise(9000, 2))]; // small and large have kernels of their own
        expect(await clipGradNorm(p, 1, { normType }).item()).toBe(norm);
        expect(await p[0]!.grad!.data()).toEqual(Float32Array.of(rest, NaN, rest));
        expect(new Set(await p[1]!.grad!.data())).toEqual(new Set(Number.isNaN(rest) ? [NaN] : [0, -0]));
      }
    },
  );

  test("by value: infinities become the bound, NaN stays", async () => {
    const p = parameter([0, 0, 0, 0, 0], [5, -Infinity, 0.25, NaN, -2]);
    clipGradValue([p], 0.5);
    expect(await p.grad!.data()).toEqual(Float32Array.of(0.5, -0.5, 0.25, NaN, -0.5));
  });
});

test("five updates of a tiny BERT follow PyTorch's", async () => {
  const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../bert/test/fixtures/tiny-bert");
  const { inputs, trace } = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as {
    inputs: ModelInputs & { labels: number[] };
    trace: { loss: number; grad_norm: number; learning_rate: number }[];
  };
  const model = await AutoModelForSequenceClassification.fromPretrained(folder);
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-2 });
  const schedule = getScheduler("cosine", { lr: 1e-2, numWarmupSteps: 0, numTrainingSteps: trace.length });
  let storages = 0;
  for (const [step, want] of trace.entries()) {
    expect(schedule.lr).toBeCloseTo(want.learning_rate, 12);
    optimizer.lr = schedule.lr;
    const { loss, norm } = scope(() => {
      const { loss } = model.forward(inputs);
      loss!.backward();
      const norm = clipGradNorm(optimizer.parameters, 1);
      optimizer.step();
      optimizer.zeroGrad();
      return { loss: sum(loss!), norm };
    });
    expect(await loss.item()).toBeCloseTo(want.loss, 5);
    expect(await norm.item()).toBeCloseTo(want.grad_norm, 4);
    loss.dispose();
    norm.dispose();
    schedule.step();
    if (step > 0) expect(undisposed()).toBe(storages);
    storages = undisposed();
  }
  const golden = await SafetensorsFile.open(await openFile(join(folder, "golden.safetensors")));
  for (const [name, parameter] of model.namedParameters()) {
    if (name.endsWith("key.bias")) continue; // it has no gradient but rounding noise, which Adam blows up to full steps
    const { dtype, bytes } = await golden.read(`final.${name}`);
    const want = toFloat32(dtype, bytes);
    const got = await parameter.data();
    const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= 2e-5));
    if (wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
  }
  await golden.close();
});

test.each([Adam, AdamW, SGD, Adafactor])(
  "a step of %o changes the parameter in place: an older tape refuses",
  (Optimizer) => {
    const before = undisposed();
    scope(() => {
      const p = parameter([1, 2, 3], [0.1, 0.2, 0.3]);
      const optimizer = new Optimizer([["p", p]]);
      const loss = sum(mul(p, p)); // saves p
      optimizer.step();
      expect(() => loss.backward()).toThrow(/changed in place/);
      optimizer.dispose();
    });
    expect(undisposed()).toBe(before);
  },
);
