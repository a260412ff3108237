import { check } from "@gpugrad/tensor";
import type { Part } from "../stage.ts";
import type { Model, Word } from "./model.ts";

/** Splitting a word takes time that grows with the square of its length. */
const maxWordLength = 1000;

/** The longest token that begins the word, then the longest that continues it, …; the unknown token where there is none. */
export function wordPiece(part: Part, vocab: ReadonlyMap<string, number>): Model {
  const prefix = part.string("continuing_subword_prefix", "##");
  const unknownToken = part.string("unk_token", "[UNK]");
  const maxLength = part.integer("max_input_chars_per_word", 100, [1, maxWordLength]);
  const unknown = vocab.get(unknownToken);
  check(unknown !== undefined, () => `tokenizer: the vocabulary has no "${unknownToken}".`);
  let longest = 0;
  for (const token of vocab.keys()) longest = Math.max(longest, token.length);

  return (word): Word => {
    const asUnknown = { ids: [unknown], ends: [word.length] };
    if (word.length > maxLength && Array.from(word.slice(0, 2 * maxLength + 1)).length > maxLength) return asUnknown;
    const ids: number[] = [];
    const ends: number[] = [];
    for (let start = 0; start < word.length; start = ends.at(-1)!) {
      let end = Math.min(start + longest, word.length);
      let id: number | undefined;
      for (; end > start && id === undefined; end--) id = vocab.get((start > 0 ? prefix : "") + word.slice(start, end));
      if (id === undefined) return asUnknown;
      ids.push(id);
      ends.push(end + 1);
    }
    return { ids, ends };
  };
}
