import type { Tokenizer } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { Dataset } from "../../data/dataset.ts";
import { DataError } from "../../errors.ts";
import { splitMix64, type Random } from "../../random.ts";
import { wordsOfTokens } from "../masked-lm/mask-tokens.ts";
import type { DocumentRow } from "./dataset.ts";

/** What there is to learn of two texts: whether the second one follows the first (BERT), or whether the two are in their order (ALBERT). */
export type PairKind = "next-sentence" | "sentence-order";

/** How documents become pairs of texts. */
export interface PairOptions {
  kind: PairKind;
  /** Tokens of a row at most, special ones included. */
  maxLength: number;
  /** Pairs go by it and by the document alone. Default 42. */
  seed?: number;
  /** How likely the pairs of a document are shorter than they could be, as texts are that a model is fine-tuned on. Default 0.1. */
  shortSequenceProbability?: number;
  /** How likely the second text is another document's (label 1), or the two are swapped. Default 0.5. */
  otherProbability?: number;
  /** Whether words are to be hidden whole. Default false. */
  wholeWords?: boolean;
}

/** Tokens of a part of a text, and the number of the word that each is of. */
interface Part {
  readonly ids: ArrayLike<number>;
  readonly words: ArrayLike<number>;
}

/** Two texts in their order, or not. */
interface Pair {
  first: Part;
  second: Part;
  label: 0 | 1;
}

/**
 * Pairs of texts from documents, each of as many whole sentences as fit: rows of tokens, for {@link preTraining}. Where two texts are too long together,
 * the longer one loses its first or its last token, by chance, until they fit. For the order of sentences, a stretch of one sentence alone makes no pair.
 * Tokens are kept in memory, 4 bytes each (with whole words 8).
 *
 * @throws {@link DataError} where there is nothing to pair
 * @see https://github.com/google-research/bert/blob/master/create_pretraining_data.py
 * @see https://github.com/huggingface/transformers/blob/v4.57.0/src/transformers/data/datasets/language_modeling.py (TextDatasetForNextSentencePrediction)
 */
export async function pairSentences(documents: Dataset, tokenizer: Tokenizer, options: PairOptions): Promise<Dataset> {
  const { kind, maxLength, seed = 42, wholeWords = false } = options;
  for (const name of ["shortSequenceProbability", "otherProbability"] as const) {
    const { [name]: value = 0 } = options;
    if (!(value >= 0 && value <= 1))
      throw new GpugradError(`pairSentences: ${name} is ${value}; it has to lie from 0 to 1.`);
  }
  const room = maxLength - tokenizer.encodePair([], []).length;
  if (room < 2) throw new DataError(`${documents.name}: maxLength ${maxLength} has no room for two texts.`);
  const all: Part[][] = [];
  for (let i = 0; i < documents.length; i++) {
    const sentences = tokenized((await documents.row(i)) as DocumentRow, tokenizer);
    if (sentences.length > 0) all.push(sentences);
  }
  if (kind === "next-sentence" && all.length < 2)
    throw new DataError(
      `${documents.name}: ${all.length} document${all.length === 1 ? "" : "s"}: texts that don't follow each other are of two. ` +
        "An empty line ends a document.",
    );
  const pairs = all.flatMap((document, i) => [
    ...pairsOf(document, splitMix64(seed, i + 1), room, options, (random) => {
      const other = random.below(all.length - 1);
      return all[other < i ? other : other + 1]!;
    }),
  ]);
  if (pairs.length === 0) throw new DataError(`${documents.name}: no document has two sentences.`);
  return new Dataset({
    ...{ name: documents.name, length: pairs.length, labels: { numLabels: 0 }, badRows: documents.badRows },
    where: (i) => `${documents.name}, pair ${i}`,
    row(i) {
      const { first, second, label } = pairs[i]!;
      const { input_ids, token_type_ids, special_tokens_mask } = tokenizer.encodePair(first.ids, second.ids);
      const words = wholeWords && { words: wordsOfPair(special_tokens_mask, first, second) };
      return Promise.resolve({ text: "", packed: { input_ids, token_type_ids, special_tokens_mask, label, ...words } });
    },
  });
}

