import { check, checkOptions, showValue } from "@gpugrad/tensor";

/** What the values of a list have to be. */
interface Rule {
  what: string;
  fits: (value: unknown) => boolean;
}

export const NUMBERS: Rule = { what: "a number", fits: (value) => typeof value === "number" };
export const NUMBERS_OR_BOOLEANS: Rule = {
  what: "a number or a boolean",
  fits: (value) => typeof value === "number" || typeof value === "boolean",
};
/** NaN is a class that nobody knows. */
export const CLASS_IDS: Rule = {
  what: "a class id: a whole number, or NaN",
  fits: (value) => Number.isInteger(value) || Number.isNaN(value),
};

/**
 * Checks lists that have a value for each sample.
 * @param hint what the lists hold, for those whose lengths differ
 * @returns the number of samples
 */
export function checkSamples(
  owner: string,
  lists: Readonly<Record<string, ArrayLike<unknown>>>,
  { rule, hint, least = 0 }: { rule: Rule; hint: string; least?: number },
): number {
  const names = Object.keys(lists);
  checkOptions(owner, lists, Object.fromEntries(names.map((name) => [name, "values"])));
  const lengths = names.map((name) => lists[name]!.length);
  const shown = names.map((name, i) => `${lengths[i]} ${name}`).join(" and ");
  check(new Set(lengths).size === 1, () => `${owner}: the lengths differ: ${shown}. ${hint}`);
  check(lengths[0]! >= least, () => `${owner}: ${shown}. It takes at least ${least}.`);
  for (const name of names) {
    const at = Array.prototype.findIndex.call(lists[name], (value) => !rule.fits(value));
    check(at < 0, () => `${owner}: ${name}[${at}] is ${showValue(lists[name]![at])}, not ${rule.what}.`);
  }
  return lengths[0]!;
}
