import { Encoding, type EncodingColumns } from "./encoding.ts";
import { requirePadTokenId } from "./padding.ts";
import type { Pieces } from "./pipeline.ts";
import { trimOffsets, type PostProcessor, type Slot } from "./post-processor.ts";

/** A text with special tokens, before padding. */
export interface Row {
  parts: readonly ({ text: "A" | "B" | undefined; type: number; ids: readonly number[] } & Partial<Pieces>)[];
  length: number;
  /** Which text of the batch it is of. */
  sample: number;
}

/** What post-processing makes of the texts of a row. */
export interface Template {
  slots: readonly Slot[];
  /** How many tokens it adds. */
  special: number;
  uses: Record<"A" | "B", boolean>;
}

export const templateOf = (slots: readonly Slot[]): Template => ({
  slots,
  special: slots.reduce((sum, { ids }) => sum + ids.length, 0),
  uses: { A: slots.some(({ text }) => text === "A"), B: slots.some(({ text }) => text === "B") },
});

export function rowOf(slots: readonly Slot[], a: Pieces | undefined, b: Pieces | undefined, sample: number): Row {
  const parts: Row["parts"][number][] = [];
  let length = 0;
  for (const { text, ids, type } of slots) {
    const pieces = text === "A" ? a : text === "B" ? b : undefined;
    parts.push(pieces ? { text, type, ids: pieces.ids, offsets: pieces.offsets, words: pieces.words, margins: pieces.margins } : { text, type, ids }); // prettier-ignore
    length += (pieces?.ids ?? ids).length; // a template may repeat a text
  }
  return { parts, length, sample };
}

/** A row's columns, padded to `length` tokens. @param trim how offsets leave spaces out, where they do */
export function encodingOf(
  { parts, length: used, sample }: Row,
  length: number,
  paddingSide: "left" | "right",
  tokenizer: Parameters<typeof requirePadTokenId>[0],
  trim: PostProcessor["trim"],
): Encoding {
  const columns: EncodingColumns = {
    input_ids: [],
    token_type_ids: [],
    attention_mask: [],
    special_tokens_mask: [],
    places: new Int32Array(4 * length),
  };
  if (paddingSide === "left") pad(columns, length - used, tokenizer);
  for (const { text, ids, type, offsets = none, words = none, margins = none } of parts) {
    const trimmed = trim ? trimOffsets(offsets, margins, trim) : offsets;
    const sequence = text === undefined ? -1 : text === "A" ? 0 : 1;
    for (let i = 0; i < ids.length; i++) {
      push(columns, ids[i]!, type, 1, text === undefined ? 1 : 0, words[i] ?? -1, sequence);
      const at = 4 * (columns.input_ids.length - 1);
      columns.places[at] = trimmed[2 * i] ?? 0;
      columns.places[at + 1] = trimmed[2 * i + 1] ?? 0;
    }
  }
  if (paddingSide === "right") pad(columns, length - used, tokenizer);
  return new Encoding(columns, sample);
}

function pad(columns: EncodingColumns, count: number, tokenizer: Parameters<typeof requirePadTokenId>[0]): void {
  if (count === 0) return;
  const id = requirePadTokenId(tokenizer);
  for (let i = 0; i < count; i++) push(columns, id, 0, 0, 1, -1, -1);
}

const none: readonly number[] = [];

/** Adds a token, which lies nowhere in the text yet. */
function push(
  { input_ids, token_type_ids, attention_mask, special_tokens_mask, places }: EncodingColumns,
  id: number,
  type: number,
  attention: number,
  special: number,
  word: number,
  sequence: number,
): void {
  const at = 4 * input_ids.length;
  places[at + 2] = word;
  places[at + 3] = sequence;
  input_ids.push(id);
  token_type_ids.push(type);
  attention_mask.push(attention);
  special_tokens_mask.push(special);
}
