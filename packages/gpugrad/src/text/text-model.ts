import { noGrad } from "@gpugrad/autograd";
import {
  AutoModelForSequenceClassification,
  openFolder,
  type EncodeOptions,
  type Encoding,
  type Heads,
  type PretrainedConfig,
  type Folder,
  type Tokenizer,
} from "@gpugrad/bert";
import { device, DeviceLostError, GpugradError, init, scope, type Tensor } from "@gpugrad/tensor";
import {
  encodeRows,
  padTokens,
  poolWindows,
  saveTokenizer,
  shiftsOf,
  startWorkers,
  unpackTokens,
  type Arrays,
  type Tokens,
} from "@gpugrad/train";
import { loading, refuseMissing, type LoadOptions } from "./missing-weights.ts";
import type { TextRow } from "./input-rows.ts";
import { openTokenizer, type TruncationOptions } from "./truncation.ts";
import { checkStride, windowsOfTexts, type WindowOptions } from "./windows.ts";

/** The tokens of a text, cut where they are too many. */
export interface Encoded extends Tokens {
  /** Whether the text has more, where that is known. */
  isCut?: boolean;
  /** Which of the texts that were encoded together it is of, or is a window of. Default: that of its own number. */
  readonly sample?: number;
  /** The token that is asked about, where it is one. */
  readonly place?: number;
  /** The numbers of all its tokens are asked for; the others of its batch ask for the same. */
  readonly allTokens?: boolean;
}

/** How to open a model, and what to compute with it. */
export interface Task<M extends { readonly config: PretrainedConfig }> {
  open: (folder: Folder, options: LoadOptions) => Promise<M>;
  /** A row of numbers for each text, [B, …]. */
  compute: (model: M, inputs: Arrays, batch: readonly Encoded[]) => Tensor;
  /** The numbers are of tokens, [B, T, …]: those of padding are left out. */
  perToken?: boolean;
  /** What is computed of a row, where that isn't the row itself: a text with each of its choices. */
  partsOf?: (row: TextRow) => readonly TextRow[];
  /** How the numbers of a row's parts, or of the windows of a long text, become one. Default: as the windows' pooling says. */
  join?: (parts: readonly Float32Array[]) => Float32Array;
  /** What the model's folder says about its texts. */
  texts?: (model: M, tokenizer: Tokenizer) => TextSettings;
}

export interface TextSettings {
  /** Tokens per text, where the tokenizer's limit is not meant. */
  maxLength?: number | undefined;
  /** What is tokenized in place of a text. Default: the text. */
  prepare?: (text: string) => string;
}

/** A classifier with all its weights. @throws where some are missing, or its head is another one */
export async function openClassifier(folder: Folder, options: LoadOptions): Promise<Heads["sequenceClassification"]> {
  const model = await AutoModelForSequenceClassification.fromPretrained(folder, loading(options));
  return refuseMissing(model, options, { head: "ForSequenceClassification" });
}

/** Logits of each text's classes. */
export const sequenceClassification: Task<Heads["sequenceClassification"]> = {
  open: openClassifier,
  compute: (model, inputs) => model.forward(inputs).logits,
};

