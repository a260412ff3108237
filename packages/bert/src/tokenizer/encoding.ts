import { check } from "@gpugrad/tensor";
import type { TokenizerInput } from "./pipeline.ts";
import {
  checkTruncationSide,
  truncationStrategies,
  type TruncationSide,
  type TruncationStrategy,
} from "./truncation.ts";

/** How to encode; the names are those of Transformers' `tokenizer(…)`. */
export interface EncodeOptions {
  /** [CLS], [SEP] and the like. Default true. */
  addSpecialTokens?: boolean | undefined;
  /** `true` means `longest_first`, `false` `do_not_truncate`. Default: cut only where `maxLength` is given and nothing is padded. */
  truncation?: boolean | TruncationStrategy | "do_not_truncate" | undefined;
  /**
   * Tokens, special ones included. Default the model's own limit, where tokenizer_config.json has one. A limit below the number of special tokens
   * cuts nothing, as in Transformers.
   */
  maxLength?: number | undefined;
  /** Tokens that a window shares with the one before it. Default 0. */
  stride?: number | undefined;
  /** Keep what is cut off as further windows, each an {@link Encoding} of its own. For `encodeBatch`. Default false. */
  returnOverflowingTokens?: boolean | undefined;
  /** `longest` of the batch, or `max_length`; `true` means `longest`. Default none. */
  padding?: boolean | "longest" | "max_length" | undefined;
  /** Padded lengths are rounded up to a multiple of it. */
  padToMultipleOf?: number | undefined;
  /** Where padding goes. Default the tokenizer's own side. */
  paddingSide?: "left" | "right" | undefined;
  /** Which end of a text is cut off, or with `head_tail` its middle. Default the tokenizer's own side. */
  truncationSide?: TruncationSide | undefined;
  /** Texts are lists of words; `word_ids()` then says which word each token belongs to, and offsets count within the word. Default false. */
  isSplitIntoWords?: boolean | undefined;
}

/** Several texts at once. */
export interface EncodeBatchOptions extends EncodeOptions {
  textPairs?: readonly (TokenizerInput | undefined)[] | undefined;
}

/** What an {@link Encoding} is made of. */
export interface EncodingColumns {
  input_ids: number[];
  token_type_ids: number[];
  attention_mask: number[];
  special_tokens_mask: number[];
  /** For each token, one after the other: its start and end, its word and its sequence (−1 for none of them). */
  places: Int32Array;
}

/** A text, or a pair of texts, as tokens. */
export class Encoding {
  readonly input_ids: number[];
  /** 0 for the first text, 1 for the second. */
  readonly token_type_ids: number[];
  /** 1 for tokens, 0 for padding. */
  readonly attention_mask: number[];
  /** 1 for tokens that are not of the text: [CLS], [SEP], padding. */
  readonly special_tokens_mask: number[];
  /** Which text of the batch this is, or is a window of: Transformers' `overflow_to_sample_mapping`. */
  readonly sample: number;
  readonly #places: Int32Array;

  constructor(columns: EncodingColumns, sample = 0) {
    this.input_ids = columns.input_ids;
    this.token_type_ids = columns.token_type_ids;
    this.attention_mask = columns.attention_mask;
    this.special_tokens_mask = columns.special_tokens_mask;
    this.sample = sample;
    this.#places = columns.places;
  }

  /** Number of tokens, padding included. */
  get length(): number {
    return this.input_ids.length;
  }

  /**
   * Where each token lies in its text: [start, end) in Unicode code points, as in Python; [0, 0] for special tokens. In
   * JavaScript that part of the text is `[...text].slice(start, end).join("")`.
   */
  get offsets(): [number, number][] {
    return this.input_ids.map((_, i) => this.tokenToChars(i));
  }

