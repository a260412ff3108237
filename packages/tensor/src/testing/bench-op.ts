import type { Rung } from "../ops/ladder.ts";
import { ladders, withRung, type LadderName, type RungOf } from "../ops/ladders.ts";
import type { Backward } from "../recorder.ts";
import { device } from "../runtime/init.ts";
import { sizeOf, type Shape } from "../shape.ts";
import { fromArray } from "../factories.ts";
import type { Tensor } from "../tensor.ts";
import { ndArray, type NdArray } from "./nd-array.ts";

/** Something to measure. Rooms export theirs as `benches` from `X.bench.ts`; `pnpm bench` finds them there. */
export interface BenchCase {
  name: string;
  /** The least arithmetic that computes it, in operations: a multiplication and an addition are two. */
  flops: number;
  /** The least memory traffic, in bytes: each input read once, each output written once. */
  bytes: number;
  /** Which arithmetic is the limit: of f32 unless said otherwise, or that of f16 factors (`autocast`). */
  arithmetic?: "f32" | "f16";
  /** Timed by the clock on the wall even where the device has timestamps: for what is more than its kernels, like a training step. */
  wall?: boolean;
  /** Too much for a CPU adapter. */
  gpuOnly?: boolean;
  /** The ladder: other ways to compute the same, the simplest first. */
  rungs?: readonly Pick<BenchRung, "name" | "idea" | "suits">[];
  /** Makes the inputs, `sets` times; the workload then runs the op, or the rung with this index. */
  prepare(sets?: number, rung?: number): Workload;
}

export interface Workload {
  /** Does the work once, on a set of inputs (counted on from 0 beyond the last): records it, and gives the results. */
  run(set: number): Tensor | readonly Tensor[];
  /** Compares results with float64, and gives the largest error where that is known. @throws when they are wrong */
  verify(result: Tensor | readonly Tensor[]): Promise<number | void>;
}

/** Another way to compute what the op does: with a rung of a ladder, or by other ops. */
export interface BenchRung {
  /** Its WGSL file: `softmax-rows.wgsl`. */
  name: string;
  /** What is new in it, in one line. */
  idea: string;
  /** Whether this adapter can run it; each can, unless said otherwise. */
  suits?: () => boolean;
  /** Does the op's work so. */
  inside?: <T>(work: () => T) => T;
  /** What is called instead of the op, with the same tensors. */
  run?: (...tensors: Tensor[]) => Tensor;
}

/** The rungs of a ladder for the sizes of a case. `suffix`: of the kernels of a backward. */
export const rungsOf = <L extends LadderName>(
  name: L,
  sizes: Parameters<RungOf<L>["suits"]>[1],
  suffix = "",
): BenchRung[] =>
  Object.values<Rung<typeof sizes>>(ladders[name].rungs).map((rung) => ({
    name: rung.kernel.replace(/^\S+/, `$&${suffix}.wgsl`),
    idea: rung.idea,
    suits: () => rung.suits(device().adapter, sizes),
    inside: (work) => withRung(name, rung.name, work),
  }));

/** What passes: |got − want| ≤ atol + rtol · |want|; 1e-4 each unless said otherwise. */
export interface Tolerance {
  rtol?: number;
  atol?: number;
}

/** What forward and backward cases have in common. */
interface Inputs {
  /** Shapes of the tensors; their elements are random numbers within −3 … 3. */
  shapes: Shape[];
  /** Other elements for the tensor with this index, given how many: ids, say (an Int32Array makes it i32). */
  values?: Record<number, (count: number) => Float32Array | Int32Array>;
  /** Shape of the result, if it is not that of the first tensor. */
  result?: Shape;
  /**
   * How many of the tensors, from the first on, are independent along their first dimension, as is the result: only some slices
   * of them are compared with the reference, since the whole would take longer than everything else. 1 unless said otherwise; 0
   * compares everything.
   */
  sliced?: number;
  /** Least arithmetic; 0 for what is bound by memory. */
  flops?: number;
  /** Too much for a CPU adapter. */
  gpuOnly?: boolean;
  /** `"f16"` for a case inside `autocast`: its limit is the arithmetic of f16 factors. */
  arithmetic?: "f32" | "f16";
  /** Least traffic, if it is not that of reading each tensor once and writing each result once. */
  bytes?: number;
}

