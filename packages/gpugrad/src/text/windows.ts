import type { EncodeOptions, Encoding, Tokenizer } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { WINDOW_POOLINGS, type WindowPooling } from "@gpugrad/train";
import { Option, type Command } from "commander";
import type { TextRow } from "./input-rows.ts";
import { wholeNumber } from "./texts.ts";

/** Windows over long texts, which would be cut otherwise. */
export interface WindowOptions {
  /** Tokens that a window shares with the one before it. */
  stride: number;
  pooling: WindowPooling;
}

/** What {@link addWindowOptions} reads. */
export interface WindowFlags {
  stride?: number | undefined;
  windowPooling?: WindowPooling | undefined;
}

export const addWindowOptions = (command: Command): Command =>
  command
    .option(
      "--stride <n>",
      "compute a text that is too long in windows, which share n tokens with the one before (default: it is cut)",
      wholeNumber(0),
    )
    .addOption(windowPoolingOption());

export const windowPoolingOption = (): Option =>
  new Option("--window-pooling <name>", "how the logits of a text's windows become one answer")
    .choices(WINDOW_POOLINGS)
    .default("mean");

export const windowsFrom = ({ stride, windowPooling = "mean" }: WindowFlags): WindowOptions | undefined =>
  stride === undefined ? undefined : { stride, pooling: windowPooling };

/** @throws for windows that share more than half of their tokens: their number would have no bound */
export function checkStride({ stride }: WindowOptions, maxLength: number, tokenizer: Tokenizer): void {
  const room = maxLength - tokenizer.encode("").length;
  if (stride <= room / 2) return;
  throw new GpugradError(
    `--stride ${stride} is more than half of the ${room} tokens that a window of ${maxLength} has for the text. Use a smaller one.`,
  );
}

/** How a tokenizer makes windows of a text. */
export const windowEncoding = ({ stride }: Pick<WindowOptions, "stride">) =>
  ({ stride, returnOverflowingTokens: true, truncationSide: "right" }) as const;

/** The windows of texts, in their order; a pair of texts is one, cut where it is too long. */
export async function windowsOfTexts(
  rows: readonly TextRow[],
  windows: Pick<WindowOptions, "stride">,
  encode: (rows: readonly TextRow[], options: EncodeOptions) => Promise<Encoding[]>,
): Promise<(Pick<Encoding, "input_ids" | "token_type_ids"> & { sample: number })[]> {
  const options = windowEncoding(windows);
  const found = await Promise.all(
    rows.map((row) => encode([row], row.text_pair === undefined ? options : {})), // one for each row: its windows are in order
  );
  return found.flatMap((windows, sample) =>
    windows.map(({ input_ids, token_type_ids }) => ({ input_ids, token_type_ids, sample })),
  );
}

/** The logits of texts, of those of their windows. */
export function joinedByText(
  logits: readonly Float32Array[],
  samples: readonly number[],
  join: (windows: readonly Float32Array[]) => Float32Array,
): Float32Array[] {
  const texts: Float32Array[][] = [];
  for (const [i, sample] of samples.entries()) (texts[sample] ??= []).push(logits[i]!);
  return texts.map(join);
}
