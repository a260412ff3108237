import { setImmediate } from "node:timers/promises";
import type { BadRow, TextRow } from "./input-rows.ts";
import type { Encoded } from "./text-model.ts";
import { ahead, mapAhead, windowsOf } from "./stream.ts";
import type { TextModel } from "./text-model.ts";

/** A row, and what the model makes of it; no values for a bad one. */
export interface TextResult {
  row: TextRow | BadRow;
  values?: Float32Array;
  /** Tokens that were computed, without padding. */
  tokens: number;
  /** Whether the text has more. */
  isCut: boolean;
}

/** Batches that are sorted by length together: more waste less padding, and hold more memory. */
export const BATCHES_PER_WINDOW = 64;
/** Batches on their way to the device: enough that neither side waits. */
const BATCHES_IN_FLIGHT = 2;
/** Rows that are tokenized before the device's results are looked after. */
const ROWS_PER_TURN = 32;
/** Milliseconds after which rows that trickle in are worked on, though they fill no window. */
const PATIENCE = 200;

/** A result on its way: the numbers of each part of the row, or window of its text, in their order; most have one. */
interface Pending extends Omit<TextResult, "values"> {
  parts: (Float32Array | undefined)[];
}

/** What is needed of a model. */
type Streamed = Pick<TextModel, "encode" | "compute" | "join">;

/** Rows that are sorted together. */
interface Window {
  results: Pending[];
  /** Batches whose results are not there yet. */
  left: number;
}

/** Tokens of a part of a row, and which part it is. */
type Member = readonly [result: Pending, encoded: Encoded, part: number];

/** Some rows of a window, of about the same length. */
interface Batch {
  window: Window;
  members: readonly Member[];
}

/**
 * Runs a model over rows without end, in constant memory, and gives the results in the order of the rows, a window at a time. Within a
 * window, rows are sorted by length, so that batches need little padding. The next window is read and tokenized while the device
 * works on this one; nothing is read further ahead than that, however slow the reader of the results is.
 */
export async function* runTexts(
  model: Streamed,
  rows: AsyncIterable<TextRow | BadRow>,
  { batchSize, signal }: { batchSize: number; signal?: AbortSignal },
): AsyncGenerator<TextResult[]> {
  const windows = windowsOf(rows, BATCHES_PER_WINDOW * batchSize, PATIENCE);
  const batches = batchesOf(ahead(encode(model, windows)), batchSize, signal);
  const compute = async ({ window, members }: Batch): Promise<Window> => {
    const values = members.length > 0 ? await model.compute(members.map(([, encoded]) => encoded)) : [];
    for (const [i, [result, , part]] of members.entries()) result.parts[part] = values[i]!;
    return window;
  };
  for await (const window of mapAhead(batches, compute, BATCHES_IN_FLIGHT)) {
    if (--window.left > 0) continue;
    yield window.results.map(({ parts, ...result }) => ({
      ...result,
      ...(parts.length > 0 && { values: model.join(parts as Float32Array[]) }),
    }));
  }
}

interface EncodedWindow {
  results: Pending[];
  members: Member[];
}

async function* encode(
  model: Streamed,
  windows: AsyncIterable<(TextRow | BadRow)[]>,
): AsyncGenerator<Readonly<EncodedWindow>> {
  for await (const rows of windows) {
    const window: EncodedWindow = { results: [], members: [] };
    for (let start = 0; start < rows.length; start += ROWS_PER_TURN) {
      const some = rows.slice(start, start + ROWS_PER_TURN);
      const results = some.map((row): Pending => ({ row, tokens: 0, isCut: false, parts: [] }));
      window.results.push(...results);
      const good = results.filter(({ row }) => "text" in row);
      const encodings = await model.encode(good.map(({ row }) => row as TextRow));
      for (const [i, encoded] of encodings.entries()) {
        const result = good[encoded.sample ?? i]!;
        result.tokens += encoded.input_ids.length;
        result.isCut ||= encoded.isCut ?? false;
        window.members.push([result, encoded, result.parts.push(undefined) - 1]);
      }
      await setImmediate();
    }
    yield window;
  }
}

/** The batches of each window, the longest rows first: what doesn't fit into memory fails at once. */
async function* batchesOf(
  windows: AsyncIterable<Readonly<EncodedWindow>>,
  batchSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch> {
  for await (const { results, members } of windows) {
    const sorted = members.toSorted(([, a], [, b]) => b.input_ids.length - a.input_ids.length);
    const count = Math.max(Math.ceil(sorted.length / batchSize), 1); // a window of bad rows alone is given back, too
    const window = { results, left: count };
    for (let k = 0; k < count; k++) {
      signal?.throwIfAborted();
      yield { window, members: sorted.slice(k * batchSize, (k + 1) * batchSize) };
    }
  }
}
