import { check } from "../../errors.ts";

/** How the losses of all elements (or rows) become one: their mean, their sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

const reductions: readonly string[] = ["mean", "sum", "none"];

export function checkReduction(op: string, reduction: string, allowed = reductions): void {
  check(
    allowed.includes(reduction),
    () => `${op}: reduction "${reduction}" is not known; there are ${allowed.join(", ")}.`,
  );
}
