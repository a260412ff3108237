import { padRows, type Padder, type PadRowsOptions } from "@gpugrad/bert";
import type { Tensor } from "@gpugrad/tensor";
import { DataError } from "../errors.ts";
import type { Row } from "./dataset.ts";
import type { LabelInfo } from "./labels.ts";

/** Values of a batch, row-major, as models take them. */
export interface NamedArray {
  readonly data: Int32Array | Float32Array;
  readonly shape: readonly number[];
  readonly dtype: "i32" | "f32";
}

/**
 * Arrays by the names that a model's `forward` has for them: `input_ids`, `token_type_ids` (both [B, T]), `attention_mask` [B, T] where there is
 * padding, `labels`, …
 */
export interface Arrays {
  readonly input_ids: NamedArray;
  readonly [name: string]: NamedArray;
}

/** Inputs of a forward by their names: the arrays of a batch, on the host or on the device. */
export interface Inputs {
  readonly input_ids: NamedArray | Tensor;
  readonly [name: string]: NamedArray | Tensor;
}

/** Rows of a dataset, ready for a model. */
export interface Batch {
  readonly arrays: Arrays;
  /** Which rows of the dataset these are. */
  readonly rows: readonly number[];
  /** The rows as tokens, not padded: what a task makes of a model's output may need them. */
  readonly encoded?: readonly EncodedRow[];
  /** Whether it counts nothing: a rank that has no row of a batch that all ranks share gets the first one, so that it does the same work. */
  readonly isSpare?: boolean;
}

/** What batches need of a tokenizer; `AutoTokenizer` of @gpugrad/bert gives it. */
export interface BatchTokenizer extends Padder {
  /** Longest input of the model, in tokens; Infinity where it is not known. */
  readonly modelMaxLength: number;
  /** Texts (or pairs) as ids with special tokens, truncated, not padded. */
  encodeBatch(
    texts: readonly string[],
    options: {
      /** Undefined for a text without a second one. */
      textPairs?: readonly (string | undefined)[];
      truncation: true;
      maxLength: number;
      padding: false;
      padToMultipleOf: 1;
    },
  ): readonly Record<"input_ids" | "attention_mask" | "token_type_ids", ArrayLike<number>>[];
  /** What padding consists of; without it, only rows of one length make a batch. */
  readonly padTokenId?: number | undefined;
  /** Default right. */
  readonly paddingSide?: "left" | "right";
  /** Writes tokenizer.json into a folder. Without it, tokens are neither kept on disk, for evaluations to share, nor made by other threads. */
  savePretrained?(folder: string): Promise<void>;
}

/** The tokens of a row, special ones included. */
export type Tokens = {
  readonly input_ids: ArrayLike<number>;
  /** Left out: 0. */
  readonly token_type_ids?: ArrayLike<number>;
  /** Left out: all of them are tokens. */
  readonly attention_mask?: ArrayLike<number>;
};

/** A row of a dataset as tokens, with what it has beside its texts. */
export type EncodedRow = Tokens & Pick<Row, "label" | "labels"> & { readonly [column: string]: unknown };

/** Which rows of the dataset a batch is made of, and in which epoch: what draws at random goes by these alone, so that a run can be continued. */
export interface BatchPlace {
  rows: readonly number[];
  epoch: number;
}

/** Makes arrays of rows: pads their tokens with `pad`, and adds what the loss needs. */
export type Collate = (
  rows: readonly EncodedRow[],
  pad: (rows: readonly Tokens[]) => Arrays,
  place?: BatchPlace,
) => Arrays;

/** Rows with their texts, or pairs of texts, as tokens: at most `maxLength` each, not padded. A row without a second text is encoded as it is without its neighbours. */
export function encodeRows(
  tokenizer: Pick<BatchTokenizer, "encodeBatch">,
  rows: readonly Row[],
  maxLength: number,
): EncodedRow[] {
  const textPairs = rows.map((row) => row.text_pair);
  const encoded = tokenizer.encodeBatch(
    rows.map((row) => row.text),
    {
      ...(textPairs.some((text) => text !== undefined) && { textPairs }),
      ...{ truncation: true, maxLength, padding: false, padToMultipleOf: 1 },
    },
  );
  // Nothing else is kept of an encoding: its offsets are large.
  return encoded.map(({ input_ids, token_type_ids, attention_mask }, i) => {
    const hasPadding = Array.prototype.includes.call(attention_mask, 0); // of a tokenizer that pads all the same
    const { text: _, text_pair: __, ...row } = rows[i]!;
    return { ...row, input_ids, token_type_ids, ...(hasPadding && { attention_mask }) };
  });
}

/**
 * Pads tokens to one length, on the tokenizer's side. Without padding there is no mask: attention is faster without one.
 * @throws {@link GpugradError} when a row needs padding and the tokenizer has no padding token
 */
export function padTokens(rows: readonly Tokens[], tokenizer: Padder, options?: PadRowsOptions): Arrays {
  const { input_ids, attention_mask, token_type_ids, shape } = padRows(rows, tokenizer, options);
  const ints = (data: Int32Array): NamedArray => ({ data, shape, dtype: "i32" });
  return {
    input_ids: ints(input_ids),
    ...(attention_mask.includes(0) && { attention_mask: ints(attention_mask) }),
    token_type_ids: ints(token_type_ids),
  };
}

/** Tokens of each row of a batch, or of each choice of a row, without padding. */
export function lengthsOf({ input_ids, attention_mask }: Arrays): number[] {
  const T = input_ids.shape.at(-1)!;
  const B = input_ids.data.length / T;
  const lengths = new Array<number>(B).fill(attention_mask ? 0 : T);
  attention_mask?.data.forEach((isToken, i) => (lengths[Math.floor(i / T)]! += isToken));
  return lengths;
}

/** Adds the label of each row: class ids, or numbers in f32. Where a row has none, there are no labels. */
export const withLabels =
  (dtype: NamedArray["dtype"]): Collate =>
  (rows, pad) => {
    const labels = rows.flatMap(({ label }) => (label === undefined ? [] : [label]));
    if (labels.length < rows.length) return pad(rows);
    const fraction = dtype === "i32" ? labels.find((label) => !Number.isInteger(label)) : undefined;
    if (fraction !== undefined)
      throw new DataError(`labels: ${fraction} is not the id of a class. Train a regression to learn numbers.`);
    const data = dtype === "f32" ? Float32Array.from(labels) : Int32Array.from(labels);
    return { ...pad(rows), labels: { data, shape: [rows.length], dtype } };
  };

/** Adds the labels of each row as 1 for its classes and 0 for the others, f32 `[B, classes]`. Where a row has none, there are no labels. */
export const withLabelSets =
  (classes: number): Collate =>
  (rows, pad) => {
    const sets = rows.flatMap(({ label, labels = label === undefined ? undefined : [label] }) =>
      labels ? [labels] : [],
    );
    if (sets.length < rows.length) return pad(rows);
    const data = new Float32Array(rows.length * classes);
    sets.forEach((set, b) => {
      for (const id of set) {
        if (!(Number.isInteger(id) && id >= 0 && id < classes))
          throw new DataError(`labels: ${id} is not the id of a class: the model has ${classes}.`);
        data[b * classes + id] = 1;
      }
    });
    return { ...pad(rows), labels: { data, shape: [rows.length, classes], dtype: "f32" } };
  };

/** The labels of a dataset as what they are: class ids, sets of them, or numbers. */
export const collatorFor = ({ numLabels, multiLabel }: LabelInfo): Collate =>
  multiLabel ? withLabelSets(numLabels) : withLabels(numLabels === 1 ? "f32" : "i32");
