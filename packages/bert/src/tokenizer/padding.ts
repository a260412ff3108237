import { check } from "@gpugrad/tensor";

/** How a tokenizer pads. */
export interface Padder {
  /** What padding consists of; undefined where the vocabulary has no padding token. */
  readonly padTokenId?: number | undefined;
  /** Default right. */
  readonly paddingSide?: "left" | "right" | undefined;
}

/** To which length rows are padded. */
export interface PadRowsOptions {
  /** To the longest row (default), or to `maxLength`. */
  padding?: "longest" | "max_length" | undefined;
  /** With `max_length`: Infinity pads nothing. */
  maxLength?: number | undefined;
  /** The length is rounded up to a multiple of it. */
  padToMultipleOf?: number | undefined;
}

/** Rows of one length, row-major [B, T]. */
export interface PaddedBatch {
  input_ids: Int32Array<ArrayBuffer>;
  /** 0 for the first text and for padding, 1 for the second text. */
  token_type_ids: Int32Array<ArrayBuffer>;
  /** 1 for tokens, 0 for padding. */
  attention_mask: Int32Array<ArrayBuffer>;
  shape: [B: number, T: number];
}

/** The length that rows are padded to; longer rows keep theirs. */
export function paddedLength(
  lengths: readonly number[],
  { padding = "longest", maxLength = Infinity, padToMultipleOf = 1 }: PadRowsOptions = {},
): number {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const length = padding === "max_length" && maxLength < Infinity ? Math.max(maxLength, longest) : longest;
  return Math.ceil(length / padToMultipleOf) * padToMultipleOf;
}

/** The id that padding consists of. @throws {@link GpugradError} where the tokenizer has none */
export function requirePadTokenId({ padTokenId }: Padder): number {
  check(
    padTokenId !== undefined,
    "tokenizer: rows of different lengths need padding, but the vocabulary has no padding token. Set pad_token in tokenizer_config.json.",
  );
  return padTokenId;
}

/**
 * Pads rows of tokens to one length, on the tokenizer's side.
 *
 * @param rows `token_type_ids` left out means 0, `attention_mask` 1.
 * @throws {@link GpugradError} when a row needs padding and the tokenizer has no padding token
 */
export function padRows(
  rows: readonly Readonly<{
    input_ids: ArrayLike<number>;
    token_type_ids?: ArrayLike<number>;
    attention_mask?: ArrayLike<number>;
  }>[],
  tokenizer: Padder,
  options?: PadRowsOptions,
): PaddedBatch {
  const lengths = rows.map(({ input_ids }) => input_ids.length);
  const [B, T] = [rows.length, paddedLength(lengths, options)];
  const needsPadding = lengths.some((length) => length < T);
  const input_ids = new Int32Array(B * T).fill(needsPadding ? requirePadTokenId(tokenizer) : 0);
  const [token_type_ids, attention_mask] = [new Int32Array(B * T), new Int32Array(B * T)];
  for (const [b, row] of rows.entries()) {
    const start = b * T + (tokenizer.paddingSide === "left" ? T - lengths[b]! : 0);
    input_ids.set(row.input_ids, start);
    if (row.token_type_ids) token_type_ids.set(row.token_type_ids, start);
    if (row.attention_mask) attention_mask.set(row.attention_mask, start);
    else attention_mask.fill(1, start, start + lengths[b]!);
  }
  return { input_ids, token_type_ids, attention_mask, shape: [B, T] };
}
