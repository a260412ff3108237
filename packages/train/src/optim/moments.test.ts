import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { destroy, fromArray, init, keep, record, scope, undisposed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AveragedWeights } from "./averaged-weights.ts";
import * as moments from "./moments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const fixture = join(dirname(fileURLToPath(import.meta.url)), "../../test/fixtures/optimizers.json");
const { start, gradients, cases } = JSON.parse(readFileSync(fixture, "utf8")) as {
  start: number[];
  gradients: number[][];
  cases: Record<keyof typeof moments, { options: Record<string, unknown>; after: number[] }>;
};

const camelCase = (options: Record<string, unknown>): object =>
  Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => name !== "amsgrad")
      .map(([name, value]) => [name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), value]),
  );

function parameter(values: number[]): Tensor {
  const p = keep(fromArray(values, [values.length]));
  p.requiresGrad = true;
  return p;
}

const make = (name: keyof typeof moments, p: Tensor): moments.Lion =>
  new (moments[name] as typeof moments.Lion)([["p", p]], camelCase(cases[name].options));

function expectNear(got: ArrayLike<number>, want: number[]): void {
  const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= 2e-6 + 2e-6 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

const names = Object.keys(cases) as (keyof typeof moments)[];

test.each(names)("%s takes PyTorch's steps, and continues from its state", async (name) => {
  const before = undisposed();
  const [p, q] = [parameter(start), parameter(start)];
  const [optimizer, other] = [make(name, p), make(name, q)];
  for (const [t, gradient] of gradients.entries()) {
    p.grad = fromArray(gradient, [5]);
    optimizer.step();
    optimizer.zeroGrad();
    if (t !== 1) continue;
    const { tensors, ...rest } = optimizer.stateDict();
    await other.loadStateDict({ ...rest, tensors });
    q.writeBytes(await p.bytes());
  }
  for (const gradient of gradients.slice(2)) {
    q.grad = fromArray(gradient, [5]);
    other.step();
    other.zeroGrad();
  }
  expectNear(await p.data(), cases[name].after);
  expect(Array.from(await q.data())).toEqual(Array.from(await p.data()));
  for (const made of [optimizer, other, p, q]) made.dispose();
  expect(undisposed()).toBe(before);
});

test("a recorded step asks again for what changes from step to step", async () => {
  for (const name of ["NAdam", "RAdam", "Adagrad"] as const) {
    const p = parameter(start);
    const optimizer = make(name, p);
    p.grad = keep(fromArray(gradients[0]!, [5]));
    const { recording } = record(() => optimizer.step());
    for (const gradient of gradients.slice(1)) {
      p.grad.write(gradient);
      recording.replay();
    }
    expectNear(await p.data(), cases[name].after);
    for (const made of [recording, optimizer, p]) made.dispose();
  }
});

test("options are checked by name and range", () => {
  const p = parameter([1]);
  expect(() => new moments.RMSprop([["p", p]], { momentm: 1 } as object)).toThrow("RMSprop: there is no option momentm. Did you mean momentum?"); // prettier-ignore
  expect(() => new moments.Lion([["p", p]], { betas: [0.9, 1] })).toThrow("Lion: betas is 1");
  p.dispose();
});

test("averages follow the weights, and change places with them", async () => {
  const w = parameter([1, 2]);
  const average = new AveragedWeights([["w", w]], { decay: 0.75 });
  expect(() => average.swap()).toThrow("AveragedWeights.swap: there is no average yet");
  for (const values of [
    [1, 2],
    [5, 2],
    [1, 6],
  ]) {
    w.write(values); // prettier-ignore
    average.update();
  }
  expect(await [...average.namedAverages()][0]![1].toArray()).toEqual([1.75, 3]); // 0.75 (0.75 · 1 + 0.25 · 5) + 0.25 · 1
  average.swap();
  expect(await w.toArray()).toEqual([1.75, 3]);
  average.swap();
  expect(await w.toArray()).toEqual([1, 6]);
  const plain = new AveragedWeights([["w", w]], { decay: "mean" });
  for (const values of [[1, 0], [2, 3], [6, 3]]) scope(() => (w.write(values), plain.update())); // prettier-ignore
  expectNear(await [...plain.namedAverages()][0]![1].data(), [3, 2]);
  for (const made of [average, plain, w]) made.dispose();
});
