import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isFloat, type DType } from "../dtype.ts";
import { uniformFloat } from "../random.ts";
import type { Backward } from "../recorder.ts";
import { type Device } from "../runtime/device.ts";
import { destroy, device, init } from "../runtime/init.ts";
import { folding } from "../runtime/run.ts";
import { scope } from "../scope.ts";
import { showShape, sizeOf, type Shape } from "../shape.ts";
import { fromArray } from "../factories.ts";
import { Tensor, undisposed } from "../tensor.ts";
import { ndArray, type NdArray } from "./nd-array.ts";
import { poison } from "./poison.ts";

/** One way to call an op: shapes of its tensor arguments, then the rest. */
export interface OpCase {
  /** Shapes of the leading tensor arguments; their elements are random, from a normal distribution. */
  shapes: Shape[];
  /** Arguments after the tensors, handed to op and reference alike. */
  args?: unknown[];
  /** Elements instead of random ones, per tensor. */
  values?: (ArrayLike<number> | undefined)[];
  /** Dtypes of the tensors, f32 unless said otherwise: i32 for indices, say. */
  dtypes?: DType[];
  /** Transforms the random elements, for instance to keep them positive. */
  map?: (value: number, tensor: number) => number;
  /** Which tensors of floats get no gradient, such as weights of a loss. */
  constant?: number[];
  /** Whether gradients are compared with finite differences (true unless said otherwise). */
  gradient?: boolean;
  /** |got − want| ≤ atol + rtol·|want|; 2e-6 and 1e-5 unless said otherwise. */
  atol?: number;
  rtol?: number;
  note?: string;
}

/** How an op is tested. */
export interface OpCases {
  cases: OpCase[];
  /** Inputs whose gradients come of one computation, so that one is there without being needed: `[["weight", "bias"]]`. */
  together?: string[][];
}

/** An op of any signature. */
interface AnyOp {
  readonly opName: string;
  readonly definition: {
    forward: (...args: never[]) => { output: Tensor | readonly Tensor[]; inputs: object; saved: unknown };
    backward: unknown;
  };
}

/**
 * Opens the device before a file's tests and closes it after them. Launches of more than three workgroups are folded, as large ones are, and
 * memory is poisoned: no kernel may depend on what lies in a new buffer or behind its end, or write there.
 */
export function withDevice(): void {
  const { most } = folding;
  let opened: Device;
  let check: () => Promise<void>;
  beforeAll(async () => {
    opened = await init();
    check = poison(opened);
    folding.most = 3;
  });
  afterEach(async () => {
    if (device() === opened && !opened.failed) await check();
  });
  afterAll(async () => {
    folding.most = most;
    await destroy();
  });
}

/** Runs the tests that `define` defines with the kernels that a GPU would get: any adapter has to compute right with them. */
export function withGpuKernels(define: () => void): void {
  describe("with kernels for GPUs", () => {
    beforeEach(() => void Object.assign(device().adapter, { cpu: false }));
    define();
  });
}

/**
 * Tests an op: forward against the float64 reference, each gradient against central differences of that reference (so neither
 * is ever compared with itself), that no gradient is computed which nobody needs, that a NaN in an input comes out where it does in the reference, and that nothing stays allocated.
 */
export function checkOp(op: AnyOp, reference: (...args: never[]) => NdArray, { cases, together = [] }: OpCases): void {
  describe(op.opName, () => {
    withDevice();
    for (const c of cases) {
      const title = `${c.shapes.map(showShape).join(" ")} ${JSON.stringify(c.args ?? [])} ${c.note ?? ""}`;
      test(title, async () => {
        const before = undisposed();
        const inputs = inputsOf(c);
        const args = c.args ?? [];
        const evaluate = (xs: NdArray[]): NdArray => reference(...([...xs, ...args] as never[]));
        const want = evaluate(inputs);
        const dy = ndArray(want.shape, Float32Array.from(randomNormal(sizeOf(want.shape), 99)));

        const tensors = inputs.map((x, i) => fromArray(x.data, x.shape, c.dtypes?.[i]));
        const got = scope(() => {
          const { output, inputs: names, saved } = op.definition.forward(...([...tensors, ...args] as never[]));
          const y = output instanceof Tensor ? output : output[0]!;
          const backward = op.definition.backward;
          if (c.gradient === false || typeof backward !== "function") return { y, gradients: [] };
          const needs = Object.fromEntries(Object.keys(names).map((name) => [name, true]));
          const dyOf = () => fromArray(Float32Array.from(dy.data), dy.shape);
          const given = dyOf();
          const gradients = (backward as Backward)(saved as never, given, needs);
          for (const wanted of Object.keys(names)) {
            const alone = Object.fromEntries(Object.keys(names).map((name) => [name, name === wanted]));
            const given = Object.entries((backward as Backward)(saved as never, dyOf(), alone));
            const isPartner = (name: string) => together.some((all) => all.includes(name) && all.includes(wanted));
            const extra = given.filter(([name, gradient]) => gradient && !isPartner(name) && name !== wanted);
            expect(
              extra.map(([name]) => name),
              `gradients that nobody needs, beside that of ${wanted}`,
            ).toEqual([]);
          }
          const gradientOf = (t: Tensor, i: number) => {
            if (!isFloat(t.dtype) || c.constant?.includes(i)) return undefined;
            const name = Object.entries(names).find(([, input]) => input === t)?.[0];
            expect(name, `the input with the gradient of tensor ${i}`).toBeDefined();
            expect(gradients[name!], `the gradient of ${name}`).toBeDefined();
            return gradients[name!];
          };
          return { y, gradients: tensors.map(gradientOf) };
        });
        const tolerance = { rtol: c.rtol ?? 1e-5, atol: c.atol ?? 2e-6 };
        expect(got.y.shape).toEqual(want.shape);
        expectClose(await got.y.data(), want.data, tolerance, `${op.opName} forward`);
        for (const [i, gradient] of got.gradients.entries()) {
          if (!gradient) continue;
          expect(gradient.shape).toEqual(inputs[i]!.shape);
          const dx = finiteDifferences(evaluate, inputs, i, dy);
          expectClose(
            await gradient.data(),
            dx,
            { ...tolerance, atol: Math.max(tolerance.atol, 1e-6) * 4 },
            `${op.opName} gradient ${i}`,
          );
        }
        for (const t of new Set([...tensors, got.y, ...got.gradients])) if (t && !t.disposed) t.dispose();
        expect(undisposed(), "storages left over").toBe(before);
      });
    }
    test("NaN stays NaN", async () => {
      for (const c of cases) {
        const inputs = inputsOf(c);
        if (inputs.reduce((sum, x) => sum + x.data.length, 0) > MAX_ELEMENTS_FOR_NAN) continue;
        for (const [which, x] of inputs.entries()) {
          if (!isFloat(c.dtypes?.[which] ?? "f32")) continue;
          for (const at of placesIn(x)) {
            const before = x.data[at]!;
            x.data[at] = NaN;
            const want = reference(...([...inputs, ...(c.args ?? [])] as never[]));
            const y = scope(() => {
              const tensors = inputs.map(({ data, shape }, i) => fromArray(data, shape, c.dtypes?.[i]));
              const { output } = op.definition.forward(...([...tensors, ...(c.args ?? [])] as never[]));
              return output instanceof Tensor ? output : output[0]!;
            });
            expectSameNaN(
              await y.data(),
              want.data,
              `${op.opName}, element ${at} of input ${which} ${showShape(x.shape)}`,
            );
            y.dispose();
            x.data[at] = before;
          }
        }
      }
    });
  });
}

