import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { destroy, fromArray, init, record, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Adafactor, type AdafactorOptions } from "./adafactor.ts";
import { clipFactor } from "./clip.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

interface Golden {
  shapes: number[][];
  steps: number;
  cases: Record<
    string,
    { options: Record<string, never>; params: number[][]; state: Record<string, number[]>[] } // prettier-ignore
  >;
}

// Made by Transformers in float64: python test/fixtures/make_adafactor.py > test/fixtures/adafactor.json
const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../../test/fixtures");
const golden = JSON.parse(readFileSync(join(fixtures, "adafactor.json"), "utf8")) as Golden;

/** Parameter k at t = 0, and its gradients from t = 1 on: the rule of make_adafactor.py. */
const numbers = (k: number, t: number): Float32Array =>
  Float32Array.from({ length: golden.shapes[k]!.reduce((a, b) => a * b) }, (_, i) =>
    t > 0 && Math.floor(i / 5) % 7 === 1 ? 0 : (((i * 379 + k * 83 + t * 251) % 1009) - 504) / 512 / 10 ** t,
  );

const optionsOf = (options: Record<string, never>): Partial<AdafactorOptions> =>
  Object.fromEntries(
    Object.entries(options).map(([key, v]) => [key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()), v]),
  );

function parameters(): [string, Tensor][] {
  return golden.shapes.map((shape, k) => {
    const p = fromArray(numbers(k, 0), shape).requireGrad();
    p.grad = fromArray(numbers(k, 1), shape);
    return [`p${k}`, p];
  });
}

function expectClose(name: string, got: ArrayLike<number>, want: readonly number[], absolute: number): void {
  const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= absolute + 5e-6 * Math.abs(w)));
  if (got.length !== want.length || wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`); // prettier-ignore
}

type How = "called" | "replayed" | "the device counts, and leaves two steps out";

describe.each(Object.entries(golden.cases))("Transformers' Adafactor: %s", (_, { options, params, state }) => {
  test.each<How>(["called", "replayed", "the device counts, and leaves two steps out"])("%s", (how) =>
    scope(async () => {
      const named = parameters();
      const optimizer = new Adafactor(named, optionsOf(options));
      const skips = how.startsWith("the device");
      const take = (): void =>
        scope(() => optimizer.step(skips ? clipFactor(optimizer.parameters, 1e9, { skipNonFinite: true }) : undefined));
      let recording: { replay(): void; dispose(): void } | undefined;
      for (let t = 1; t <= golden.steps; t++) {
        for (const bad of skips && t % 2 === 1 ? [NaN, undefined] : [undefined]) {
          for (const [k, [, p]] of named.entries()) p.grad!.write(numbers(k, t));
          if (bad !== undefined) named[1]![1].grad!.writeBytes(new Uint8Array(Float32Array.of(bad).buffer), 8);
          if (how === "called" || t === 1) take();
          else if (recording) recording.replay();
          else recording = record(take).recording;
        }
      }
      for (const [k, [name, p]] of named.entries()) {
        expectClose(name, await p.data(), params[k]!, 2e-7);
        for (const [key, want] of Object.entries(state[k]!))
          expectClose(`${key}.${name}`, await optimizer.state().get(`${key}.${name}`)!.data(), want, 1e-9);
      }
      expect(optimizer.state().size).toBe(state.flatMap((s) => Object.keys(s)).length);
      recording?.dispose();
      optimizer.dispose();
    }),
  );
});

test("errors: rates that contradict each other, three dimensions", () => {
  const p = fromArray([1], [1]).requireGrad();
  expect(() => new Adafactor([["p", p]], { lr: 1e-3 })).toThrow("lr is 0.001, relativeStep true. Give lr, and");
  expect(() => new Adafactor([["p", p]], { relativeStep: false })).toThrow("lr is undefined, relativeStep false");
  expect(() => new Adafactor([["p", p]], { lr: 1, relativeStep: false, warmupInit: true })).toThrow(
    "needs relativeStep",
  );
  const cube = fromArray(new Float32Array(8), [2, 2, 2]).requireGrad();
  expect(() => new Adafactor([["p", cube]])).toThrow("a parameter is [2,2,2]; it takes vectors and matrices");
});
