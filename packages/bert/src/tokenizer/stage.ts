import { isObject, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { compileExpression, stringPattern, type Pattern, type TimeBudget } from "./regular-expression.ts";

/** What a stage of the pipeline knows about the text that it is given a part of. */
export interface Context {
  /** Whether the part is the first, or the last, of what lies between two added tokens. */
  isFirst: boolean;
  isLast: boolean;
  /** For expressions of the file. */
  budget: TimeBudget;
}

/** Places where a text may be cut, so that it need not be read at once: before a space between two letters, or beside any separator of BERT's. */
export type Cuts = "nowhere" | "words" | "separators";
const fineness: readonly Cuts[] = ["nowhere", "words", "separators"];

/** A stage of the pipeline, as tokenizer.json describes it. */
export interface Stage<T> {
  run(input: T, context: Context): T;
  /** Where a cut does not change what the stage does. */
  allows: Cuts;
  /** Where the stage separates words itself. Left out: nowhere. */
  splits?: Cuts;
}

/** Stages one after the other. */
export function sequence<T>(stages: readonly Stage<T>[]): Stage<T> {
  const [one] = stages;
  if (one && stages.length === 1) return one;
  return {
    run: (input, context) => stages.reduce((value, stage) => stage.run(value, context), input),
    allows: fineness.find((cuts) => stages.some((stage) => stage.allows === cuts)) ?? "separators",
    splits: fineness.findLast((cuts) => stages.some((stage) => stage.splits === cuts)) ?? "nowhere",
  };
}

/** Where a text may be cut that goes through both stages: where the second separates words, and neither minds. */
export function cutsOf(
  normalizer: Pick<Stage<unknown>, "allows">,
  preTokenizer: Pick<Stage<unknown>, "allows" | "splits">,
): Cuts {
  const { splits = "nowhere" } = preTokenizer;
  return fineness.find((cuts) => [normalizer.allows, preTokenizer.allows, splits].includes(cuts))!;
}

/** A stage that runs an expression of the file, which may take very long. */
export const limited = <T>(pattern: Pattern, where: string, stage: Stage<T>): Stage<T> =>
  pattern.isSafe
    ? stage
    : { run: (input, context) => context.budget.spend(where, () => stage.run(input, context)), allows: "nowhere" };

/** Reads parts of tokenizer.json; what can't be is an error that names the place. */
export class Part {
  readonly json: Json;
  readonly where: string;

  /** @throws {@link GpugradError} where it is not an object */
  constructor(json: unknown, where: string) {
    check(isObject(json), () => `${where}: ${brief(json)} is not an object.`);
    this.json = json;
    this.where = where;
  }

  get type(): string {
    return this.string("type");
  }

  string(name: string, fallback?: string): string {
    return this.#read(name, fallback, (value) => typeof value === "string", "a string");
  }
  boolean(name: string, fallback?: boolean): boolean {
    return this.#read(name, fallback, (value) => typeof value === "boolean", "true or false");
  }
  integer(name: string, fallback: number | undefined, [least, most]: readonly [number, number]): number {
    const fits = (value: unknown) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    return this.#read(name, fallback, fits, `an integer from ${least} to ${most}`);
  }
  oneOf<T extends string>(name: string, values: readonly T[], fallback?: T): T {
    return this.#read(name, fallback, (value) => values.includes(value as T), `one of ${values.join(", ")}`);
  }
  list(name: string): unknown[] {
    return this.#read<unknown[]>(name, undefined, Array.isArray, "a list");
  }

  /** Parts of a list, each by its own name. */
  parts(name: string): Part[] {
    return this.list(name).map((item, i) => new Part(item, `${this.where}.${name}[${i}]`));
  }

  /** `{ String }` or `{ Regex }`, or a string. */
  pattern(name = "pattern"): Pattern {
    const value = this.json[name];
    const given = new Part(typeof value === "string" ? { String: value } : value, `${this.where}.${name}`);
    return "Regex" in given.json
      ? compileExpression(given.string("Regex"), given.where)
      : stringPattern(given.string("String"));
  }

  /** @throws {@link GpugradError} saying that the part is of an unknown type */
  unknown(known: readonly string[]): never {
    return check(
      false,
      `${this.where}: type ${brief(this.json["type"])} is not supported. Known: ${known.join(", ")}.`,
    ) as never;
  }

  #read<T>(name: string, fallback: T | undefined, fits: (value: unknown) => boolean, kind: string): T {
    const value = this.json[name] ?? fallback;
    check(fits(value), () => `${this.where}.${name}: ${brief(value)} is not ${kind}.`);
    return value as T;
  }
}

export const brief = (value: unknown): string =>
  isObject(value) ? "an object" : Array.isArray(value) ? "a list" : String(JSON.stringify(value)).slice(0, 60);
