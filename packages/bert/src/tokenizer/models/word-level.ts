import { check } from "@gpugrad/tensor";
import type { Part } from "../stage.ts";
import type { Model } from "./model.ts";

/** Whole words. */
export function wordLevel(part: Part, vocab: ReadonlyMap<string, number>): Model {
  const unknownToken = part.string("unk_token", "<unk>");
  return (word) => {
    const id = vocab.get(word) ?? vocab.get(unknownToken);
    check(id !== undefined, () => `tokenizer: the vocabulary has neither the word nor "${unknownToken}".`);
    return { ids: [id], ends: [word.length] };
  };
}
