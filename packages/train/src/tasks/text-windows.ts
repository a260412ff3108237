import type { Tokenizer } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { Dataset, type Row } from "../data/dataset.ts";
import type { RowPrediction } from "./sequence-classification/predictions.ts";
import type { Found, Task } from "./task.ts";

/** How the logits of a text's windows become those of the text. */
export const WINDOW_POOLINGS = ["mean", "max"] as const;
export type WindowPooling = (typeof WINDOW_POOLINGS)[number];

/** One row of logits, of those of several windows: their mean or, class by class, their largest. */
export function poolWindows(windows: readonly Float32Array[], pooling: WindowPooling): Float32Array {
  const first = windows[0]!;
  if (windows.some(({ length }) => length !== first.length))
    throw new GpugradError("windows: their answers are of different lengths. Only classifiers of texts take a stride.");
  if (windows.length === 1) return first;
  return first.map((_, c) => {
    const values = windows.map((window) => window[c]!);
    return pooling === "mean" ? values.reduce((a, b) => a + b, 0) / values.length : Math.max(...values);
  });
}

/** A window of a text, with the labels of the text. */
export type TextWindowRow = Row & {
  window: {
    input_ids: readonly number[];
    token_type_ids: readonly number[];
    /** Which row of the texts it is of. */
    text: number;
  };
};

/** Windows over the texts of a dataset, a row for each, which share `stride` tokens with the one before. A pair of texts has one, cut where it is too long. */
export async function textWindows(
  texts: Dataset,
  tokenizer: Tokenizer,
  { maxLength, stride }: { maxLength: number; stride: number },
): Promise<Dataset> {
  const rows: TextWindowRow[] = [];
  for (let text = 0; text < texts.length; text++) {
    const row = await texts.row(text);
    const windows = { stride, returnOverflowingTokens: true, truncationSide: "right" } as const;
    const encoded = tokenizer.encodeBatch([row.text], {
      ...(row.text_pair === undefined ? windows : { textPairs: [row.text_pair] }),
      ...{ truncation: true, maxLength },
    });
    for (const { input_ids, token_type_ids } of encoded)
      rows.push({ ...row, window: { input_ids, token_type_ids, text } });
  }
  return new Dataset({
    ...{ name: texts.name, length: rows.length, labels: texts.labels, badRows: texts.badRows },
    row: (i) => Promise.resolve(rows[i]!),
    where: (i) => texts.where(rows[i]!.window.text),
  });
}

/** A task whose rows are windows: a text's prediction is made of those of its windows. The loss is a mean over windows. */
export function windowedTask<F extends Found>(
  task: Task<F, RowPrediction>,
  pooling: WindowPooling,
): Task<F, RowPrediction & { text: number }> {
  return {
    ...task,
    encode: (rows) =>
      rows.map((row) => {
        const { text: _, text_pair: __, ...own } = row as TextWindowRow;
        const { input_ids, token_type_ids } = own.window;
        return { ...own, input_ids, token_type_ids };
      }),
    decode: (read, batch) =>
      task.decode(read, batch).map((row, b) => ({
        ...row,
        text: (batch.encoded![b] as unknown as TextWindowRow).window.text,
      })),
    gather(windows) {
      const texts: (typeof windows)[number][][] = [];
      for (const window of windows) (texts[window.text] ??= []).push(window);
      return task.gather(
        texts.map((own) => ({ labels: own[0]!.labels, logits: poolWindows(own.map(({ logits }) => logits), pooling) })), // prettier-ignore
      );
    },
  };
}
