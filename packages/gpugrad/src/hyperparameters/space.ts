import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { camelCase, snakeCase, splitMix64, TRAINING_ARGUMENTS, type Argument } from "@gpugrad/train";
import { load as parseYaml } from "js-yaml";

export type Value = string | number | boolean;

/** What a hyperparameter may be: some values, or a range. */
export type Domain =
  | { values: readonly Value[] }
  | {
      low: number;
      high: number;
      /** Whether each power of ten is as likely. */
      log: boolean;
      /** Whether it is a whole number. */
      int: boolean;
      /** Values of a grid. */
      points: number;
    };

/** Domains by the names of options in snake_case. */
export type Space = Readonly<Record<string, Domain>>;
export type Values = Readonly<Record<string, Value>>;

/** Values of a range in a grid, unless said otherwise. */
const POINTS = 3;

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
const RANGE = new RegExp(`^(${NUMBER})\\.\\.(${NUMBER})((?::(?:log|int|\\d+))*)$`, "i");
const NUMBERS = new RegExp(`^${NUMBER}(?:,${NUMBER})+$`, "i");

/** Options beside the training arguments whose value is a number. */
const NUMERIC = ["dropout", "loraR", "loraAlpha", "loraDropout", "maxTrainSamples", "mlmProbability"];

/** A range, as `1e-5..1e-3:log`, `4..64:log:int`, `0..0.1:5`; undefined for another text. @throws where it is empty */
export function rangeOf(name: string, text: string): Domain | undefined {
  const [, from, to, rest = ""] = RANGE.exec(text) ?? [];
  if (from === undefined) return undefined;
  const words = rest.split(":").filter((word) => word !== "");
  const points = words.find((word) => /^\d+$/.test(word));
  const has = (word: string): boolean => words.some((each) => each.toLowerCase() === word);
  return checkedRange(name, {
    ...{ low: Number(from), high: Number(to), log: has("log"), int: has("int") },
    points: points === undefined ? POINTS : Number(points),
  });
}

function checkedRange(name: string, range: Exclude<Domain, { values: unknown }>): Domain {
  const { low, high, log, int, points } = range;
  const refuse = (problem: string): never => {
    throw new Error(`${snakeCase(name)}: ${low}..${high}: ${problem}.`);
  };
  if (!(low < high && high < Infinity)) refuse("a range goes from a number to a larger one");
  if (log && low <= 0) refuse("a logarithmic range begins above 0");
  if (int && !(Number.isInteger(low) && Number.isInteger(high))) refuse("the ends of whole numbers are whole numbers");
  if (!(Number.isInteger(points) && points >= 2)) refuse(`a grid has at least 2 points, not ${points}`);
  return range;
}

/** The domain that an option's value on the command line stands for; undefined for one value. */
export function domainOf(name: string, text: string): Domain | undefined {
  const range = rangeOf(name, text);
  if (range) return range;
  const argument: Argument | undefined = TRAINING_ARGUMENTS[name as keyof typeof TRAINING_ARGUMENTS];
  const isNumber = argument ? argument.type === "number" : NUMERIC.includes(name);
  if (isNumber && NUMBERS.test(text)) return { values: distinct(name, text.split(",").map(Number)) };
  const words = text.split(",");
  const isChoice = argument?.type === "string" && words.length > 1 && words.every((word) => argument.choices?.includes(word)); // prettier-ignore
  return isChoice ? { values: distinct(name, words) } : undefined;
}

function distinct(name: string, values: readonly Value[]): readonly Value[] {
  if (new Set(values).size < values.length)
    throw new Error(`${snakeCase(name)}: ${values.join(", ")}: a value comes twice.`);
  return values;
}

/** The space that a YAML or JSON file describes: a text as on the command line, a list of values, or `{ min, max, log, int, points }`. */
export function readSpace(file: string): Space {
  const text = readFileSync(file, "utf8");
  const content: unknown = extname(file) === ".json" ? JSON.parse(text) : parseYaml(text);
  if (!isRecord(content)) throw new Error(`${file}: it has to contain names with values, such as learning_rate: 1e-5..1e-3:log.`); // prettier-ignore
  return Object.fromEntries(
    Object.entries(content).map(([name, value]) => {
      const own = snakeCase(camelCase(name));
      const domain = described(own, value);
      if (!domain) {
        throw new Error(
          `${file}: ${name} is ${JSON.stringify(value)}; it has to be a range such as 1e-5..1e-3:log, a list of values, or {min, max, log, int, points}.`,
        );
      }
      return [own, domain];
    }),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isValue = (value: unknown): value is Value => ["string", "number", "boolean"].includes(typeof value);

function described(name: string, value: unknown): Domain | undefined {
  if (typeof value === "string") return domainOf(camelCase(name), value);
  if (Array.isArray(value)) return value.length > 1 && value.every(isValue) ? { values: distinct(name, value) } : undefined; // prettier-ignore
  if (!isRecord(value)) return undefined;
  const { min, max, log = false, int = false, points = POINTS, ...others } = value;
  const isRange = [min, max, points].every((each) => typeof each === "number") && [log, int].every((each) => typeof each === "boolean"); // prettier-ignore
  if (!isRange || Object.keys(others).length > 0) return undefined;
  return checkedRange(name, { low: min as number, high: max as number, log: log as boolean, int: int as boolean, points: points as number }); // prettier-ignore
}

/** The value of a range at a place between 0 and 1. Four digits are kept: more say nothing. */
function at({ low, high, log, int }: Exclude<Domain, { values: unknown }>, place: number): number {
  const value = log ? low * (high / low) ** place : low + (high - low) * place;
  return int ? Math.round(value) : Number(value.toPrecision(4));
}

/** Every combination of values; of ranges, so many points at equal distances, or ratios. */
export function gridOf(space: Space): Values[] {
  return Object.entries(space).reduce<Values[]>(
    (all, [name, domain]) => {
      const values = "values" in domain ? domain.values : [...new Set(Array.from({ length: domain.points }, (_, i) => at(domain, i / (domain.points - 1))))]; // prettier-ignore
      return all.flatMap((some) => values.map((value) => ({ ...some, [name]: value })));
    },
    [{}],
  );
}

/** So many combinations at random: the same for the same seed, however many follow. */
export function sampleOf(space: Space, count: number, seed: number): Values[] {
  return Array.from({ length: count }, (_, i) => {
    const random = splitMix64(seed, i + 1);
    const draw = (domain: Domain): Value => {
      if ("values" in domain) return random.pick(domain.values);
      // Each whole number is as likely as the others, the ends too.
      const { low, high, log, int } = domain;
      if (int && !log) return low + random.below(high - low + 1);
      return at(domain, random.uniform());
    };
    return Object.fromEntries(Object.entries(space).map(([name, domain]) => [name, draw(domain)]));
  });
}
