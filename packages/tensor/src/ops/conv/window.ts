import type { Takes } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { showShape, type Shape } from "../../shape.ts";
import { showValue } from "../../values.ts";

/** Height and width; ops of one dimension have a height of 1. */
export type Pair = readonly [number, number];

/** A number for each dimension, or one for all. */
export type PerDim = number | readonly number[];

/** Kinds of what is given for each dimension. */
export const perDimTakes = "number|numbers?" as const satisfies Takes[string];

/**
 * What is given for each of `dims` dimensions, as height and width.
 * @param one what the height of an op of one dimension is
 */
export function pairOf(owner: string, name: string, value: PerDim, dims: 1 | 2, least: number, one: number): Pair {
  const list = typeof value === "number" ? new Array<number>(dims).fill(value) : value;
  check(
    list.length === dims && list.every((n) => Number.isInteger(n) && n >= least),
    () =>
      `${owner}: ${name} is ${showValue(value)}; it takes ${dims === 1 ? "a whole number" : "one or two whole numbers"}, ${least} or more.`,
  );
  return dims === 1 ? [one, list[0]!] : [list[0]!, list[1]!];
}

/** A shape as [N, C, height, width]: without a batch it is one image, and of one dimension it has a height of 1. */
export function imageShape(
  owner: string,
  shape: Shape,
  dims: 1 | 2,
): { image: [number, number, number, number]; batched: boolean } {
  const batched = shape.length === dims + 2;
  check(
    batched || shape.length === dims + 1,
    () =>
      `${owner}: x is ${showShape(shape)}; it takes ${dims === 1 ? "[N, C, L] or [C, L]" : "[N, C, H, W] or [C, H, W]"}.`,
  );
  const [n, c, ...rest] = batched ? shape : [1, ...shape];
  const [height, width] = dims === 1 ? [1, rest[0]!] : [rest[0]!, rest[1]!];
  return { image: [n!, c!, height, width], batched };
}

/** The shape of a result [N, C, height, width] in the form that x had. */
export function likeInput(
  [n, c, height, width]: readonly [number, number, number, number],
  dims: 1 | 2,
  batched: boolean,
): number[] {
  return [...(batched ? [n] : []), c, ...(dims === 1 ? [width] : [height, width])];
}
