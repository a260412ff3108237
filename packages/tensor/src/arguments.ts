/**
 * What functions take, declared once and checked in one place: in plain JavaScript a wrong argument is refused by name, where in TypeScript
 * it would not compile.
 */
import { didYouMean } from "./did-you-mean.ts";
import { dtypes, isDType, noSuchDType } from "./dtype.ts";
import { blamed, GpugradError } from "./errors.ts";
import { isTensor, showValue } from "./values.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";
const isList = (value: unknown, fits: (entry: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(fits);
const isIndex = (value: unknown): boolean => Number.isInteger(value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const isFunction = (value: unknown): boolean => typeof value === "function";

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
  size: ["a positive integer", (v) => Number.isSafeInteger(v) && (v as number) > 0],
  "size|sizes": [
    "a positive integer or a list of them",
    (v) => [v].flat().every((n) => Number.isInteger(n) && (n as number) > 0),
  ],
  "number from 0": ["a finite number of at least 0", (v) => Number.isFinite(v) && (v as number) >= 0],
  "probability below 1": ["a probability, at least 0 and below 1", (v) => isNumber(v) && v >= 0 && v < 1],
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
  function: ["a function", isFunction],
  list: ["a list", (v) => Array.isArray(v)],
  bytes: ["a Uint8Array", (v) => v instanceof Uint8Array],
  values: [
    "a list of numbers or booleans",
    (v) => Array.isArray(v) || (ArrayBuffer.isView(v) && !(v instanceof DataView)),
  ],
  object: ["an object", isObject],
  "named tensors": [
    'pairs of a name and a tensor, such as model.namedParameters() or [["w", w]]',
    (v) => typeof v === "object" && v !== null && Symbol.iterator in v && !isTensor(v),
  ],
  iterable: ["a list", (v) => typeof v === "object" && v !== null && Symbol.iterator in v],
  generator: ["a Generator", (v) => isObject(v) && typeof v["draw"] === "function"],
  dtype: [`a dtype: ${dtypes.join(", ")}`, isDType],
} satisfies Record<string, readonly [what: string, fits: (value: unknown) => boolean]>;

type Kind = keyof typeof kinds;

/**
 * What a function takes: a kind for each argument, by name and in order; for each option, by name. A `?` marks what may be left out; a list of
 * strings is one of them, or nothing; an object for an object of options, which may be left out unless one of them is required.
 */
export interface Takes {
  readonly [name: string]: Kind | `${Kind}?` | readonly string[] | Takes;
}

/** Throws a {@link GpugradError} unless `value` is what is expected under this name. It may be `args[at]`. */
type Check = (value: unknown, args?: readonly unknown[], at?: number) => void;

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
  return (value, args = [value], at = 0) => {
    if ((value === undefined && optional) || fits(value)) return;
    if (value === undefined) throw new GpugradError(`${owner}: ${name} is missing; it has to be ${what}.`);
    if (kind === "dtype" && typeof value === "string") throw noSuchDType(owner, value);
    const hint = wayOut(kind, name, value, args.slice(at + 1)) || hints[kind]?.(value, name) || "";
    throw new GpugradError(`${owner}: ${name} is ${showValue(value)}, not ${what}.${hint}`);
  };
}

/** Kinds that are lists, where other libraries take their entries one by one. */
const listKinds = new Set<Kind>(["shape", "shape with -1", "dims", "numbers", "values", "tensors"]);

/** How the value that was meant is written, where it can be seen: without an object around it, in a list, as a number. */
function wayOut(kind: Kind, name: string, value: unknown, rest: readonly unknown[]): string {
  const fits: (value: unknown) => boolean = kinds[kind][1];
  if (value instanceof Promise) return " It is a promise: await it first.";
  if (isObject(value) && !isTensor(value) && Object.hasOwn(value, name) && fits(value[name]))
    return ` Write ${showValue(value[name])}, without an object around it.`;
  if (isTensor(value) && kind === "tensors") return " Put them into a list: [a, b].";
  if (isNumber(value) && listKinds.has(kind)) {
    const end = rest.findIndex((next) => !isNumber(next));
    const list = [value, ...rest.slice(0, end < 0 ? rest.length : end)];
    if (fits(list)) return ` Write ${showValue(list)}.`;
  }
  if (typeof value === "string" && /^\s*[-+.\d]/.test(value) && fits(Number(value))) return ` Write ${Number(value)}.`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView) && fits(Array.from(value as Int8Array)))
    return " Array.from() makes a list of it.";
  return "";
}

const isNumeric = (value: unknown): boolean =>
  isNumber(value) || (Array.isArray(value) ? value.length > 0 && value.every(isNumeric) : kinds.values[1](value));

