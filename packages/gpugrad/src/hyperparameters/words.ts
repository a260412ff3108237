import { camelCase, snakeCase } from "@gpugrad/train";
import { domainOf, type Domain, type Values } from "./space.ts";

/** Options of the search itself, which trials don't take. */
const OWN = ["strategy", "trials", "reductionFactor", "space"];

/** A command line taken apart. */
export interface Divided {
  /** The options of the search. */
  own: string[];
  /** What is searched. */
  domains: Record<string, Domain>;
  /** What every trial has. */
  common: string[];
}

/** Takes a command line apart. @throws where a range is empty */
export function divide(words: readonly string[]): Divided {
  const divided: Divided = { own: [], domains: {}, common: [] };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const [, name, written] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    const value = written ?? words[i + 1];
    if (name === undefined || value === undefined) {
      divided.common.push(word);
      continue;
    }
    const option = camelCase(name.replaceAll("-", "_"));
    const domain = domainOf(option, value);
    if (domain) divided.domains[snakeCase(option)] = domain;
    else if (OWN.includes(option)) divided.own.push(`--${name}`, value);
    else {
      divided.common.push(word);
      continue;
    }
    if (written === undefined) i++;
  }
  return divided;
}

/** A trial's values as words of a command line. */
export const wordsOf = (values: Values): string[] =>
  Object.entries(values).map(([name, value]) =>
    value === true ? `--${name}` : value === false ? `--no-${name}` : `--${name}=${value}`,
  );