/** One row of numbers, of those of its parts. */
export function sideBySide(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A model with its tokenizer: from texts to a row of numbers each. */
export interface TextModel {
  readonly config: PretrainedConfig;
  readonly tokenizer: Tokenizer;
  /** How the windows of a long text become one answer; without it, long texts are cut. */
  readonly windows?: WindowOptions | undefined;
  /** Tokens per text; longer ones are cut. */
  readonly maxLength: number;
  /** Whether the device that it is on works: if not, the next batch opens it again on a new one. */
  readonly isReady: boolean;
  /** How often that has happened. */
  readonly rebuilds: number;
  /** The numbers of a row, of those of its parts or windows, in their order. */
  readonly join: (parts: readonly Float32Array[]) => Float32Array;
  /** Tokens of texts, cut where they are too many; or their windows. */
  encode(rows: readonly TextRow[]): Promise<Encoded[]>;
  /** The same with offsets, as the options say, some milliseconds at a time in this thread. */
  encodings(rows: readonly TextRow[], options?: EncodeOptions): Promise<Encoding[]>;
  /**
   * Work is on its way to the device when this returns; the promise is for the numbers. Those that are lost with the device are computed
   * again, once, on a new one.
   * @throws {@link DeviceLostError} where there is no new device, or it is lost as well
   */
  compute(batch: readonly Encoded[]): Promise<Float32Array[]>;
  /** Ends its threads. */
  close(): Promise<void>;
}

export interface TextModelOptions extends LoadOptions, TruncationOptions {
  /** Tokens per text; no more than model and tokenizer take. */
  maxLength?: number | undefined;
  /** Long texts are computed in windows. A pair of texts is cut all the same. */
  windows?: WindowOptions | undefined;
  /** Threads that tokenize; without any, the main one does. */
  threads?: number;
}

/** Opens a model and its tokenizer. @throws as their `fromPretrained` do */
export async function openTextModel<M extends { readonly config: PretrainedConfig }>(
  id: string,
  { open, compute, texts, perToken = false, partsOf, join }: Task<M>,
  { maxLength = Infinity, threads = 0, windows, truncation, ...options }: TextModelOptions,
): Promise<TextModel> {
  const folder = await openFolder(id); // opened again, it is the same commit of the hub
  const tokenizer = await openTokenizer(folder, { truncation });
  let home = device();
  let model = await open(folder, options);
  let rebuilds = 0;
  let rebuilding: Promise<void> | undefined;
  const { config } = model;
  const { maxLength: own = tokenizer.modelMaxLength, prepare } = texts?.(model, tokenizer) ?? {};
  const limit = Math.min(config.maxLength, own, maxLength);
  if (windows) checkStride(windows, limit, tokenizer);
  const workers = threads > 0 ? await tokenizeThreads(tokenizer, threads, limit) : undefined;

  async function rebuild(): Promise<void> {
    if (!home.adapter.cpu) process.env["GPUGRAD_ADAPTER"] ||= "hardware"; // while it is reset, only CPUs may be there
    try {
      const next = await init();
      model = await open(folder, options);
      home = next;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceLostError(`the device was lost, and the model can't be opened on a new one: ${why}`, { cause });
    }
    rebuilds++;
    options.say(`the device was lost; the model was opened again on a new one (${home.adapter.description}).`);
  }

  const prepared = (rows: readonly TextRow[]): readonly TextRow[] =>
    prepare ? rows.map((row) => ({ ...row, text: prepare(row.text) })) : rows;
  const encodings = (given: readonly TextRow[], options: EncodeOptions = {}): Promise<Encoding[]> => {
    const rows = prepared(given);
    return tokenizer.encodeBatchAsync(
      rows.map(({ text }) => text),
      { textPairs: rows.map(({ text_pair }) => text_pair), truncation: true, maxLength: limit, ...options },
    );
  };

  return {
    config,
    tokenizer,
    windows,
    maxLength: limit,
    get isReady() {
      return !home.failed;
    },
    get rebuilds() {
      return rebuilds;
    },
    join: join ?? ((parts) => poolWindows(parts, windows?.pooling ?? "mean")),
    encodings,
    async encode(given) {
      const parts = given.flatMap((row, sample) => (partsOf?.(row) ?? [row]).map((part) => ({ part, sample })));
      const rows = parts.map(({ part }) => part);
      const encode = () => workers?.encode(prepared(rows)) ?? encodeMarked(tokenizer, prepared(rows), limit);
      const encoded: Encoded[] = windows ? await windowsOfTexts(rows, windows, encodings) : await encode();
      return partsOf ? encoded.map((each, i) => ({ ...each, sample: parts[each.sample ?? i]!.sample })) : encoded;
    },
    async compute(batch) {
      const inputs = padTokens(batch, tokenizer);
      for (let isAgain = false; ; isAgain = true) {
        if (home.failed) await (rebuilding ??= rebuild().finally(() => (rebuilding = undefined)));
        try {
          const { read } = scope(() => ({ read: noGrad(() => compute(model, inputs, batch)).data() }));
          const values = (await read) as Float32Array;
          const width = values.length / batch.length;
          if (!perToken && !batch[0]!.allTokens)
            return batch.map((_, b) => values.subarray(b * width, (b + 1) * width));
          const each = width / inputs.input_ids.shape[1]!;
          return shiftsOf(inputs).map((shift, b) => {
            const start = b * width + shift * each;
            return values.subarray(start, start + batch[b]!.input_ids.length * each);
          });
        } catch (error) {
          if (isAgain || !(error instanceof DeviceLostError)) throw error;
        }
      }
    },
    close: async () => workers?.close(),
  };
}

/** Tokens of texts, and which of them were cut: those that fill one place more. */
function encodeMarked(tokenizer: Tokenizer, rows: readonly TextRow[], maxLength: number): Encoded[] {
  return encodeRows(tokenizer, rows, maxLength + 1).map((encoded, i) =>
    encoded.input_ids.length <= maxLength
      ? encoded
      : { ...encodeRows(tokenizer, [rows[i]!], maxLength)[0]!, isCut: true },
  );
}

/** Threads that tokenize as {@link encodeRows} does: a long text keeps none but its own waiting. */
async function tokenizeThreads(tokenizer: Tokenizer, threads: number, maxLength: number) {
  const saved = (await saveTokenizer(tokenizer))!;
  const workers = await startWorkers(saved.folder, threads);
  if (typeof workers === "string") {
    await saved.remove();
    throw new GpugradError(`tokenizer: its thread can't be started: ${workers}`);
  }
  return {
    encode: async (rows: readonly TextRow[]) => unpackTokens(await workers.encode(rows, maxLength)),
    close: async (): Promise<void> => {
      await workers.close();
      await saved.remove();
    },
  };
}