/** What to write where a value of one kind is given for another. */
const hints: Partial<Record<Kind, (value: unknown, name: string) => string>> = {
  tensor: (value, name) =>
    isNumeric(value) ? ` tensor(${showValue(value)}${/^(ids|index)$/.test(name) ? ', "i32"' : ""}) makes one.` : "",
  operand: (value) => (isNumeric(value) ? ` tensor(${showValue(value)}) makes one.` : ""),
  "named tensors": (value) =>
    isObject(value) && !isTensor(value) ? " Object.entries() makes pairs of an object." : "",
  tensors: (value) => (isList(value, (entry) => isTensor(entry) || isNumeric(entry)) ? " tensor() makes them." : ""),
  number: (value) => (isTensor(value) ? " await item() gives the number that a tensor holds." : ""),
  boolean: (value) => (value === 0 || value === 1 ? ` Write ${value === 1}.` : ""),
  dtype: (value) => (Array.isArray(value) ? " fromArray(values, shape, dtype) and reshape() take a shape." : ""),
};

function checkOfOptions(owner: string, name: string, takes: Takes): Check {
  const checks = new Map(Object.entries(takes).map(([key, expected]) => [key, checkOf(owner, key, expected)]));
  const names = [...checks.keys()];
  const required = [...checks].filter(([, check]) => !passes(check, undefined));
  return (value) => {
    if (value === undefined && required.length === 0) return;
    if (value !== undefined && !isPlain(value)) {
      const first = names.find((key) => passes(checks.get(key)!, value));
      const hint = first ? ` Write { ${first}: ${showValue(value)} }.` : "";
      const known = `an object with ${names.join(", ")}`;
      throw new GpugradError(`${owner}: ${name} is ${showValue(value)}, not ${known}.${hint}`);
    }
    const options = value ?? {};
    for (const key in options) {
      if (checks.has(key)) continue;
      throw new GpugradError(
        `${owner}: there is no option ${key}.${optionMeant(key, names)} It takes ${names.join(", ")}.`,
      );
    }
    for (const key of names) checks.get(key)!(options[key]);
  };
}

/** Names of other libraries, in lower case and without underscores, for options that have other names here. */
const foreign: Readonly<Record<string, readonly string[]>> = {
  ...{ axis: ["dim", "dims"], axes: ["dim", "dims"], epsilon: ["eps"], learningrate: ["lr"], attnmask: ["mask"] },
  ...{ rate: ["p", "dropout"], unbiased: ["correction"], ddof: ["correction"], p: ["ord"], seed: ["generator"] },
  ...{ alpha: ["negativeSlope"], retaingrad: ["retainGraph"], num: ["steps"], decay: ["weightDecay"] },
};

/** Options of other libraries that are something else here. */
const elsewhere: Readonly<Record<string, string>> = {
  device: "There is one device for all, which init() chooses.",
  requiresgrad: "Call requireGrad() on the result.",
  out: "Results are new tensors; copyInto(target, result) writes one into another.",
  inplace: "Results are new tensors.",
};

/** What an unknown option may be meant for. */
function optionMeant(given: string, known: readonly string[]): string {
  const plain = given.toLowerCase().replaceAll(/[_-]/g, "");
  const same = (Object.hasOwn(foreign, plain) ? foreign[plain]! : []).find((name) => known.includes(name));
  if (same !== undefined) return ` Did you mean ${same}?`;
  return Object.hasOwn(elsewhere, plain) ? ` ${elsewhere[plain]}` : didYouMean(given, known);
}

/** An object that braces made, of whatever realm; no instance of a class. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
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
/* @__NO_SIDE_EFFECTS__ */
export function argumentCheck(owner: string, takes: Takes): (args: readonly unknown[]) => void {
  const names = Object.keys(takes);
  const checks = names.map((name) => checkOf(owner, name, takes[name]!));
  return (args) => {
    for (let i = 0; i < checks.length; i++) checks[i]!(args[i], args, i);
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

/**
 * `work` with its arguments checked: `checked("stack", { tensors: "tensors", options: { dim: "dim?" } }, (tensors, { dim = 0 } = {}) => …)`.
 * Errors of what it calls begin with its name, too, unless it calls a function of the user's.
 */
/* @__NO_SIDE_EFFECTS__ */
export function checked<F extends (...args: never[]) => unknown>(owner: string, takes: Takes, work: F): F {
  const check = argumentCheck(owner, takes);
  const callsBack = Object.values(takes).includes("function");
  return ((...args: Parameters<F>) => {
    check(args);
    try {
      return work(...args);
    } catch (error) {
      throw callsBack ? error : blamed(owner, error);
    }
  }) as F;
}
