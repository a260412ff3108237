import { device, scope } from "@gpugrad/tensor";
import type { BenchCase } from "../../packages/tensor/src/testing/bench-op.ts";
import type { Limits } from "./limits.ts";

/** What is reported of a case. A case that is wrong, or fails, has an error and no time. */
export interface Row {
  case: string;
  /** Median time of one run. */
  ms: number | null;
  /** Distance between the quartiles of the samples, as a share of the median. */
  spread: number | null;
  gflops: number | null;
  gbs: number | null;
  /** The time that this adapter's arithmetic and memory would need at least, as a share of the time measured. */
  of_limit: number | null;
  /** The kernels it took, in the order of their first dispatch. */
  kernel: string;
  adapter: string;
  error?: string;
}

const MIN_SAMPLE_MS = 2; // shorter runs are repeated within a sample: starting and waiting cost up to 0.2 ms
const MIN_SAMPLES = 7;
const MAX_SAMPLES = 100;
const BUDGET_MS = 2000;

/** Checks a case, then times it. */
export async function measure(benchCase: BenchCase, limits: Limits): Promise<Row> {
  const { name, flops, bytes } = benchCase;
  const adapter = device().adapter.description;
  const row: Row = { case: name, ms: null, spread: null, gflops: null, gbs: null, of_limit: null, kernel: "", adapter };
  try {
    return await scope(async () => {
      const workload = benchCase.prepare();
      const { result, kernels } = watchKernels(() => workload.run(0));
      row.kernel = kernels.length <= 4 ? kernels.join(", ") : `${kernels.length} kernels`;
      await workload.verify(result);
      const { median, spread } = await time(() => workload.run(0));
      const least = 1000 * Math.max(flops / limits.flops, bytes / limits.bytes);
      return {
        ...row,
        ms: median,
        spread,
        gflops: flops / median / 1e6,
        gbs: bytes / median / 1e6,
        of_limit: least / median,
      };
    });
  } catch (error) {
    return { ...row, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Times of `work` in milliseconds, after a warm-up. What `work` makes is disposed. */
export async function time(
  work: () => void,
  budget = BUDGET_MS,
): Promise<{ best: number; median: number; spread: number }> {
  const sample = async (repeats: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) scope(() => void work());
    await device().finish();
    return (performance.now() - start) / repeats;
  };
  await sample(1);
  const repeats = Math.max(1, Math.ceil(MIN_SAMPLE_MS / (await sample(1))));
  const samples: number[] = [];
  const start = performance.now();
  while (samples.length < MIN_SAMPLES || (samples.length < MAX_SAMPLES && performance.now() - start < budget)) {
    samples.push(await sample(repeats));
  }
  samples.sort((a, b) => a - b);
  const quantile = (q: number): number => samples[Math.round(q * (samples.length - 1))]!;
  const median = quantile(0.5);
  return { best: samples[0]!, median, spread: (quantile(0.75) - quantile(0.25)) / median };
}

/** Runs `work` and gives the names of the kernels that it dispatched. */
function watchKernels<T>(work: () => T): { result: T; kernels: string[] } {
  const { queue } = device();
  const dispatch = queue.dispatch.bind(queue);
  const names = new Set<string>();
  queue.dispatch = (...args) => {
    names.add(args[0].file.replace(/^.*\/|\.wgsl$/g, ""));
    dispatch(...args);
  };
  try {
    return { result: work(), kernels: [...names] };
  } finally {
    queue.dispatch = dispatch;
  }
}
