import type { LabelInfo } from "./dataset.ts";

const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Numbers, also as BigInt, boolean or text; undefined for anything else. */
function asNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  return typeof value === "string" && NUMERIC.test(value.trim()) ? Number(value) : undefined;
}

/** Classes that the ids speak of: one more than the largest and at least 2; 1 for fractions, 0 for none (-1: not labelled). */
export function countLabels(values: readonly number[]): number {
  if (values.every((value) => value === -1)) return 0;
  if (values.some((value) => !Number.isInteger(value))) return 1;
  return values.reduce((most, value) => Math.max(most, value + 1), 2);
}

/** How the values of a column become labels: class ids as they stand, names looked up, or plain numbers. */
export type LabelReader = LabelInfo & {
  /** The label that a value stands for, or what is wrong with it. */
  read: (value: unknown) => number | string;
};

/** What the different values of a column mean; `names` are the classes where they are known, else text in sorted order. */
export function labelReader(values: readonly unknown[], names?: readonly string[]): LabelReader {
  const isMissing = (value: unknown) => value === null || value === undefined || value === "";
  const present = values.filter((value) => !isMissing(value));
  const numbers = present.map(asNumber).filter((number) => number !== undefined);

  if (numbers.length === present.length) {
    const unlabelled = numbers.length > 0 && numbers.every((number) => number === -1);
    const numLabels = unlabelled ? 0 : (names?.length ?? countLabels(numbers));
    const isRight = (id: number) => numLabels < 2 || (Number.isInteger(id) && id >= 0 && id < numLabels);
    return {
      numLabels,
      ...(names ? { names } : {}),
      read: (value) => {
        if (isMissing(value)) return "no label";
        const number = asNumber(value)!;
        return isRight(number) ? number : `a class id is not within 0 to ${numLabels - 1}`;
      },
    };
  }
  const texts = present.flatMap((value) => (typeof value === "string" ? [value.trim()] : []));
  const classNames = names ?? [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
  const ids = new Map(classNames.map((name, id) => [name, id]));
  return {
    numLabels: classNames.length,
    names: classNames,
    read: (value) => {
      if (isMissing(value)) return "no label";
      if (typeof value !== "string") return "a label is no text, though others are";
      return ids.get(value.trim()) ?? `a label is none of [${classNames.join(", ")}]`;
    },
  };
}