/** How an op is measured. */
export interface OpBench extends Inputs {
  op: (...tensors: Tensor[]) => Tensor;
  /** The same in float64. */
  reference: (...arrays: NdArray[]) => NdArray;
  /** What op and rungs get instead of the tensors; made of them once, and not timed. */
  setup?: (...tensors: Tensor[]) => Tensor[];
  rungs?: readonly BenchRung[];
  tolerance?: Tolerance;
}

const SLICES = 16;
const atOnce = <T>(work: () => T): T => work();

/** A case of one op. */
export function benchOp(name: string, spec: OpBench): BenchCase {
  const { shapes, op, reference, setup = (...tensors) => tensors, rungs = [], flops = 0 } = spec;
  const resultSize = sizeOf(spec.result ?? shapes[0]!);
  return {
    name,
    flops,
    bytes: spec.bytes ?? 4 * (shapes.map(sizeOf).reduce((a, b) => a + b, 0) + resultSize),
    arithmetic: spec.arithmetic ?? "f32",
    gpuOnly: spec.gpuOnly ?? false,
    rungs,
    prepare(sets = 1, rung) {
      const values = valuesOf(spec);
      const inputs = Array.from({ length: sets }, () => setup(...values.map((v, i) => upload(v, shapes[i]!))));
      const { run = op, inside = atOnce } = rung === undefined ? {} : rungs[rung]!;
      return {
        run: (set) => inside(() => run(...inputs[set % sets]!)),
        async verify(result) {
          const got = await (result as Tensor).data();
          const { arrays, rows, count } = slicesOf(spec, values);
          const want = reference(...arrays).data;
          return expectClose(rows ? slicesFrom(got, rows, count) : got, want, spec.tolerance);
        },
      };
    },
  };
}

/** An op as `defineOp` makes it. */
interface AnyOp {
  readonly definition: {
    forward: (...args: never[]) => { output: Tensor | readonly Tensor[]; inputs: object; saved: unknown };
    backward: unknown;
  };
}

/** How an op's backward is measured: forward runs once, and is not timed. */
export interface BackwardBench extends Inputs {
  op: AnyOp;
  /** Arguments after the tensors. */
  args?: unknown[];
  /** Forward in float64: gradients are compared with its differences. */
  reference: (...arrays: NdArray[]) => NdArray;
  /** The inputs, by their names in the op, that get a gradient; all unless said otherwise. */
  needs?: string[];
  rungs?: readonly BenchRung[];
  /** Largest error of a gradient, as a share of its norm; 1e-3 unless said otherwise. */
  tolerance?: number;
  /** Surrounds forward: `autocast`, say. */
  inside?: <T>(work: () => T) => T;
}

/**
 * A case of an op's backward. Each gradient is checked along a random direction: its product with it is the difference that a
 * step there makes to Σ y · dy in float64. dy is 0 there but for the slices that the reference computes.
 */
