import type { Tokenizer } from "@gpugrad/bert";
import { argmax, GpugradError } from "@gpugrad/tensor";
import type { EncodedRow } from "../../data/batch.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { splitMix64 } from "../../random.ts";
import type { Found, Task } from "../task.ts";
import { alongTokens } from "../token-classification/encode-words.ts";
import { IGNORED, maskTokens, wordsOfTokens, type MaskableTokens, type MaskingOptions } from "./mask-tokens.ts";

export interface MaskedLMOptions extends MaskingOptions {
  /** What is hidden goes by it, by the epoch and by the row alone. Default 42. */
  seed?: number;
}

/** How many hidden words were guessed. */
export interface WordGuesses extends Found {
  /** Of each row: hidden tokens, and how many of them were guessed. */
  hidden: number[];
  guessed: number[];
  labels: readonly number[];
}

/** Rows of an epoch draw from streams of their own. */
const STREAMS = 2 ** 32;

/**
 * Words that are hidden are to be guessed: dynamic masking, another one in each epoch. An evaluation hides the same words each time.
 * @see Devlin et al., BERT, 2018. https://arxiv.org/abs/1810.04805
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/language-modeling/run_mlm.py
 */
export function maskedLM(
  tokenizer: Pick<Tokenizer, "maskTokenId" | "vocabSize">,
  { seed = 42, ...masking }: MaskedLMOptions = {},
): Task<WordGuesses, { hidden: number; guessed: number }> {
  const { maskTokenId, vocabSize } = tokenizer;
  const { probability = 0.15, wholeWords = false } = masking;
  if (maskTokenId === undefined) throw new GpugradError("maskedLM: the tokenizer has no mask token.");
  if (!(probability > 0 && probability < 1))
    throw new GpugradError(`maskedLM: the probability is ${probability}; it has to lie between 0 and 1.`);
  return {
    name: "masked-lm",
    encode: (rows, own, maxLength) => {
      const packed = rows.map((row) => row["packed"] as EncodedRow | undefined);
      return packed.every((row) => row !== undefined)
        ? packed
        : maskable(own as Tokenizer, rows.map((row) => row.text), { maxLength, wholeWords }); // prettier-ignore
    },
    collate(rows, pad, { epoch, rows: numbers } = { epoch: 0, rows: [...rows.keys()] }) {
      const draws = numbers.map((row) => splitMix64(seed, epoch * STREAMS + row + 1));
      const hide = () => rows.map((row, i) => maskTokens(row as unknown as MaskableTokens, { maskTokenId, vocabSize }, draws[i]!, masking)); // prettier-ignore
      const isEmpty = rows.every((row) => Array.from(row["special_tokens_mask"] as ArrayLike<number>).every(Boolean));
      let hidden = hide();
      // A mean over no words is NaN: a batch of few words draws again until one is hidden.
      while (!isEmpty && hidden.every(({ labels }) => labels.every((label) => label === IGNORED))) hidden = hide();
      const arrays = pad(rows.map((row, i) => ({ ...row, input_ids: hidden[i]!.input_ids })));
      return { ...arrays, labels: alongTokens(arrays, hidden.map(({ labels }) => labels), IGNORED) }; // prettier-ignore
    },
    weightOf: ({ arrays: { labels }, rows }) =>
      labels ? Array.from(labels.data).filter((label) => label !== IGNORED).length : rows.length,
    example: (length) => ({ special_tokens_mask: new Int8Array(length), words: new Int32Array(length) }),
    problemWith: ({ classWeights }) => (classWeights === null ? undefined : "classWeights are for whole texts, not for words"), // prettier-ignore
    // Logits of all words of the vocabulary would be a hundred times what else is read.
    read: ({ logits }) => ({ predicted: argmax(logits, { dim: 2 }) }),
    decode({ predicted }, { arrays: { labels }, rows }) {
      const T = labels!.shape[1]!;
      return rows.map((_, b) => {
        const own = [...labels!.data.subarray(b * T, (b + 1) * T)];
        const guessed = own.filter((label, t) => label !== IGNORED && label === predicted!.data[b * T + t]).length;
        return { hidden: own.filter((label) => label !== IGNORED).length, guessed };
      });
    },
    gather: (rows) => ({
      hidden: rows.map(({ hidden }) => hidden),
      guessed: rows.map(({ guessed }) => guessed),
      labels: rows.map(({ hidden }) => hidden),
    }),
    metrics({ hidden, guessed }, loss = NaN) {
      const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
      return { perplexity: Math.exp(loss), accuracy: sum(guessed) / sum(hidden) };
    },
    metricNames: ["loss", "perplexity", "accuracy"],
    findings: ({ hidden }) => Promise.resolve({ rows: hidden.length, nonFinite: 0, mistakes: [], wrong: 0 }),
    summary({ metrics, hidden }, unit) {
      const { runtime: _, ...plain } = plainMetrics(metrics);
      return `perplexity ${(plain["perplexity"] ?? NaN).toFixed(2)} on ${hidden.length} ${unit}\n\n${metricsTable(plain)}`;
    },
    output: "a score for each word",
    card: {
      ...{ tag: "fill-mask", name: "Masked Language Modeling" },
      usage: (repository) =>
        `from transformers import pipeline\n\nmodel = pipeline("fill-mask", model=${JSON.stringify(repository)})\nmodel("Paris is the ${"[MASK]"} of France.")`,
    },
  };
}

/** Texts as tokens of which some may be hidden. */
export function maskable(
  tokenizer: Tokenizer,
  texts: readonly string[],
  { maxLength, wholeWords }: { maxLength: number; wholeWords: boolean },
): (EncodedRow & MaskableTokens)[] {
  const encoded = tokenizer.encodeBatch(texts, { truncation: true, maxLength });
  return encoded.map((encoding) => {
    const { input_ids, token_type_ids, special_tokens_mask } = encoding;
    const words = wholeWords && { words: wordsOfTokens(encoding.offsets, special_tokens_mask) };
    return { input_ids, token_type_ids, special_tokens_mask, ...words };
  });
}
