import { device, profile, scope, type Tensor } from "@gpugrad/tensor";
import type { BenchCase } from "../../packages/tensor/src/testing/bench-op.ts";

/** What is reported of a case. A case that is wrong, or fails, has an error and no time. */
export interface Row {
  case: string;
  /** The folder of its op, `model` or `host`. */
  room: string;
  /** Which rung of the ladder, where ladders are timed, and its idea. */
  rung?: string;
  idea?: string;
  /** Median time of one run. */
  ms: number | null;
  /** Distance between the quartiles of the samples, as a share of the median. */
  spread: number | null;
  /** What the first run took beyond the median, in ms: compiling. */
  compile: number | null;
  gflops: number | null;
  gbs: number | null;
  /** Operations per byte of the least traffic. */
  intensity: number;
  /** Whose limit binds it: of f32 or of f16 factors. */
  arithmetic: "f32" | "f16";
  /** The time that this adapter's arithmetic and memory would need at least, as a share of the time measured: see `withShares`. */
  of_limit: number | null;
  /** The time that OpenBLAS would need for the arithmetic, as a share of the time measured; where OpenBLAS was measured. */
  of_blas?: number;
  /** What the time was read from: the device's timestamps, or this process's clock. */
  clock: "device" | "wall";
  /** The kernels it took, in the order of their first dispatch. */
  kernel: string;
  /** Dispatches and submits of one run. */
  dispatches: number | null;
  submits: number | null;
  /** What recording a run took in JavaScript, in µs for each dispatch: of the `host` cases. */
  us_per_dispatch?: number;
  adapter: string;
  /** The largest error against float64: of an element, or for a gradient as a share of its norm. */
  off?: number;
  error?: string;
}

const MIN_SAMPLE_MS = 20; // shorter runs are repeated within a sample: the end of waiting is noticed up to 1 ms late
const MIN_SAMPLES = 5;
const MIN_SAMPLES_OF_LONG = 3; // for a whole model on a slow machine
const MAX_SAMPLES = 50;
const BUDGET_MS = 700;
const WARM_UP_MS = 400;
const MAX_SETS = 64;

/** How this adapter is to be timed. */
export interface Conditions {
  clock: Row["clock"];
  /** The last-level cache, or what stands for it. */
  cacheBytes: number;
  /** How long to take samples of each candidate, in ms; 700 unless said otherwise. */
  budget?: number;
}

/**
 * Checks a case, then times it: the op itself, or rungs of its ladder (by index). These take turns, so that what disturbs the
 * machine disturbs all alike.
 */
export function measure(
  room: string,
  benchCase: BenchCase,
  conditions: Conditions,
  rungs: readonly (number | undefined)[] = [undefined],
): Promise<Row[]> {
  return scope(async () => {
    const candidates: Candidate[] = [];
    for (const rung of rungs) candidates.push(await prepare(room, benchCase, conditions, rung));
    try {
      await takeTurns(
        candidates.flatMap(({ sampler }) => sampler ?? []),
        conditions.budget,
      );
    } catch (error) {
      return candidates.map(({ row }) => ({ ...row, error: messageOf(error) }));
    }
    return candidates.map(({ row, sampler, firstMs }) => {
      if (!sampler) return row;
      const { median, spread } = statistics(sampler.samples);
      return {
        ...row,
        ms: median,
        spread,
        compile: Math.max(0, firstMs - median),
        gflops: benchCase.flops / median / 1e6,
        gbs: benchCase.bytes / median / 1e6,
      };
    });
  });
}

/** Something to time: its row, and if it is right, what takes the samples. */
interface Candidate {
  row: Row;
  sampler?: Sampler;
  firstMs: number;
}

