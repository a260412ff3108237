import type { Tokenizer } from "@gpugrad/bert";
import { Dataset } from "../../data/dataset.ts";
import { DataError } from "../../errors.ts";
import { maskable } from "./masked-lm.ts";

/** Texts that are tokenized together. */
const TOGETHER = 256;

/**
 * The texts of a dataset one after the other, cut into rows of `maxLength` tokens: so no batch needs padding. What is left at the end makes no row, unless
 * there is no other. The tokens are kept in memory, 4 bytes each (with whole words 8).
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/language-modeling/run_mlm.py (group_texts)
 */
export async function packTexts(
  dataset: Dataset,
  tokenizer: Tokenizer,
  { maxLength, wholeWords = false }: { maxLength: number; wholeWords?: boolean },
): Promise<Dataset> {
  const kept = { input_ids: new Tokens(), special_tokens_mask: new Tokens(), words: new Tokens() };
  let words = 0;
  for (let start = 0; start < dataset.length; start += TOGETHER) {
    const numbers = Array.from({ length: Math.min(TOGETHER, dataset.length - start) }, (_, k) => start + k);
    const texts = await Promise.all(numbers.map(async (i) => (await dataset.row(i)).text));
    for (const encoded of maskable(tokenizer, texts, { maxLength: Infinity, wholeWords })) {
      kept.input_ids.add(encoded.input_ids);
      kept.special_tokens_mask.add(encoded.special_tokens_mask);
      if (!encoded.words) continue;
      kept.words.add(Array.from(encoded.words, (word) => (word < 0 ? -1 : word + words)));
      words += Math.max(-1, ...Array.from(encoded.words)) + 1;
    }
  }
  const tokens = kept.input_ids.length;
  if (tokens === 0) throw new DataError(`${dataset.name}: no texts to pack.`);
  const length = Math.max(1, Math.floor(tokens / maxLength));
  return new Dataset({
    ...{ name: dataset.name, length, labels: { numLabels: 0 }, badRows: dataset.badRows },
    where: (i) => `${dataset.name}, tokens ${i * maxLength} to ${(i + 1) * maxLength - 1}`,
    row(i) {
      const of = (all: Tokens): Int32Array => all.slice(i * maxLength, (i + 1) * maxLength);
      const packed = {
        ...{ input_ids: of(kept.input_ids), special_tokens_mask: of(kept.special_tokens_mask) },
        ...(wholeWords && { words: of(kept.words) }),
      };
      return Promise.resolve({ text: "", packed });
    },
  });
}

/** A list of tokens that grows. */
class Tokens {
  #all = new Int32Array(1 << 12);
  length = 0;

  add(more: ArrayLike<number>): void {
    const end = this.length + more.length;
    if (end > this.#all.length) {
      const longer = new Int32Array(Math.max(end, 2 * this.#all.length));
      longer.set(this.#all.subarray(0, this.length));
      this.#all = longer;
    }
    this.#all.set(more, this.length);
    this.length = end;
  }

  slice(start: number, end: number): Int32Array {
    return this.#all.slice(start, Math.min(end, this.length));
  }
}
