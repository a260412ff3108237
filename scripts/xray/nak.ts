// The second compiler: Mesa's NAK, for NVIDIA GPUs. The program that runs it is not part of this repository: docs/xray.md says
// what a folder has to have to take its place.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Unavailable } from "./pretend.ts";
import type { Variant } from "./variants.ts";

/** A loop's own instructions, without those of the loops in it. */
interface Loop {
  innermost: boolean;
  instructions: number;
  /** Multiply-adds; absent where there are none. */
  ffma?: number;
  /** Matrix instructions, each half of a 16 × 16 × 16 product; likewise. */
  hmma?: number;
  /** Loads from workgroup memory; likewise. */
  lds?: number;
}

/** What the program says of a variant: `error`, or the numbers. */
type Reported = NakFailure | (Omit<NakReport, "hotLoop"> & { loops: Loop[] });

interface Program {
  nak: (variants: readonly Variant[], options: { from: string }) => Promise<{ reports: Reported[] }>;
}

/** A variant that does not compile. */
export interface NakFailure {
  error: string;
}

/** What NAK made of a variant. */
export interface NakReport {
  /** Of 255 per lane. */
  registers: number;
  /** Subgroups that a multiprocessor can switch between: 48 at most. */
  warpsPerSM: number;
  /** Bytes of memory per lane that private arrays and spills take. */
  localBytes: number;
  spills: number;
  /** Of the whole kernel. */
  instructions: number;
  /** The innermost loop with the most arithmetic, if there are loops. */
  hotLoop: Loop | undefined;
}

const weight = ({ hmma = 0, ffma = 0, instructions }: Loop): number => 1e6 * hmma + 1e3 * ffma + instructions;

/**
 * Compiles each variant by the program `nak.mjs` in `folder`.
 * @throws Unavailable if there is no such program
 */
export async function compileByNak(variants: readonly Variant[], folder: string): Promise<(NakReport | NakFailure)[]> {
  const file = join(resolve(folder), "nak.mjs");
  if (!existsSync(file))
    throw new Unavailable(`xray: --nak ${folder}: there is no nak.mjs. docs/xray.md says what it is.`);
  const { nak } = (await import(pathToFileURL(file).href)) as Program;
  const { reports } = await nak(variants, { from: import.meta.dirname });
  return reports.map((report) => {
    if ("error" in report) return { error: report.error };
    const { loops, registers, warpsPerSM, localBytes, spills, instructions } = report;
    const [hotLoop] = loops.filter(({ innermost }) => innermost).sort((a, b) => weight(b) - weight(a));
    return { registers, warpsPerSM, localBytes, spills, instructions, hotLoop };
  });
}
