import { ShaderError } from "../errors.ts";
import type { Kernel } from "./kernel.ts";

/**
 * Whether a kernel compiles, which the driver says only later. Until then it is `pending`, and its dispatches are submitted each by itself:
 * a submit that uses a kernel which does not compile is lost as a whole.
 */
export interface Compilation {
  readonly kernel: Kernel;
  state: "pending" | "good" | "failed";
  /** What the compiler said. */
  problem?: string;
  /** Whether the problem was thrown to somebody. */
  reported?: boolean;
  settled: Promise<void>;
}

/** Kernels that a result depends on and that may not compile, each with the op that used it. */
export type Suspects = ReadonlyMap<Compilation, string>;

/** The error of an op whose kernel does not compile. */
export function shaderError(compilation: Compilation, op: string): ShaderError {
  compilation.reported = true;
  return new ShaderError(`${op === "user" ? "" : `${op}: `}${compilation.problem}`);
}

/** Waits until it is known of every suspect whether it compiles. @throws ShaderError for the first that does not */
export async function refuseFailed(suspects: Suspects | undefined): Promise<void> {
  for (const [compilation, op] of suspects ?? []) {
    await compilation.settled;
    if (compilation.problem) throw shaderError(compilation, op);
  }
}
