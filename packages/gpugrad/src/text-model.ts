import { noGrad } from "@gpugrad/autograd";
import {
  AutoModelForSequenceClassification,
  AutoTokenizer,
  openFolder,
  type BertConfig,
  type BertForSequenceClassification,
  type Folder,
  type ModelInputs,
} from "@gpugrad/bert";
import { device, DeviceLostError, init, scope, type Tensor } from "@gpugrad/tensor";
import { encodeRows, padBatch, type Encoded } from "./inputs.ts";
import type { TextRow } from "./input-rows.ts";

/** How to open a model, and what to compute with it. */
export interface Task<M extends { readonly config: BertConfig }> {
  open: (folder: Folder) => Promise<M>;
  /** A row of numbers for each text, [B, …]. */
  compute: (model: M, inputs: ModelInputs) => Tensor;
}

/** Logits of each text's classes. */
export const sequenceClassification: Task<BertForSequenceClassification> = {
  open: (folder) => AutoModelForSequenceClassification.fromPretrained(folder),
  compute: (model, inputs) => model.forward(inputs).logits,
};

/** A model with its tokenizer: from texts to a row of numbers each. */
export interface TextModel {
  readonly config: BertConfig;
  /** Tokens per text; longer ones are cut. */
  readonly maxLength: number;
  /** Whether the device that it is on works: if not, the next batch opens it again on a new one. */
  readonly isReady: boolean;
  /** How often that came to pass. */
  readonly rebuilds: number;
  encode(rows: readonly TextRow[]): Encoded[];
  /**
   * Work is on its way to the device when this returns; the promise is for the numbers. Those that are lost with the device are computed
   * again, once, on a new one.
   * @throws {@link DeviceLostError} where there is no new device, or it is lost as well
   */
  compute(batch: readonly Encoded[]): Promise<Float32Array[]>;
}

export interface TextModelOptions {
  /** Tokens per text; no more than model and tokenizer take. */
  maxLength?: number | undefined;
  /** Told when the model had to be opened again. */
  say: (text: string) => void;
}

/** Opens a model and its tokenizer. @throws as their `fromPretrained` do */
export async function openTextModel<M extends { readonly config: BertConfig }>(
  id: string,
  { open, compute }: Task<M>,
  { maxLength = Infinity, say }: TextModelOptions,
): Promise<TextModel> {
  const folder = await openFolder(id); // opened again, it is the same commit of the hub
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  let home = device();
  let model = await open(folder);
  let rebuilds = 0;
  let rebuilding: Promise<void> | undefined;
  const { config } = model;
  const limit = Math.min(config.max_position_embeddings, tokenizer.modelMaxLength, maxLength);

  async function rebuild(): Promise<void> {
    if (!home.adapter.cpu) process.env["GPUGRAD_ADAPTER"] ||= "hardware"; // while it is reset, only CPUs may be there
    try {
      const next = await init();
      model = await open(folder);
      home = next;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceLostError(`the device was lost, and the model can't be opened on a new one: ${why}`, { cause });
    }
    rebuilds++;
    say(`the device was lost; the model was opened again on a new one (${home.adapter.description}).`);
  }

  return {
    config,
    maxLength: limit,
    get isReady() {
      return !home.failed;
    },
    get rebuilds() {
      return rebuilds;
    },
    encode: (rows) => encodeRows(tokenizer, rows, limit),
    async compute(batch) {
      const inputs = padBatch(tokenizer, batch);
      for (let isAgain = false; ; isAgain = true) {
        if (home.failed) await (rebuilding ??= rebuild().finally(() => (rebuilding = undefined)));
        try {
          const { read } = scope(() => ({ read: noGrad(() => compute(model, inputs)).data() }));
          const values = (await read) as Float32Array;
          const width = values.length / batch.length;
          return batch.map((_, b) => values.subarray(b * width, (b + 1) * width));
        } catch (error) {
          if (isAgain || !(error instanceof DeviceLostError)) throw error;
        }
      }
    },
  };
}
