import { device, empty, kernel, profile, run, scope, specialize, type Kernel } from "@gpugrad/tensor";
import { time, type Conditions, type Row } from "./harness.ts";
import copyCode from "./copy.wgsl";
import multiplyAddF16Code from "./multiply-add-f16.wgsl";
import multiplyAddMatrixCode from "./multiply-add-matrix.wgsl";
import multiplyAddCode from "./multiply-add.wgsl";

const copyKernel = kernel("bench/copy.wgsl", copyCode);
const multiplyAdd = kernel("bench/multiply-add.wgsl", multiplyAddCode);
const multiplyAddF16 = kernel("bench/multiply-add-f16.wgsl", multiplyAddF16Code);
const multiplyAddMatrix = kernel("bench/multiply-add-matrix.wgsl", multiplyAddMatrixCode);

/** What the adapter gives at most, as measured by kernels that do nothing else. */
export interface Limits extends Conditions {
  /** f32 operations per second, in registers. */
  f32: number;
  /** The same with factors of f16, by matrix units where there are any; not less than in f32, for a kernel may compute in f32. */
  f16: number;
  /** Bytes per second, read and written. */
  bytes: number;
  /** f32 operations per second that OpenBLAS reaches on this CPU; where the adapter is the CPU, and there is OpenBLAS. */
  blas?: number;
}

const COPY_BYTES = 64 * 2 ** 20; // beyond the caches of CPUs, and within every adapter's limits
const ROUNDS = 1000;

/** The better of two measurements: what disturbed one may have spared the other. */
export function better(a: Limits, b: Limits): Limits {
  const blas = Math.max(a.blas ?? 0, b.blas ?? 0);
  const [f32, f16, bytes] = [Math.max(a.f32, b.f32), Math.max(a.f16, b.f16), Math.max(a.bytes, b.bytes)];
  return { ...a, f32, f16, bytes, ...(blas > 0 && { blas }) };
}

/** The row, with what it reaches of the limits. */
export function withShares(row: Row, limits: Limits): Row {
  if (row.ms === null || row.gflops === null || row.gbs === null) return row;
  const of_limit = Math.max((1e9 * row.gflops) / limits[row.arithmetic], (1e9 * row.gbs) / limits.bytes);
  const blas = limits.blas && row.gflops > 0 && row.arithmetic === "f32";
  return { ...row, of_limit, ...(blas && { of_blas: (1e9 * row.gflops) / limits.blas! }) };
}

/** What this program can say of the machine, beside what WebGPU says of the adapter. */
export interface Machine {
  /** Bytes of the CPU's largest cache. */
  cpuCacheBytes(): number;
  /** f32 operations per second that a library for CPUs reaches, where there is one. */
  blasFlops?(): number | undefined;
}

/** Measures them: in the same run as the cases, because CPUs and GPUs change their pace. */
export function measureLimits(machine: Machine): Promise<Limits> {
  return scope(async () => {
    const { cpu, features, subgroupSize, subgroupMatrix: units } = device().adapter;
    const x = empty([COPY_BYTES / 4]);
    const y = empty([COPY_BYTES / 4]);
    const count = COPY_BYTES / 16;
    const copyOnce = (): undefined => void run(copyKernel, { x, y }, { count }, { threads: count });
    const copy = await time(copyOnce);
    const clock: Row["clock"] = !cpu && (await timestampsArePlausible(copyOnce, copy.median)) ? "device" : "wall";

    const flopsOf = async (work: () => void, flops: number): Promise<number> =>
      (1000 * flops) / (await time(() => void work(), { clock })).best;
    const params = { rounds: ROUNDS, factor: 0.999, term: 0.001 };
    const threads = cpu ? 2 ** 13 : 2 ** 20;
    const inRegisters = (code: Kernel) => flopsOf(() => run(code, { y }, params, { threads }), 64 * ROUNDS * threads);
    const f32 = await inRegisters(multiplyAdd);
    const f16 = features.includes("shader-f16") ? await inRegisters(multiplyAddF16) : 0;
    let matrix = 0;
    if (units && !units.problem && !cpu) {
      const { M, N, K } = units;
      const sizes = { MATRIX_M: M, MATRIX_N: N, MATRIX_K: K, INVOCATIONS: 4 * subgroupSize[1] };
      const code = specialize(multiplyAddMatrix, sizes);
      const workgroups = 2 ** 12; // of four subgroups
      const products = 8 * ROUNDS * 4 * workgroups;
      matrix = await flopsOf(() => run(code, { y }, { rounds: ROUNDS }, { workgroups }), 2 * M * N * K * products);
    }
    const blas = cpu ? machine.blasFlops?.() : undefined;
    return {
      f32,
      f16: Math.max(f32, f16, matrix),
      bytes: (2 * COPY_BYTES * 1000) / (clock === "device" ? (await time(copyOnce, { clock })).best : copy.best),
      ...(blas && { blas }),
      cacheBytes: cpu ? machine.cpuCacheBytes() : 128 * 2 ** 20,
      clock,
    };
  });
}

/** Whether timestamps agree with wall-clock time, for work that takes long. */
async function timestampsArePlausible(work: () => void, wallMs: number): Promise<boolean> {
  if (!device().adapter.features.includes("timestamp-query")) return false;
  const repeats = 10;
  const kernels = await profile(() => {
    for (let i = 0; i < repeats; i++) work();
  });
  const ms = kernels.reduce((total, kernel) => total + kernel.ms, 0) / repeats;
  return ms > 0.5 * wallMs && ms < 1.1 * wallMs;
}