export function benchBackward(name: string, spec: BackwardBench): BenchCase {
  const { shapes, op, args = [], reference, rungs = [], flops = 0, tolerance = 1e-3, inside = atOnce } = spec;
  const resultShape = spec.result ?? shapes[0]!;
  const forward = (tensors: Tensor[]) => inside(() => op.definition.forward(...([...tensors, ...args] as never[])));

  return {
    name,
    flops,
    bytes: spec.bytes ?? 4 * (2 * shapes.map(sizeOf).reduce((a, b) => a + b, 0) + sizeOf(resultShape)),
    arithmetic: spec.arithmetic ?? "f32",
    gpuOnly: spec.gpuOnly ?? false,
    rungs,
    prepare(sets = 1, rung) {
      const values = valuesOf(spec);
      const weights = uniform(sizeOf(resultShape), 99);
      const makeSet = () => {
        const tensors = values.map((v, i) => upload(v, shapes[i]!));
        const { inputs, saved } = forward(tensors);
        const named = Object.entries(inputs as Record<string, Tensor | undefined>);
        const differentiated = named.filter(([key, t]) => t && (spec.needs?.includes(key) ?? true));
        const needs = Object.fromEntries(named.map(([key]) => [key, differentiated.some(([other]) => other === key)]));
        return {
          saved,
          needs,
          names: differentiated.map(([key]) => key),
          dy: fromArray(weights, resultShape),
          at: differentiated.map(([, t]) => tensors.indexOf(t!)),
        };
      };
      type Set = ReturnType<typeof makeSet>;
      const made = Array.from({ length: sets }, makeSet);
      const gradients = ({ saved, needs, names }: Set, dy: Tensor): Tensor[] => {
        const { inside: within = atOnce } = rung === undefined ? {} : rungs[rung]!;
        const byName = within(() => (op.definition.backward as Backward)(saved as never, dy, needs));
        return names.map((key) => byName[key]!);
      };
      return {
        run: (set) => gradients(made[set % sets]!, made[set % sets]!.dy),
        async verify() {
          const { arrays, rows, sliced, count } = slicesOf(spec, values);
          const masked = weights.slice();
          if (rows) {
            masked.fill(0);
            const length = masked.length / count;
            for (const r of rows) masked.set(weights.subarray(r * length, (r + 1) * length), r * length);
          }
          const dy = rows ? slicesFrom(weights, rows, count) : weights;
          const got = gradients(made[0]!, fromArray(masked, resultShape));
          let largest = 0;
          for (const [g, gradient] of got.entries()) {
            const input = made[0]!.at[g]!;
            const direction = uniform(sizeOf(shapes[input]!), 300 + input).map(Math.sign);
            const dx = await gradient.data();
            let slope = 0;
            let square = 0;
            dx.forEach((v, i) => ((slope += v * direction[i]!), (square += v * v)));
            const step = rows && input < sliced ? slicesFrom(direction, rows, count) : direction;
            const h = 1e-4;
            const loss = (by: number): number => {
              const { shape, data } = arrays[input]!;
              const moved = { shape, data: data.map((v, i) => v + by * step[i]!) };
              const y = reference(...arrays.with(input, moved)).data;
              return y.reduce((total, v, i) => total + v * dy[i]!, 0);
            };
            const want = (loss(h) - loss(-h)) / (2 * h);
            if (!(Math.abs(slope - want) <= tolerance * Math.sqrt(square) + 1e-6)) {
              throw new Error(
                `wrong result: the gradient of input ${input} along a direction is ${slope}, not ${want} (its norm is ${Math.sqrt(square)})`,
              );
            }
            largest = Math.max(largest, Math.abs(slope - want) / Math.sqrt(square || 1));
          }
          return largest;
        },
      };
    },
  };
}

const upload = (values: Float32Array | Int32Array, shape: Shape): Tensor =>
  fromArray(values, shape, values instanceof Int32Array ? "i32" : "f32");

const valuesOf = ({ shapes, values }: Inputs): (Float32Array | Int32Array)[] =>
  shapes.map((shape, i) => values?.[i]?.(sizeOf(shape)) ?? uniform(sizeOf(shape), i + 1, 3));

/** The arrays that the reference gets, and which of how many slices these are; all of everything if nothing is sliced. */
function slicesOf({ shapes, sliced = 1 }: Inputs, values: readonly ArrayLike<number>[]) {
  const count = shapes[0]![0] ?? 1;
  const taken = Math.min(SLICES, count);
  const rows = sliced > 0 ? Array.from({ length: taken }, (_, s) => Math.floor((s * count) / taken)) : undefined;
  const arrays = values.map((v, i) =>
    rows && i < sliced ? ndArray([taken, ...shapes[i]!.slice(1)], slicesFrom(v, rows, count)) : ndArray(shapes[i]!, v),
  );
  return { arrays, rows, sliced, count };
}

/** Some of `count` slices along the first dimension. */
function slicesFrom(values: ArrayLike<number>, rows: readonly number[], count: number): Float64Array {
  const length = values.length / count;
  const taken = new Float64Array(rows.length * length);
  rows.forEach((row, s) => {
    for (let i = 0; i < length; i++) taken[s * length + i] = values[row * length + i]!;
  });
  return taken;
}

/** Numbers spread evenly over −scale … scale, the same for the same seed (mulberry32). */
export function uniform(count: number, seed: number, scale = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1) * scale;
  });
}

/** Whole numbers 0 … below − 1, evenly spread, the same for the same seed: ids, labels. */
export const uniformInts = (count: number, seed: number, below: number): Int32Array =>
  Int32Array.from(uniform(count, seed), (v) => Math.floor(((v + 1) / 2) * below));

/** The largest |got − want|. @throws when it is more than atol + rtol · |want| for an element, NaN included: says where, and by how much. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { rtol = 1e-4, atol = 1e-4 }: Tolerance = {},
): number {
  let largest = 0;
  if (got.length !== want.length) throw new Error(`wrong result: ${got.length} elements, not ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    if (!(Math.abs(got[i]! - want[i]!) <= atol + rtol * Math.abs(want[i]!))) {
      throw new Error(`wrong result: element ${i} is ${got[i]}, not ${want[i]}`);
    }
    largest = Math.max(largest, Math.abs(got[i]! - want[i]!));
  }
  return largest;
}
