import type { Memory, Step } from "./workgroup.ts";

/** A workgroup that has run: what the view steps through. */
export interface Model {
  /** The WGSL file whose lines the steps point to. */
  code: string;
  /** As they were before the first step. */
  memories: Memory[];
  steps: Step[];
  /** Invocations that run in lockstep, and how many there are side by side in the workgroup. */
  subgroup: number;
  side: number;
  invocations: number;
  /** What the kernel has to write, by the float64 formula; NaN where another workgroup writes. */
  expected: { memory: string; data: ArrayLike<number> };
  /** Elements in a line of memory, and banks of workgroup memory. */
  line: number;
  banks: number;
  /** Lines of `code` that were taken out. */
  removed: string[];
}

/** A barrier that can be taken out: a piece of its line, and of which of several equal ones. */
export interface Barrier {
  at: string;
  nth?: number;
}

/** The line, counted from 0, of the nth place in `code` that holds this. */
export function lineOf(code: string, at: string, nth = 0): number {
  const lines = code.split("\n");
  const found = lines.flatMap((text, i) => (text.includes(at) ? [i] : []));
  const line = found[nth];
  if (line === undefined) throw new Error(`The kernel has no line with: ${at}`);
  return line;
}

/** Numbers that are easy to follow: tenths between −1 and 1, the same every time. */
export function smallNumbers(count: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.round(((state >>> 16) / 65535) * 20 - 10) / 10;
  });
}
