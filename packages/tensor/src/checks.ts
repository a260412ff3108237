import { writeLeftOut } from "#platform";
export { adapterNames } from "#platform";
import { benches as attention } from "./ops/attention/attention.bench.ts";
import { benches as dropout } from "./ops/dropout/dropout.bench.ts";
import { benches as binary } from "./ops/elementwise/binary.bench.ts";
import { benches as gelu } from "./ops/elementwise/gelu.bench.ts";
import { benches as embedding } from "./ops/embedding/embedding.bench.ts";
import { rungsTaken } from "./ops/ladder.ts";
import { benches as loss } from "./ops/loss/loss.bench.ts";
import { benches as matmul } from "./ops/matmul/matmul.bench.ts";
import { benches as norm } from "./ops/norm/norm.bench.ts";
import { benches as recurrent } from "./ops/recurrent/recurrent.bench.ts";
import { benches as reduce } from "./ops/reduce/reduce.bench.ts";
import { benches as softmax } from "./ops/softmax/softmax.bench.ts";
import { device } from "./runtime/init.ts";
import { rungNames } from "./runtime/left-out.ts";
import { adapterKey } from "./runtime/tuning.ts";
import { scope } from "./scope.ts";
import type { BenchCase } from "./testing/bench-op.ts";

const cases: readonly BenchCase[] = [
  ...[attention, dropout, binary, gelu, embedding, loss, matmul, norm, recurrent, reduce, softmax].flat(),
];

/** A forward or backward of an op at a size of BERT's, compared with float64. */
export interface KernelCheck {
  /** The case, as `pnpm bench` names it: `linear2048x768x3072`. */
  case: string;
  /** The kernels of ladders that computed it, as `matmul/tiled`; none for an op that has only one way to compute. */
  kernels: string[];
  /** What is wrong; undefined where nothing is. */
  problem: string | undefined;
}

/** What {@link checkKernels} takes. */
export interface CheckOptions {
  /** Whether every kernel of a ladder is tried that can compute a case, and not only what is chosen (false). */
  everyRung?: boolean;
  /** Which cases, by their names; all unless said otherwise. */
  only?: (name: string) => boolean;
}

/**
 * Compares each op with float64 at the sizes of BERT, with the kernels that this device would choose: what drivers and compilers
 * get wrong shows here. Those too large for a CPU adapter are left out on one.
 */
export async function* checkKernels({
  everyRung = false,
  only = () => true,
}: CheckOptions = {}): AsyncGenerator<KernelCheck> {
  const { cpu } = device().adapter;
  for (const one of cases) {
    if (!only(one.name) || (one.gpuOnly && cpu)) continue;
    yield await check(one, undefined);
    if (!everyRung) continue;
    for (const [i, { suits }] of (one.rungs ?? []).entries()) if (suits?.() ?? true) yield await check(one, i);
  }
}

async function check(one: BenchCase, rung: number | undefined): Promise<KernelCheck> {
  const name = rung === undefined ? one.name : `${one.name}, ${one.rungs![rung]!.name}`;
  let kernels: string[] = [];
  try {
    await scope(async () => {
      const {
        result: { workload, result },
        rungs,
      } = rungsTaken(() => {
        const workload = one.prepare(1, rung);
        return { workload, result: workload.run(0) };
      });
      kernels = rungs;
      await workload.verify(result);
    });
    return { case: name, kernels, problem: undefined };
  } catch (error) {
    return { case: name, kernels, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** What {@link findWrongKernels} found. */
export interface WrongKernels {
  /** All cases, with the kernels chosen at first. */
  checks: KernelCheck[];
  /** Kernels that are to be left out; without them the cases that they were in are right. */
  leaveOut: string[];
  /** Cases that stay wrong whatever is left out. */
  stillWrong: KernelCheck[];
}

/**
 * Checks the kernels that this device chooses, and leaves those out that a wrong result came of, until the results are right or nothing more
 * can be left out. What was left out before is tried as well.
 */
export async function findWrongKernels(
  options: Pick<CheckOptions, "only"> & { onCheck?: (check: KernelCheck) => void } = {},
): Promise<WrongKernels> {
  const { adapter } = device();
  const before = adapter.leftOut;
  const leaveOut = new Set<string>();
  const setLeftOut = (leftOut: readonly string[] | undefined): unknown => Object.assign(adapter, { leftOut });
  try {
    setLeftOut([]);
    const checks: KernelCheck[] = [];
    for await (const one of checkKernels(options)) {
      checks.push(one);
      options.onCheck?.(one);
    }
    let wrong = checks.filter(({ problem }) => problem);
    for (;;) {
      const suspects = wrong.flatMap(({ kernels }) => kernels).filter((name) => !rungNames.get(name)!.lastResort);
      if (suspects.every((name) => leaveOut.has(name))) break;
      for (const name of suspects) leaveOut.add(name);
      setLeftOut([...leaveOut]);
      const again: KernelCheck[] = [];
      const names = new Set(wrong.map((one) => one.case));
      for await (const one of checkKernels({ only: (name) => names.has(name) })) again.push(one);
      wrong = again.filter(({ problem }) => problem);
    }
    return { checks, leaveOut: [...leaveOut], stillWrong: wrong };
  } finally {
    setLeftOut(before);
  }
}

/** Keeps for every later `init()` on this adapter that these kernels are left out, and no others. Returns where. Only in Node. */
export const keepLeftOut = (leaveOut: readonly string[]): Promise<string> =>
  writeLeftOut(adapterKey(device().adapter), leaveOut);
