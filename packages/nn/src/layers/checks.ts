import { check, showValue } from "@gpugrad/tensor";

/** Throws unless all sizes are positive integers. @param owner the layer that is made */
export function checkSizes(owner: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes))
    check(
      Number.isSafeInteger(size) && size > 0,
      () => `${owner}: ${name}: ${showValue(size)} is not a positive integer.`,
    );
}

/** Throws unless all of these are true or false. */
export function checkFlags(owner: string, flags: Readonly<Record<string, boolean>>): void {
  for (const [name, flag] of Object.entries(flags))
    check(typeof flag === "boolean", () => `${owner}: ${name}: ${showValue(flag)} is not true or false.`);
}

/** Throws unless `eps` is a finite number of at least 0. */
export function checkEps(owner: string, eps: number): void {
  check(
    Number.isFinite(eps) && eps >= 0,
    () => `${owner}: eps: ${showValue(eps)} is not a finite number of at least 0.`,
  );
}

/** Throws unless `p` is a probability below 1. */
export function checkDropout(owner: string, p: number): void {
  check(
    typeof p === "number" && p >= 0 && p < 1,
    () => `${owner}: dropout probability ${showValue(p)} is not in [0, 1).`,
  );
}