/** The sentences of a document as tokens, those without any left out. */
function tokenized(row: DocumentRow, tokenizer: Tokenizer): Part[] {
  if (!Array.isArray(row.sentences))
    throw new DataError(`pretraining: a row has no sentences: ${JSON.stringify(row.text).slice(0, 60)}. Read it with documentDataset().`); // prettier-ignore
  const encoded = tokenizer.encodeBatch(row.sentences, { addSpecialTokens: false, truncation: false });
  let words = 0;
  return encoded.flatMap(({ input_ids, offsets, special_tokens_mask }) => {
    if (input_ids.length === 0) return [];
    const own = wordsOfTokens(offsets, special_tokens_mask);
    const first = words;
    words += own.at(-1)! + 1;
    return [{ ids: Int32Array.from(input_ids), words: own.map((word) => first + word) }];
  });
}

/** The pairs of a document. @param otherDocument draws another one */
function* pairsOf(
  sentences: readonly Part[],
  random: Random,
  room: number,
  { kind, shortSequenceProbability = 0.1, otherProbability = 0.5 }: PairOptions,
  otherDocument: (random: Random) => readonly Part[],
): Generator<Pair> {
  const target = random.uniform() < shortSequenceProbability ? 2 + random.below(room - 1) : room;
  let stretch: Part[] = [];
  for (let i = 0; i < sentences.length; i++) {
    stretch.push(sentences[i]!);
    if (i < sentences.length - 1 && lengthOf(stretch) < target) continue;
    const end = stretch.length > 1 ? 1 + random.below(stretch.length - 1) : 1;
    let [first, second] = [stretch.slice(0, end), stretch.slice(end)];
    let label: Pair["label"] = 0;
    if (kind === "sentence-order" && second.length > 0 && random.uniform() < otherProbability) {
      [first, second, label] = [second, first, 1];
    } else if (kind === "next-sentence" && (second.length === 0 || random.uniform() < otherProbability)) {
      i -= second.length; // not used: they begin the next pair
      [second, label] = [beginning(otherDocument(random), random, target - lengthOf(first)), 1];
    }
    if (second.length > 0) yield { ...cut(joined(first), joined(second), room, random), label };
    stretch = [];
  }
}

const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, { ids }) => sum + ids.length, 0);

/** Sentences of a document from one at random on, until there are so many tokens. */
function beginning(document: readonly Part[], random: Random, target: number): Part[] {
  const start = random.below(document.length);
  let end = start + 1;
  while (end < document.length && lengthOf(document.slice(start, end)) < target) end++;
  return document.slice(start, end);
}

const joined = (parts: readonly Part[]): Part => ({
  ids: Int32Array.from(parts.flatMap(({ ids }) => Array.from(ids))),
  words: Int32Array.from(parts.flatMap(({ words }) => Array.from(words))),
});

/** Two texts that have room together. */
function cut(a: Part, b: Part, room: number, random: Random): Pick<Pair, "first" | "second"> {
  const [first, second] = [a, b].map((part) => ({ part, start: 0, end: part.ids.length })) as [Cut, Cut];
  const lengthOf = ({ start, end }: Cut): number => end - start;
  while (lengthOf(first) + lengthOf(second) > room) {
    const longer = lengthOf(first) > lengthOf(second) ? first : second;
    if (random.uniform() < 0.5) longer.start++;
    else longer.end--;
  }
  const kept = ({ part, start, end }: Cut): Part => ({
    ids: Int32Array.from(part.ids).subarray(start, end),
    words: Int32Array.from(part.words).subarray(start, end),
  });
  return { first: kept(first), second: kept(second) };
}
type Cut = { part: Part; start: number; end: number };

/** The word of each token of a row: −1 for special tokens; the words of the two texts have different numbers. */
function wordsOfPair(special: ArrayLike<number>, first: Part, second: Part): Int32Array {
  const beyond = Math.max(...Array.from(first.words)) + 1;
  const own = [...Array.from(first.words), ...Array.from(second.words, (word) => beyond + word)];
  let at = 0;
  return Int32Array.from(special, (isSpecial) => (isSpecial ? -1 : own[at++]!));
}
