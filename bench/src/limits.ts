import { device, empty, kernel, run, scope } from "@gpugrad/tensor";
import { time } from "./harness.ts";
import copyCode from "./copy.wgsl";
import multiplyAddCode from "./multiply-add.wgsl";

const copyKernel = kernel("bench/copy.wgsl", copyCode);
const multiplyAddKernel = kernel("bench/multiply-add.wgsl", multiplyAddCode);

/** What the adapter gives at most, as measured by kernels that do nothing else. */
export interface Limits {
  /** Operations per second, in registers. */
  flops: number;
  /** Bytes per second, read and written. */
  bytes: number;
}

const COPY_BYTES = 64 * 2 ** 20; // beyond the caches of CPUs, and within every adapter's limits
const ROUNDS = 1000;

/** Measures them: in the same run as the cases, because CPUs and GPUs change their pace. */
export function measureLimits(): Promise<Limits> {
  return scope(async () => {
    const x = empty([COPY_BYTES / 4]);
    const y = empty([COPY_BYTES / 4]);
    const count = COPY_BYTES / 16;
    const copy = await time(() => run(copyKernel, { x, y }, { count }, { threads: count }), 500);

    const threads = device().adapter.cpu ? 2 ** 13 : 2 ** 20;
    const params = { rounds: ROUNDS, factor: 0.999, term: 0.001 };
    const arithmetic = await time(() => run(multiplyAddKernel, { y }, params, { threads }), 500);
    return {
      bytes: (2 * COPY_BYTES * 1000) / copy.best,
      flops: (threads * ROUNDS * 64 * 1000) / arithmetic.best,
    };
  });
}
