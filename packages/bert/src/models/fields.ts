/** One field of a configuration: its default, and what is wrong with a value, in words; undefined when nothing is. */
export interface Field<T> {
  readonly initial: T;
  readonly problem: (value: unknown) => string | undefined;
  /** Whether Python reads it as a float, and refuses `1`. */
  readonly isFloat?: boolean;
  readonly isDropout?: boolean;
  /** The same of keys inside of it. */
  readonly floats?: readonly string[];
}

/** The fields of a configuration, by the names that they have in config.json. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The values that a configuration with these fields has. */
export type ValuesOf<F extends Fields> = { -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** An integer. Nothing comes near `most`: a file with more is damaged, or is to exhaust the memory. */
export const size = (initial: number, most: number, least = 1): Field<number> => ({
  initial,
  problem: (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `is not an integer from ${least} to ${most}`,
});

/** A dropout. */
export const probability = (initial: number): Field<number> => ({
  initial,
  problem: (value) =>
    typeof value === "number" && value >= 0 && value < 1 ? undefined : "is not a probability below 1",
  isDropout: true,
});

/** A number of at least 0. */
export const amount = (initial: number): Field<number> => ({
  initial,
  problem: (value) =>
    Number.isFinite(value) && (value as number) >= 0 ? undefined : "is not a finite number of at least 0",
  isFloat: true,
});

export const flag = (initial: boolean): Field<boolean> => ({
  initial,
  problem: (value) => (typeof value === "boolean" ? undefined : "is not true or false"),
});

export const oneOf = <T extends string>(initial: T, names: readonly T[]): Field<T> => ({
  initial,
  problem: (value) => (names.includes(value as T) ? undefined : `is unknown. Known: ${names.join(", ")}`),
});

/** The same fields with other defaults, for a family that differs in them. */
export const withDefaults = <F extends Fields>(fields: F, defaults: Partial<ValuesOf<F>>): F =>
  Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [key, key in defaults ? { ...field, initial: defaults[key] } : field]),
  ) as F;

/** Another field, or null, with which it begins. */
export const nullable = <T>(field: Field<T>): Field<T | null> => ({
  ...field,
  initial: null,
  problem: (value) => (value === null ? undefined : field.problem(value)),
});

/** Another field, which is left out unless it is given. */
export const optional = <T>(field: Field<T>): Field<T | undefined> => ({
  ...field,
  initial: undefined,
  problem: (value) => (value === undefined ? undefined : field.problem(value)),
});

/** What is read and written, but not used here, or checked together with other fields. */
export const unchecked = <T>(initial: T): Field<T> => ({ initial, problem: () => undefined });
