import { check } from "@gpugrad/tensor";
import type { Pieces, Tokenize } from "./aligned.ts";

/** Which text gives way when a pair is too long: the longer one token by token, or always the same. */
export type TruncationStrategy = "longest_first" | "only_first" | "only_second";
export const truncationStrategies: readonly unknown[] = ["longest_first", "only_first", "only_second"];

/** How texts are cut; `room` is how many tokens of the texts may remain. */
export interface Truncation {
  strategy: TruncationStrategy;
  side: "left" | "right";
  room: number;
}

/** A text whose tokens are read as far as they are needed. */
interface Reading extends Pieces {
  isDone: boolean;
  advance(): void;
}

/**
 * The tokens of a text or a pair, cut as {@link Truncation} says. Where the beginning of a text is kept, the rest of it is not
 * read. Each `yield` is a place to pause.
 *
 * @throws {@link GpugradError} when the text that is to be cut is too short
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/utils/truncation.rs
 */
export function* truncatedPieces(
  texts: readonly [first: string, second?: string],
  tokenize: Tokenize,
  truncation: Truncation | undefined,
): Generator<void, [a: Pieces, b: Pieces | undefined]> {
  const [a, b] = texts.filter((text) => text !== undefined).map((text) => reading(text, tokenize));
  const stopsEarly =
    truncation?.room === 0 ||
    (truncation?.side === "right" &&
      (truncation.strategy === "longest_first" || (truncation.strategy === "only_first" && !b)));
  for (;;) {
    const next = stopsEarly ? wanting(a!, b, truncation.room) : [a, b].find((text) => text?.isDone === false);
    if (!next) break;
    next.advance();
    yield;
  }
  if (truncation) truncate(a!, b, truncation);
  return [a!, b];
}

function reading(text: string, tokenize: Tokenize): Reading {
  const pieces: Pieces = { ids: [], offsets: [] };
  const parts = tokenize(text, pieces);
  return {
    ...pieces,
    isDone: false,
    advance() {
      this.isDone = parts.next().done === true;
    },
  };
}

/** The text that has to be read on before it is known what `longest_first` keeps; undefined when it is. */
function wanting(a: Reading, b: Reading | undefined, room: number): Reading | undefined {
  const unfinished = [a, b].filter((text) => text?.isDone === false) as Reading[];
  const short = unfinished.find(({ ids }) => ids.length < room);
  if (short || !b || room % 2 === 0) return short;
  // Both fill the room, and its odd place goes to the longer one: read until the shorter one has ended.
  const [first, second] = [a.ids.length, b.ids.length];
  const isDecided = (a.isDone && second >= first) || (b.isDone && first > second);
  return isDecided ? undefined : unfinished.sort((x, y) => x.ids.length - y.ids.length)[0];
}

/** Shortens `a` and `b` in place. */
function truncate(a: Pieces, b: Pieces | undefined, { strategy, side, room }: Truncation): void {
  const [first, second] = [a.ids.length, b?.ids.length ?? 0];
  const excess = first + second - room;
  if (excess <= 0) return;
  if (room === 0) {
    for (const text of [a, b]) if (text) cut(text, 0, side);
    return;
  }
  if (strategy === "longest_first") {
    if (!b) return cut(a, room, side);
    const shorter = Math.min(first, second);
    let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
    let kept = shorter;
    if (kept + longer > room) {
      kept = Math.floor(room / 2);
      longer = kept + (room % 2);
    }
    cut(a, first > second ? longer : kept, side);
    cut(b, first > second ? kept : longer, side);
    return;
  }
  const target = strategy === "only_first" ? a : b;
  check(target, "tokenizer: truncation only_second, but there is no second text. Use longest_first.");
  check(
    target.ids.length > excess,
    () =>
      `tokenizer: truncation ${strategy}: ${excess} tokens too many, and that text has only ${target.ids.length}. Use longest_first.`,
  );
  cut(target, target.ids.length - excess, side);
}

function cut({ ids, offsets }: Pieces, length: number, side: "left" | "right"): void {
  const excess = Math.max(ids.length - length, 0);
  ids.splice(side === "left" ? 0 : length, excess);
  offsets.splice(side === "left" ? 0 : 2 * length, 2 * excess);
}
