import { check } from "@gpugrad/tensor";
import type { Pieces, Tokenize, TokenizerInput } from "./pipeline.ts";

/** Which text gives way when a pair is too long: the longer one token by token, or always the same. */
export type TruncationStrategy = "longest_first" | "only_first" | "only_second";
export const truncationStrategies: readonly unknown[] = ["longest_first", "only_first", "only_second"];

/** Which end of a text is cut off; `head_tail` cuts out the middle, and keeps the first quarter of the tokens and the last three. */
export type TruncationSide = "left" | "right" | "head_tail";
export const truncationSides: readonly TruncationSide[] = ["left", "right", "head_tail"];

/** @throws {@link GpugradError} for another side */
export function checkTruncationSide(side: unknown): asserts side is TruncationSide {
  check(
    truncationSides.includes(side as TruncationSide),
    () => `tokenizer: truncationSide "${String(side)}" is not one of ${truncationSides.join(", ")}.`,
  );
}

/** How texts are cut; `room` is how many tokens of the texts may remain. */
export interface Truncation {
  strategy: TruncationStrategy;
  side: TruncationSide;
  room: number;
  /** Tokens that a window shares with the one before it. */
  stride: number;
  /** Whether what is cut off is kept as further windows. */
  overflow: boolean;
}

/** A text whose tokens are read as far as they are needed. */
class Reading implements Pieces {
  readonly ids: number[] = [];
  readonly offsets: number[] = [];
  readonly words: number[] = [];
  readonly margins: number[] = [];
  isDone = false;
  readonly #parts: Generator<void>;

  constructor(text: TokenizerInput, tokenize: Tokenize) {
    this.#parts = typeof text === "string" ? tokenize(text, this) : ofWords(text, this, tokenize);
  }

  advance(): void {
    this.isDone = this.#parts.next().done === true;
  }
}

function* ofWords(words: readonly string[], pieces: Pieces, tokenize: Tokenize): Generator<void> {
  for (const [i, word] of words.entries()) yield* tokenize(word, pieces, i);
}

/**
 * The tokens of a text or a pair, cut as {@link Truncation} says: of each text its windows, the one that is kept first. Where the
 * beginning of a text is kept and nothing else of it, the rest is not read. Each `yield` is a place to pause.
 *
 * @throws {@link GpugradError} when the text that is to be cut is too short
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/utils/truncation.rs
 */
export function* truncatedPieces(
  texts: readonly [first: TokenizerInput, second: TokenizerInput | undefined],
  tokenize: Tokenize,
  truncation: Truncation | undefined,
): Generator<void, [a: Pieces[], b: Pieces[] | undefined]> {
  const a = new Reading(texts[0], tokenize);
  const b = texts[1] === undefined ? undefined : new Reading(texts[1], tokenize);
  const keepsBeginning = truncation?.side === "right" && !truncation.overflow && truncation.stride === 0;
  const stopsEarly =
    keepsBeginning &&
    (truncation.room === 0 || truncation.strategy === "longest_first" || (truncation.strategy === "only_first" && !b));
  for (;;) {
    const next = stopsEarly ? wanting(a, b, truncation.room) : !a.isDone ? a : b?.isDone === false ? b : undefined;
    if (!next) break;
    next.advance();
    yield;
  }
  if (!truncation) return [[a], b && [b]];
  const [first, second] = keptLengths(a.ids.length, b?.ids.length, truncation);
  return [windows(a, first, truncation), b && windows(b, second!, truncation)];
}

/** The text that has to be read on before it is known what is kept; undefined when it is. */
function wanting(a: Reading, b: Reading | undefined, room: number): Reading | undefined {
  if (!b) return a.isDone || a.ids.length >= room ? undefined : a;
  const unfinished = [a, b].filter(({ isDone }) => !isDone);
  const short = unfinished.find(({ ids }) => ids.length < room);
  if (short || room % 2 === 0) return short;
  // Both fill the room, and its odd place goes to the longer one: read until the shorter one has ended.
  const [first, second] = [a.ids.length, b.ids.length];
  const isDecided = (a.isDone && second >= first) || (b.isDone && first > second);
  return isDecided ? undefined : unfinished.sort((x, y) => x.ids.length - y.ids.length)[0];
}

/** How many tokens remain of texts of `first` and `second` tokens. */
function keptLengths(
  first: number,
  second: number | undefined,
  { strategy, room }: Truncation,
): [first: number, second: number | undefined] {
  const excess = first + (second ?? 0) - room;
  if (room === 0) return [0, second && 0];
  if (excess <= 0) return [first, second];
  if (strategy === "longest_first") {
    if (second === undefined) return [room, undefined];
    const shorter = Math.min(first, second);
    let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
    let kept = shorter;
    if (kept + longer > room) {
      kept = Math.floor(room / 2);
      longer = kept + (room % 2);
    }
    return first > second ? [longer, kept] : [kept, longer];
  }
  check(
    strategy === "only_first" || second !== undefined,
    "tokenizer: truncation only_second, but there is no second text. Use longest_first.",
  );
  const target = strategy === "only_first" ? first : second!;
  check(
    target > excess,
    () =>
      `tokenizer: truncation ${strategy}: ${excess} tokens too many, and that text has only ${target}. Use longest_first.`,
  );
  return strategy === "only_first" ? [first - excess, second] : [first, target - excess];
}

/** Pieces of at most `length` tokens, beginning at the side that is kept, each sharing `stride` tokens with the one before. */
function windows(pieces: Pieces, length: number, { side, stride, overflow }: Truncation): Pieces[] {
  const total = pieces.ids.length;
  if (length >= total) return [pieces];
  if (length === 0) return overflow ? [slice(pieces, 0, 0), pieces] : [slice(pieces, 0, 0)];
  if (side === "head_tail") return [headAndTail(pieces, length)];
  check(
    stride < length,
    () => `tokenizer: stride ${stride} is not below the ${length} tokens of a window. Use a larger maxLength.`,
  );
  const found: Pieces[] = [];
  for (let shift = 0; found.length === 0 || overflow; shift += length - stride) {
    const [start, end] =
      side === "right"
        ? [shift, Math.min(shift + length, total)]
        : [Math.max(total - shift - length, 0), total - shift];
    found.push(slice(pieces, start, end));
    if (side === "right" ? end === total : start === 0) break;
  }
  return found;
}

/**
 * The first and the last tokens of a text: of 510, 128 and 382.
 * @see Sun et al., How to Fine-Tune BERT for Text Classification?, 2019. https://arxiv.org/abs/1905.05583
 */
function headAndTail(pieces: Pieces, length: number): Pieces {
  const head = Math.round(length / 4);
  const [first, last] = [slice(pieces, 0, head), slice(pieces, pieces.ids.length - (length - head), pieces.ids.length)];
  return {
    ids: first.ids.concat(last.ids),
    offsets: first.offsets.concat(last.offsets),
    words: first.words.concat(last.words),
    margins: first.margins.concat(last.margins),
  };
}

const slice = ({ ids, offsets, words, margins }: Pieces, start: number, end: number): Pieces => ({
  ids: ids.slice(start, end),
  offsets: offsets.slice(2 * start, 2 * end),
  words: words.slice(start, end),
  margins: margins.slice(2 * start, 2 * end),
});
