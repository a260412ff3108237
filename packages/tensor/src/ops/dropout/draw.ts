import { check } from "../../errors.ts";
import type { Generator } from "../../random.ts";

/** What a kernel needs to drop elements: parameters by their names in dropout.wgsl and dropped.wgsl. */
export interface Drop {
  readonly key: readonly [number, number];
  readonly counter: readonly [number, number, number, number];
  /** 2²⁴ times the probability to drop. */
  readonly threshold: number;
  /** What is kept is multiplied by 1 / (1 − p); 0 where nothing is kept. */
  readonly rescale: number;
}

/** For kernels that are started without dropout. */
export const noDrop: Drop = { key: [0, 0], counter: [0, 0, 0, 0], threshold: 0, rescale: 1 };

/** Decides what to drop of `count` elements, with probability p; undefined for nothing. All or nothing takes no random numbers. */
export function drawDrop(op: string, count: number, p: number, generator: Generator): Drop | undefined {
  check(p >= 0 && p <= 1, () => `${op}: p is ${p}, but a probability lies between 0 and 1.`);
  if (p === 0) return undefined;
  if (p === 1) return { ...noDrop, threshold: 2 ** 24, rescale: 0 };
  return { ...generator.draw(count), threshold: Math.round(p * 2 ** 24), rescale: 1 / (1 - p) };
}
