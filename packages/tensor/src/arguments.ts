/**
 * What functions take, declared once and checked in one place: in plain JavaScript a wrong argument is refused by name, where in TypeScript
 * it would not compile.
 */
import { didYouMean } from "./did-you-mean.ts";
import { isDType, noSuchDType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { isTensor, showValue } from "./values.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";
const isList = (value: unknown, fits: (entry: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(fits);
const isIndex = (value: unknown): boolean => Number.isInteger(value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

/** Kinds of values: what they are called in messages, and which values they are. */
const kinds = {
  any: ["anything", () => true],
  tensor: ["a tensor", isTensor],
  tensors: ["a list of tensors", (v) => isList(v, isTensor)],
  operand: ["a tensor or a number", (v) => isNumber(v) || isTensor(v)],
  number: ["a number", isNumber],
  "number|null": ["a number or null", (v) => v === null || isNumber(v)],
  "number|boolean": ["a number or a boolean", (v) => isNumber(v) || typeof v === "boolean"],
  "number|numbers": ["a number or a list of numbers", (v) => isNumber(v) || isList(v, isNumber)],
  numbers: ["a list of numbers", (v) => isList(v, isNumber)],
  index: ["a whole number", isIndex],
  dim: ["the number of a dimension", isIndex],
  "dim|null": ["the number of a dimension, or null", (v) => v === null || isIndex(v)],
  dims: ["a list of dimensions such as [0, 1]", (v) => isList(v, isIndex)],
  "dim|dims": ["the number of a dimension, or a list of such numbers", (v) => isIndex(v) || isList(v, isIndex)],
  shape: ["a shape: a list of whole numbers such as [2, 3]", (v) => isList(v, (n) => isIndex(n) && (n as number) >= 0)],
  "shape with -1": [
    "a shape: a list of whole numbers such as [2, -1]",
    (v) => isList(v, (n) => isIndex(n) && (n as number) >= -1),
  ],
  boolean: ["true or false", (v) => typeof v === "boolean"],
  string: ["a string", (v) => typeof v === "string"],
  function: ["a function", (v) => typeof v === "function"],
  list: ["a list", (v) => Array.isArray(v)],
  bytes: ["a Uint8Array", (v) => v instanceof Uint8Array],
  values: [
    "a list of numbers or booleans",
    (v) => Array.isArray(v) || (ArrayBuffer.isView(v) && !(v instanceof DataView)),
  ],
  object: ["an object", isObject],
  iterable: ["a list", (v) => typeof v === "object" && v !== null && Symbol.iterator in v],
  generator: ["a Generator", (v) => isObject(v) && typeof v["draw"] === "function"],
  dtype: ["a dtype", isDType],
} satisfies Record<string, readonly [what: string, fits: (value: unknown) => boolean]>;

type Kind = keyof typeof kinds;

/**
 * What a function takes: a kind for each argument, by name and in order; for each option, by name. A `?` marks what may be left out; a list of
 * strings is one of them, or nothing; an object for an object of options, which may be left out unless one of them is required.
 */
export interface Takes {
  readonly [name: string]: Kind | `${Kind}?` | readonly string[] | Takes;
}

/** Throws a {@link GpugradError} unless `value` is what is expected under this name. */
type Check = (value: unknown) => void;

function checkOf(owner: string, name: string, expected: Takes[string]): Check {
  if (typeof expected === "string") return checkOfKind(owner, name, expected);
  if (!isStrings(expected)) return checkOfOptions(owner, name, expected);
  return (value) => {
    if (value === undefined || expected.includes(value as string)) return;
    const hint = typeof value === "string" ? didYouMean(value, expected) : "";
    throw new GpugradError(
      `${owner}: ${name} ${showValue(value)} is not known; there are ${expected.join(", ")}.${hint}`,
    );
  };
}

const isStrings = (expected: readonly string[] | Takes): expected is readonly string[] => Array.isArray(expected);

function checkOfKind(owner: string, name: string, expected: Kind | `${Kind}?`): Check {
  const optional = expected.endsWith("?");
  const kind = (optional ? expected.slice(0, -1) : expected) as Kind;
  const [what, fits] = kinds[kind];
  return (value) => {
    if ((value === undefined && optional) || fits(value)) return;
    if (kind === "dtype" && value !== undefined) throw noSuchDType(owner, value);
    throw new GpugradError(
      value === undefined
        ? `${owner}: ${name} is missing; it has to be ${what}.`
        : `${owner}: ${name} is ${showValue(value)}, not ${what}.`,
    );
  };
}

function checkOfOptions(owner: string, name: string, takes: Takes): Check {
  const checks = new Map(Object.entries(takes).map(([key, expected]) => [key, checkOf(owner, key, expected)]));
  const names = [...checks.keys()];
  const required = [...checks].filter(([, check]) => !passes(check, undefined));
  return (value) => {
    if (value === undefined && required.length === 0) return;
    if (value !== undefined && (!isObject(value) || isTensor(value))) {
      const first = names.find((key) => passes(checks.get(key)!, value));
      const hint = first ? ` Write { ${first}: ${showValue(value)} }.` : "";
      const known = `an object with ${names.join(", ")}`;
      throw new GpugradError(`${owner}: ${name} is ${showValue(value)}, not ${known}.${hint}`);
    }
    const options = value ?? {};
    for (const key in options) {
      if (checks.has(key)) continue;
      throw new GpugradError(
        `${owner}: there is no option ${key}.${didYouMean(key, names)} It takes ${names.join(", ")}.`,
      );
    }
    for (const key of names) checks.get(key)!(options[key]);
  };
}

function passes(check: Check, value: unknown): boolean {
  try {
    check(value);
    return true;
  } catch {
    return false;
  }
}

/** Makes the check of a function's arguments: to be called with all of them. */
export function argumentCheck(owner: string, takes: Takes): (args: readonly unknown[]) => void {
  const names = Object.keys(takes);
  const checks = names.map((name) => checkOf(owner, name, takes[name]!));
  return (args) => {
    for (let i = 0; i < checks.length; i++) checks[i]!(args[i]);
    if (args.length <= checks.length || isCallOfMap(args)) return;
    throw new GpugradError(
      `${owner}: ${showValue(args[checks.length])} is one argument too many. It takes ${names.join(", ")}.`,
    );
  };
}

/** `tensors.map(relu)` passes index and array as well. */
const isCallOfMap = ([first, index, array]: readonly unknown[]): boolean =>
  Array.isArray(array) && isNumber(index) && array[index] === first;

/**
 * Throws unless `options` is an object with options of these names and kinds, or undefined.
 * @param owner what the user called, for the message: `AdamW`
 */
export const checkOptions = (owner: string, options: unknown, takes: Takes): void =>
  checkOfOptions(owner, "options", takes)(options);

/** `work` with its arguments checked: `checked("stack", { tensors: "tensors", options: { dim: "dim?" } }, (tensors, { dim = 0 } = {}) => …)`. */
export function checked<F extends (...args: never[]) => unknown>(owner: string, takes: Takes, work: F): F {
  const check = argumentCheck(owner, takes);
  return ((...args: Parameters<F>) => {
    check(args);
    return work(...args);
  }) as F;
}
