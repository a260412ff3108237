import { noGrad } from "@gpugrad/autograd";
import {
  AutoModelForSequenceClassification,
  AutoTokenizer,
  type BertConfig,
  type BertForSequenceClassification,
  type ModelInputs,
} from "@gpugrad/bert";
import { scope, type Tensor } from "@gpugrad/tensor";
import { encodeRows, padBatch, type Encoded } from "./inputs.ts";
import type { TextRow } from "./input-rows.ts";

/** How to open a model, and what to compute with it. */
export interface Task<M extends { readonly config: BertConfig }> {
  open: (idOrFolder: string) => Promise<M>;
  /** A row of numbers for each text, [B, …]. */
  compute: (model: M, inputs: ModelInputs) => Tensor;
}

/** Logits of each text's classes. */
export const sequenceClassification: Task<BertForSequenceClassification> = {
  open: (id) => AutoModelForSequenceClassification.fromPretrained(id),
  compute: (model, inputs) => model.forward(inputs).logits,
};

/** A model with its tokenizer: from texts to a row of numbers each. */
export interface TextModel {
  readonly config: BertConfig;
  /** Tokens per text; longer ones are cut. */
  readonly maxLength: number;
  encode(rows: readonly TextRow[]): Encoded[];
  /** Work is on its way to the device when this returns; the promise is for the numbers. */
  compute(batch: readonly Encoded[]): Promise<Float32Array[]>;
}

/** Opens a model and its tokenizer; `maxLength` is no more than both take. @throws as their `fromPretrained` do */
export async function openTextModel<M extends { readonly config: BertConfig }>(
  id: string,
  { open, compute }: Task<M>,
  maxLength = Infinity,
): Promise<TextModel> {
  const tokenizer = await AutoTokenizer.fromPretrained(id);
  const model = await open(id);
  const limit = Math.min(model.config.max_position_embeddings, tokenizer.modelMaxLength, maxLength);
  return {
    config: model.config,
    maxLength: limit,
    encode: (rows) => encodeRows(tokenizer, rows, limit),
    async compute(batch) {
      const inputs = padBatch(tokenizer, batch);
      const { read } = scope(() => ({ read: noGrad(() => compute(model, inputs)).data() }));
      const values = (await read) as Float32Array;
      const width = values.length / batch.length;
      return batch.map((_, b) => values.subarray(b * width, (b + 1) * width));
    },
  };
}