/** Larger cases are not tried with NaN: what they add is only size. */
const MAX_ELEMENTS_FOR_NAN = 4000;

/** Where a NaN is put: into the first, a middle and the last element. */
export const placesIn = ({ data: { length } }: NdArray): number[] => [
  ...new Set([0, Math.floor(length / 2), length - 1].filter((at) => at >= 0 && at < length)),
];

/** Fails where one is NaN and the other is not; says where. */
export function expectSameNaN(got: ArrayLike<number>, want: ArrayLike<number>, what: string): void {
  const pattern = (x: ArrayLike<number>): string => Array.from(x, (v) => (Number.isNaN(v) ? "N" : ".")).join("");
  expect(pattern(got), `${what} is NaN: NaN in the result (N)`).toBe(pattern(want));
}

/** The elements of a case's tensors. */
const inputsOf = (c: OpCase): NdArray[] =>
  c.shapes.map((shape, i) => {
    const values = c.values?.[i] ?? randomNormal(sizeOf(shape), 17 * i + 1).map((v) => c.map?.(v, i) ?? v);
    return ndArray(shape, Float32Array.from(values));
  });

/** d/dx Σ f(x)·dy by central differences in float64: error about 1e-9. */
function finiteDifferences(f: (xs: NdArray[]) => NdArray, xs: NdArray[], which: number, dy: NdArray): Float64Array {
  const x = xs[which]!;
  const weighted = (): number => f(xs).data.reduce((sum, y, i) => sum + y * dy.data[i]!, 0);
  return x.data.map((value, i) => {
    const h = 1e-5 * Math.max(1, Math.abs(value));
    x.data[i] = value + h;
    const above = weighted();
    x.data[i] = value - h;
    const below = weighted();
    x.data[i] = value;
    return (above - below) / (2 * h);
  });
}

/** Fails where |got − want| > atol + rtol·|want| or either is NaN alone; says where, and the largest error. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { rtol, atol }: { rtol: number; atol: number },
  what: string,
): void {
  expect(got.length, `${what}: number of elements`).toBe(want.length);
  let worst = -1;
  let worstExcess = 0;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    if ((Number.isNaN(want[i]) && Number.isNaN(got[i])) || got[i] === want[i]) continue;
    const error = Math.abs(got[i]! - want[i]!);
    largest = Math.max(largest, error);
    const excess = error / (atol + rtol * Math.abs(want[i]!));
    if (!(excess <= 1) && !(excess <= worstExcess)) {
      worst = i;
      worstExcess = excess;
    }
  }
  if (worst < 0) return;
  expect.fail(
    `${what}: element ${worst} is ${got[worst]}, not ${want[worst]}: ${worstExcess.toPrecision(3)} times the tolerance ` +
      `(atol ${atol}, rtol ${rtol}); largest error ${largest.toExponential(2)}.`,
  );
}

/** The number nearest to p of those drawn: with it as the probability, dropout keeps that element, for the bound is exact. */
export const drawnNear = (p: number, words: Uint32Array): number =>
  Array.from(words, uniformFloat).reduce((a, b) => (Math.abs(b - p) < Math.abs(a - p) ? b : a));

/** Normally distributed numbers, the same for the same seed (mulberry32 and Box–Muller). */
export function randomNormal(count: number, seed: number): number[] {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
