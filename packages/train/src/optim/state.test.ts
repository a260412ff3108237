import { destroy, fromArray, init, keep, undisposed, record, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GradScaler } from "./grad-scaler.ts";
import { Adafactor } from "./adafactor.ts";
import { AdamW } from "./adamw.ts";
import type { Optimizer } from "./optimizer.ts";
import type { OptimizerState } from "./optimizer-state.ts";
import { SGD } from "./sgd.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Small parameters, which may share memory, and large ones. The last one's gradient comes late. */
const SHAPES = [[3], [129, 131], [5], [2, 3], [16_388], [7]];
const LATE = SHAPES.length - 1;

type Named = [name: string, parameter: Tensor][];

/** Parameters with these values, or with values that look random. */
const parametersOf = (values?: readonly Uint8Array[]): Named =>
  SHAPES.map((shape, k) => {
    const size = shape.reduce((a, b) => a * b);
    const p = fromArray(Float32Array.from({ length: size }, (_, i) => Math.sin(3 * i + k)), shape).requireGrad(); // prettier-ignore
    if (values) p.writeBytes(values[k]!);
    if (k !== LATE) p.grad = keep(fromArray(new Float32Array(size), shape));
    return [`p${k}`, p];
  });

/** Gradients of step t; one of them isn't finite at step 1. */
function setGradients(named: Named, t: number, bad: boolean): void {
  const late = named[LATE]![1];
  if (t >= 2) late.grad ??= keep(fromArray(new Float32Array(late.size), late.shape));
  for (const [k, [, { grad }]] of named.entries()) {
    const g = Float32Array.from({ length: grad?.size ?? 0 }, (_, i) => Math.cos(i * (k + 2) + t) / 8);
    if (bad && t === 1 && k === 1) g[5] = NaN;
    grad?.write(g);
  }
}

const bytesOf = (named: Named): Promise<Uint8Array[]> => Promise.all(named.map(([, p]) => p.bytes()));

/** A text of bytes: quick to compare. */
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

async function stateOf(optimizer: Optimizer): Promise<unknown> {
  const { tensors, ...rest } = optimizer.stateDict();
  return {
    ...rest,
    tensors: await Promise.all(Array.from(tensors, async ([k, t]) => [k, t.shape, text(await t.bytes())])),
  };
}

/** As it would be read from files: JSON, and bytes. */
async function saved(optimizer: Optimizer): Promise<OptimizerState> {
  const { tensors, ...rest } = optimizer.stateDict();
  const read = await Promise.all(Array.from(tensors, async ([k, t]) => [k, t.shape, await t.bytes()] as const));
  return {
    ...(JSON.parse(JSON.stringify(rest)) as Omit<OptimizerState, "tensors">),
    tensors: new Map(read.map(([k, shape, bytes]) => [k, { shape, bytes: () => Promise.resolve(bytes) }])),
  };
}

const OPTIMIZERS: Record<string, (named: Named) => Optimizer> = {
  AdamW: (named) => new AdamW(named, { lr: 0.01 }),
  Adafactor: (named) => new Adafactor(named, { beta1: 0.9 }),
  SGD: (named) => new SGD(named, { lr: 0.1, momentum: 0.5, dampening: 0.25 }),
};

describe.each(Object.entries(OPTIMIZERS))("%s", (_name, optimizerOf) => {
  test.each([
    ["the host counts steps", false],
    ["the device does, and leaves one out", true],
  ])(
    "three steps, saved, loaded, and three more that are recorded, are six steps, byte for byte: %s",
    async (_, skips) => {
      const before = undisposed();
      await scope(async () => {
        const take = (optimizer: Optimizer, scaler: GradScaler): void => {
          scope(() => (skips ? scaler.step(optimizer) : optimizer.step()));
          if (skips) scaler.update();
        };
        const [whole, first] = [parametersOf(), parametersOf()];
        const [undisturbed, stopped] = [optimizerOf(whole), optimizerOf(first)];
        const scalers = [0, 1, 2].map(() => new GradScaler({ initScale: 1, growthInterval: 1000 }));
        for (let t = 0; t < 6; t++) {
          setGradients(whole, t, skips);
          take(undisturbed, scalers[0]!);
          if (t >= 3) continue;
          setGradients(first, t, skips);
          take(stopped, scalers[1]!);
        }
        const state = await saved(stopped);
        const second = parametersOf(await bytesOf(first));
        const resumed = optimizerOf(second);
        await resumed.loadStateDict(state);
        scalers[2]!.loadStateDict(await scalers[1]!.stateDict());
        expect(await stateOf(resumed)).toEqual(await stateOf(stopped));

        setGradients(second, 3, skips);
        const { recording } = record(() => take(resumed, scalers[2]!));
        for (const t of [4, 5]) {
          setGradients(second, t, skips);
          recording.replay();
        }
        expect((await bytesOf(second)).map(text)).toEqual((await bytesOf(whole)).map(text));
        expect(await stateOf(resumed)).toEqual(await stateOf(undisturbed));
        recording.dispose();
        for (const each of [undisturbed, stopped, resumed, ...scalers]) each.dispose();
      });
      expect(undisposed()).toBe(before);
    },
  );
});

test("states that don't fit are refused at the first difference; tensors are not read too late", () =>
  scope(async () => {
    const named = parametersOf();
    const adam = new AdamW(named);
    const state = adam.stateDict();
    const load = (given: Partial<OptimizerState>) => adam.loadStateDict({ ...state, ...given });
    const without = (key: string) => new Map([...state.tensors].filter(([k]) => k !== key));
    await expect(load({ parameters: state.parameters.slice(1) })).rejects.toThrow(
      "AdamW.loadStateDict: parameter 0 is p0 here, and p1 in the state. Make the optimizer as the one that was saved",
    );
    await expect(load({ parameters: state.parameters.slice(0, 5) })).rejects.toThrow("p5 here, and none in the state");
    await expect(load({ tensors: without("exp_avg_sq.p2") })).rejects.toThrow("exp_avg_sq.p2 [5] is not in the state");
    const other = new Map(state.tensors).set("exp_avg.p3", { shape: [3, 2], bytes: () => Promise.reject(new Error()) });
    await expect(load({ tensors: other })).rejects.toThrow("exp_avg.p3 is [2,3] here, and [3,2] in the state");
    await expect(load(new SGD(named).stateDict())).rejects.toThrow("exp_avg.p0 [3] is not in the state");
    const more = new Map(state.tensors).set("momentum_buffer.p0", state.tensors.get("exp_avg.p0")!);
    await expect(load({ tensors: more })).rejects.toThrow("the state has momentum_buffer.p0, which is not kept here");
    const cut = new Map(state.tensors).set("exp_avg.p0", { shape: [3], bytes: () => Promise.resolve(new Uint8Array(8)) }); // prettier-ignore
    await expect(load({ tensors: cut })).rejects.toThrow("exp_avg.p0 has 8 bytes; [3] in f32 takes 12");
    setGradients(named, 0, false);
    adam.step();
    expect(() => state.tensors.get("exp_avg.p0")!.bytes()).toThrow(/read too late: 1 steps now, 0 when stateDict\(\)/);
    adam.dispose();
  }));