/** Makes the inputs, runs a case for the first time, compares the result, and warms up. */
async function prepare(
  room: string,
  benchCase: BenchCase,
  { clock, cacheBytes, budget }: Conditions,
  rung: number | undefined,
): Promise<Candidate> {
  const { name, flops, bytes, wall, arithmetic = "f32" } = benchCase;
  const row: Row = {
    case: name,
    room,
    ...(rung !== undefined && { rung: benchCase.rungs![rung]!.name, idea: benchCase.rungs![rung]!.idea }),
    ...{ ms: null, spread: null, compile: null, gflops: null, gbs: null },
    intensity: flops / bytes,
    arithmetic,
    of_limit: null,
    clock: wall ? "wall" : clock,
    kernel: "",
    ...{ dispatches: null, submits: null },
    adapter: device().adapter.description,
  };
  try {
    // Enough inputs that none is still in a cache when its turn comes again.
    const sets = Math.min(MAX_SETS, Math.floor(cacheBytes / bytes) + 1);
    const workload = benchCase.prepare(sets, rung);
    await device().finish();
    const start = performance.now();
    const { result, kernels, dispatches, submits } = watch(() => workload.run(0));
    await device().finish();
    const firstMs = performance.now() - start;
    Object.assign(row, { dispatches, submits });
    row.kernel = kernels.length <= 4 ? kernels.join(", ") : `${kernels.length} kernels`;
    const off = await workload.verify(result);
    if (off !== undefined) row.off = off;
    return {
      row,
      sampler: await warmUp((i) => workload.run(i), { sets, clock: row.clock, ...(budget && { budget }) }),
      firstMs,
    };
  } catch (error) {
    return { row: { ...row, error: messageOf(error) }, firstMs: 0 };
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

type Work = (i: number) => Tensor | readonly Tensor[] | undefined;

export interface TimeOptions {
  /** How many sets of inputs there are: as many results live at a time, so that outputs too come from afar. */
  sets?: number;
  clock?: Row["clock"];
  /** See {@link Conditions}. */
  budget?: number;
}

/** Times of `work(i)` in milliseconds, after a warm-up; i counts up. What `work` returns is disposed later. */
export async function time(
  work: Work,
  options: TimeOptions = {},
): Promise<{ best: number; median: number; spread: number }> {
  const sampler = await warmUp(work, options);
  await takeTurns([sampler]);
  return statistics(sampler.samples);
}

/** Times taken so far, in milliseconds of one run, and how to take another. */
interface Sampler {
  samples: number[];
  take(): Promise<void>;
}

async function takeTurns(samplers: readonly Sampler[], each = BUDGET_MS): Promise<void> {
  const budget = each * samplers.length;
  const start = performance.now();
  for (let round = 0; round < MAX_SAMPLES; round++) {
    const elapsed = performance.now() - start;
    if (elapsed > budget && round >= MIN_SAMPLES) break;
    if (elapsed > 10 * budget && round >= MIN_SAMPLES_OF_LONG) break;
    for (const sampler of samplers) await sampler.take();
  }
}

/** Runs `work` with each set of inputs, and finds out how many runs make a sample. */
async function warmUp(work: Work, { sets = 1, clock = "wall", budget = BUDGET_MS }: TimeOptions): Promise<Sampler> {
  const results = new Array<ReturnType<Work>>(sets);
  let runs = 0;
  const once = (): void => {
    const at = runs % sets;
    for (const tensor of tensorsOf(results[at])) if (!tensor.disposed) tensor.dispose();
    results[at] = scope(() => work(runs));
    runs++;
  };
  const sample = async (repeats: number): Promise<number> => {
    const repeat = (): void => {
      for (let i = 0; i < repeats; i++) once();
    };
    if (clock === "device") {
      const kernels = await profile(repeat);
      return kernels.reduce((total, { ms }) => total + ms, 0) / repeats;
    }
    const start = performance.now();
    repeat();
    await device().finish();
    return (performance.now() - start) / repeats;
  };
  const start = performance.now();
  for (let i = 0; i < sets && performance.now() - start < budget; i++) await sample(1);
  // An idle GPU takes a while to raise its clocks, by a factor of five on an H200.
  while (!device().adapter.cpu && performance.now() - start < WARM_UP_MS) await sample(8);
  const repeats = Math.max(1, Math.ceil(MIN_SAMPLE_MS / (await sample(1))));
  const samples: number[] = [];
  return { samples, take: async () => void samples.push(await sample(repeats)) };
}

const tensorsOf = (result: ReturnType<Work>): readonly Tensor[] =>
  result === undefined ? [] : "length" in result ? result : [result];

/** Least, median, and distance between the quartiles as a share of the median. */
export function statistics(samples: readonly number[]): { best: number; median: number; spread: number } {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.round(q * (sorted.length - 1))]!;
  const median = quantile(0.5);
  return { best: sorted[0]!, median, spread: (quantile(0.75) - quantile(0.25)) / median };
}

/** Runs `work`, and reports which kernels it dispatched, how often, and in how many submits, the last one included. */
export function watch<T>(work: () => T): { result: T; kernels: string[]; dispatches: number; submits: number } {
  const { queue } = device();
  const before = { dispatched: queue.dispatched, batch: queue.batch };
  const dispatch = queue.dispatch.bind(queue);
  const names = new Set<string>();
  queue.dispatch = (...args) => {
    names.add(args[0].file.replace(/^.*\/|\.wgsl$/g, ""));
    dispatch(...args);
  };
  let result: T;
  try {
    result = work();
  } finally {
    queue.dispatch = dispatch;
  }
  queue.flush();
  return {
    result,
    kernels: [...names],
    dispatches: queue.dispatched - before.dispatched,
    submits: queue.batch - before.batch,
  };
}