  /** The word of each token: its place in the list of words that was given, or among those the tokenizer found; null for special tokens and padding. */
  word_ids(): (number | null)[] {
    return this.input_ids.map((_, i) => this.#numberOf(i, 2));
  }

  /** 0 for tokens of the first text, 1 for those of the second, null for special tokens and padding. */
  sequence_ids(): (number | null)[] {
    return this.input_ids.map((_, i) => this.#numberOf(i, 3));
  }

  /** Where token `i` lies in its text, as {@link offsets} counts. */
  tokenToChars(i: number): [start: number, end: number] {
    return [this.#places[4 * i]!, this.#places[4 * i + 1]!];
  }

  /** The word (2) or the sequence (3) of token `i`. */
  #numberOf(i: number, column: 2 | 3): number | null {
    const number = this.#places[4 * i + column]!;
    return number < 0 ? null : number;
  }

  /** The first token of text 0 or 1 that covers code point `char` of it; undefined where none does, as at a space. */
  charToToken(char: number, sequence: 0 | 1 = 0): number | undefined {
    const found = this.input_ids.findIndex((_, i) => {
      const [start, end] = this.tokenToChars(i);
      return this.#numberOf(i, 3) === sequence && start <= char && char < end;
    });
    return found < 0 ? undefined : found;
  }
}

/** Options with their defaults filled in. */
export type FullEncodeOptions = {
  [K in keyof EncodeOptions]-?: Exclude<EncodeOptions[K], undefined>;
} & { padding: false | "longest" | "max_length"; truncation: false | TruncationStrategy };

/** What is left out comes from the tokenizer. @throws {@link GpugradError} naming the first option that can't be */
export function fullEncodeOptions(
  options: EncodeOptions,
  tokenizer: { modelMaxLength: number; paddingSide: "left" | "right"; truncationSide: TruncationSide },
): FullEncodeOptions {
  const padding = options.padding === true ? "longest" : (options.padding ?? false);
  const truncation = options.truncation ?? (options.maxLength !== undefined && padding === false);
  const defaults: FullEncodeOptions = {
    addSpecialTokens: true,
    truncation: false,
    maxLength: tokenizer.modelMaxLength,
    stride: 0,
    returnOverflowingTokens: false,
    padding: false,
    padToMultipleOf: 1,
    paddingSide: tokenizer.paddingSide,
    truncationSide: tokenizer.truncationSide,
    isSplitIntoWords: false,
  };
  const known = Object.keys(defaults);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  check(
    unknown === undefined,
    () => `tokenizer: unknown option ${unknown}. Known: ${known.join(", ")}, textPair, textPairs.`,
  );
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const full = {
    ...defaults,
    ...given,
    padding,
    truncation: truncation === true ? "longest_first" : truncation === "do_not_truncate" ? false : truncation,
  } as FullEncodeOptions;
  checkOptions(full);
  return full;
}

function checkOptions(options: FullEncodeOptions): void {
  const { maxLength, padToMultipleOf, padding, truncation, stride } = options;
  check(
    maxLength >= 0 && (Number.isInteger(maxLength) || maxLength === Infinity),
    () => `tokenizer: maxLength ${maxLength} is not a non-negative integer.`,
  );
  check(Number.isInteger(stride) && stride >= 0, () => `tokenizer: stride ${stride} is not a non-negative integer.`);
  check(
    Number.isInteger(padToMultipleOf) && padToMultipleOf > 0,
    () => `tokenizer: padToMultipleOf ${padToMultipleOf} is not a positive integer.`,
  );
  check(
    padding === false || padding === "longest" || padding === "max_length",
    () => `tokenizer: padding "${String(padding)}" is not true, false, "longest" or "max_length".`,
  );
  check(
    truncation === false || truncationStrategies.includes(truncation),
    () =>
      `tokenizer: truncation "${String(truncation)}" is not true, false or one of ${truncationStrategies.join(", ")}, do_not_truncate.`,
  );
  check(
    options.paddingSide === "left" || options.paddingSide === "right",
    () => `tokenizer: paddingSide "${String(options.paddingSide)}" is neither "left" nor "right".`,
  );
  checkTruncationSide(options.truncationSide);
  check(
    options.truncationSide !== "head_tail" || (stride === 0 && !options.returnOverflowingTokens),
    "tokenizer: truncationSide head_tail keeps both ends of a text, so there are no windows: stride and returnOverflowingTokens need left or right.",
  );
  for (const name of ["addSpecialTokens", "returnOverflowingTokens", "isSplitIntoWords"] as const)
    check(
      typeof options[name] === "boolean",
      () => `tokenizer: ${name} ${String(options[name])} is not true or false.`,
    );
  check(
    !truncation || !padding || maxLength === Infinity || maxLength % padToMultipleOf === 0,
    () =>
      `tokenizer: maxLength ${maxLength} is not a multiple of padToMultipleOf ${padToMultipleOf}, so padding would exceed it.`,
  );
}
