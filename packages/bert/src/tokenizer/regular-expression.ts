import { GpugradError } from "@gpugrad/tensor";
import { toRegExp } from "#oniguruma";
import { withinTime } from "#time-limit";

/** Start and end of each match, one pair after the other. */
export type FindMatches = (text: string) => number[];

/** What tokenizer.json writes for a pattern. */
export interface Pattern {
  find: FindMatches;
  /**
   * Whether it takes time linear in the text, and finds the same in the parts of a text that is cut before a space between two letters.
   */
  isSafe: boolean;
  /** Whether such a space begins or ends a match. */
  splitsWords: boolean;
}

/** What GPT-2 splits by. */
export const gpt2Expression = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** What well-known tokenizers split by: Llama 3, and Qwen 2. None backtracks over more than a character. */
const wordExpressions = new Set([
  gpt2Expression,
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
]);
/** What normalizers of DeBERTa and T5 look for: never one space alone. */
const spaceExpressions = new Set([String.raw`\s{2,}|[\n\r\t]`, " {2,}"]);

/** Whether a tokenizer.json, or a part of it, has an expression to be translated. */
export const hasExpressions = (json: unknown): boolean =>
  typeof json === "object" &&
  json !== null &&
  ("Regex" in json ||
    Object.entries(json).some(([key, value]) => key !== "vocab" && key !== "merges" && hasExpressions(value)));

/** An expression in the syntax of Oniguruma, which the Rust tokenizers use. @throws {@link GpugradError} where it can't be read */
export function compileExpression(source: string, where: string): Pattern {
  try {
    const splitsWords = wordExpressions.has(source);
    return {
      find: finder(toRegExp(source)),
      isSafe: splitsWords || spaceExpressions.has(source),
      splitsWords,
    };
  } catch (error) {
    throw new GpugradError(`${where}: ${JSON.stringify(source).slice(0, 80)}: ${(error as Error).message}`);
  }
}

export function finder(expression: RegExp): FindMatches {
  return (text) => {
    const found: number[] = [];
    for (const match of text.matchAll(expression)) {
      const [start, end] = [match.index, match.index + match[0].length];
      if (start === end && start === found.at(-1)) continue; // as Oniguruma: no empty match right behind another one
      found.push(start, end);
    }
    return found;
  };
}

export const stringPattern = (content: string): Pattern => ({
  find(text) {
    const found: number[] = [];
    if (content === "") return found;
    for (let at = text.indexOf(content); at >= 0; at = text.indexOf(content, at + content.length))
      found.push(at, at + content.length);
    return found;
  },
  isSafe: content === " " || !content.includes(" "),
  splitsWords: content === " ",
});

/** Far more than any stage takes, where no regular expression of the file backtracks without end. */
const [baseMilliseconds, millisecondsPerUnit] = [1000, 0.05];

/** The time that the expressions of a file may take on one text. */
export class TimeBudget {
  #left: number;
  readonly #total: number;

  constructor(units: number) {
    this.#total = Math.ceil(baseMilliseconds + units * millisecondsPerUnit);
    this.#left = this.#total;
  }

  /** Runs `work`, and in Node stops it when the time is over. @throws {@link GpugradError} naming `where` */
  spend<T>(where: string, work: () => T): T {
    const start = performance.now();
    try {
      return withinTime(Math.max(Math.ceil(this.#left), 1), work);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new GpugradError(`${where}: ${reason}`);
    } finally {
      this.#left -= performance.now() - start;
    }
  }
}
