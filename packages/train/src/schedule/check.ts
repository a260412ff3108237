import { checkOptions, GpugradError, type Takes } from "@gpugrad/tensor";
import { checkRanges } from "../optim/check.ts";

/** Throws for an option that is unknown, of another kind, or a number that isn't finite; for negative numbers of steps, and rates. */
export function check(owner: string, options: unknown, takes: Takes): void {
  checkOptions(owner, options, takes);
  const given = Object.entries(options ?? {}).filter(([, value]) => typeof value === "number");
  const from = (name: string): number => (/^(lr|num\w+Steps)$/.test(name) ? 0 : -Infinity);
  checkRanges(owner, options ?? {}, Object.fromEntries(given.map(([name]) => [name, { from: from(name) }])));
}

/** A number that a schedule can't do without. @throws where it is missing */
export function need(name: string, what: string, value: number | undefined): number {
  if (value === undefined) throw new GpugradError(`getScheduler: ${name} needs ${what}, which is missing.`);
  return value;
}
