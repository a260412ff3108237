import { check } from "@gpugrad/tensor";
import { truncationStrategies, type TruncationStrategy } from "./truncation.ts";

/** How to encode; the names are those of Transformers' `tokenizer(…)`. */
export interface EncodeOptions {
  /** [CLS], [SEP] and the like. Default true. */
  addSpecialTokens?: boolean | undefined;
  /** `true` means `longest_first`. Default: cut only where `maxLength` is given and nothing is padded. */
  truncation?: boolean | TruncationStrategy | undefined;
  /** Tokens, special ones included. Default the model's own limit, where tokenizer_config.json has one. */
  maxLength?: number | undefined;
  /** `longest` of the batch, or `max_length`; `true` means `longest`. Default none. */
  padding?: boolean | "longest" | "max_length" | undefined;
  /** Padded lengths are rounded up to a multiple of it. */
  padToMultipleOf?: number | undefined;
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
  /** Start and end of each token, one pair after the other; undefined where the tokenizer cannot tell. */
  readonly #offsets: Int32Array | undefined;

  constructor(
    columns: Pick<Encoding, "input_ids" | "token_type_ids" | "attention_mask" | "special_tokens_mask">,
    offsets: Int32Array | undefined,
  ) {
    this.input_ids = columns.input_ids;
    this.token_type_ids = columns.token_type_ids;
    this.attention_mask = columns.attention_mask;
    this.special_tokens_mask = columns.special_tokens_mask;
    this.#offsets = offsets;
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
    const offsets = this.#offsets;
    check(offsets, "offsets: this tokenizer does not keep them; BERT's does.");
    return this.input_ids.map((_, i) => [offsets[2 * i]!, offsets[2 * i + 1]!]);
  }
}

/** Several texts at once. */
export interface EncodeBatchOptions extends EncodeOptions {
  textPairs?: readonly (string | undefined)[] | undefined;
}

/** @throws {@link GpugradError} naming the first option that can't be */
export function checkEncodeOptions(options: EncodeOptions & { maxLength: number; padToMultipleOf: number }): void {
  const { maxLength, padToMultipleOf, padding, truncation, ...others } = options;
  const unknown = Object.keys(others).find((name) => name !== "addSpecialTokens");
  check(
    unknown === undefined,
    () =>
      `tokenizer: unknown option ${unknown}. Known: addSpecialTokens, truncation, maxLength, padding, padToMultipleOf, textPair.`,
  );
  check(
    maxLength > 0 && (Number.isInteger(maxLength) || maxLength === Infinity),
    () => `tokenizer: maxLength ${maxLength} is not a positive integer.`,
  );
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
      `tokenizer: truncation "${String(truncation)}" is not true, false or one of ${truncationStrategies.join(", ")}.`,
  );
  check(
    !truncation || !padding || maxLength === Infinity || maxLength % padToMultipleOf === 0,
    () =>
      `tokenizer: maxLength ${maxLength} is not a multiple of padToMultipleOf ${padToMultipleOf}, so padding would exceed it.`,
  );
}
