import { InvalidArgumentError } from "commander";
import { createReadStream } from "node:fs";
import { stdin } from "node:process";
import { createInterface } from "node:readline";

/**
 * The texts a command works on, one after the other: its operands, the lines of `--file`, or else the lines of standard input.
 * An empty line is an empty text; a last line break ends the last text and begins no other.
 */
export async function* textsOf(operands: readonly string[], file: string | undefined): AsyncGenerator<string> {
  if (operands.length > 0) yield* operands;
  else yield* createInterface({ input: file === undefined ? stdin : createReadStream(file), crlfDelay: Infinity });
}

/** Items in groups of `size`; the last may be smaller. */
export async function* batchesOf<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** The number behind an option, from `least` on. @throws commander's error, which ends in exit code 2 */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`It has to be a whole number of at least ${least}.`);
    return value;
  };
}
