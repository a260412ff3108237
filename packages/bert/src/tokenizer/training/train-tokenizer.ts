import type { Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { byteCharacters } from "../byte-characters.ts";
import { bertTokens, completeTokenizer } from "../tokenizer-json.ts";
import { Tokenizer } from "../tokenizer.ts";
import { bertOfVocabulary, robertaOfVocabulary, robertaTokens } from "../vocabulary-files.ts";
import { learnPieces, type Pieces } from "./learn-pieces.ts";
import { countWords } from "./word-counts.ts";

/** How a tokenizer is trained; defaults are those of Hugging Face's `BertWordPieceTokenizer` and `ByteLevelBPETokenizer`. */
export interface TrainTokenizerOptions {
  /** BERT's tokenizer, or RoBERTa's. */
  model: "wordpiece" | "bpe";
  /** Tokens at most, special tokens and letters included. Default 30,000. */
  vocabSize?: number | undefined;
  /** Pairs of tokens that occur less often are not merged. Default 2. */
  minFrequency?: number | undefined;
  /** Of WordPiece: letters are made lower-case and lose their accents. Default true. */
  lowercase?: boolean | undefined;
  /** Of WordPiece: how many different letters are kept; words with others are unknown. Default 1000. */
  limitAlphabet?: number | undefined;
  /** The first tokens. Default: BERT's, or RoBERTa's, in their usual order; these have to be among them. */
  specialTokens?: readonly string[] | undefined;
  /** The model's longest input in tokens, for tokenizer_config.json. Default 512. */
  maxLength?: number | undefined;
}

const bertSpecials = [bertTokens.pad_token, bertTokens.unk_token, bertTokens.cls_token, bertTokens.sep_token, bertTokens.mask_token]; // prettier-ignore
const robertaSpecials = [robertaTokens.bos_token, robertaTokens.pad_token, robertaTokens.eos_token, robertaTokens.unk_token, robertaTokens.mask_token]; // prettier-ignore

/**
 * Learns a vocabulary from texts, as Hugging Face's `tokenizers` does it: WordPiece with BERT's rules for words, or byte-level BPE with RoBERTa's. Its
 * `savePretrained` writes what Transformers opens. Words are counted first; only they are kept in memory, not the texts.
 *
 * @throws {@link GpugradError} where there is nothing to learn from, or the vocabulary has no room for special tokens and letters
 * @see https://huggingface.co/docs/tokenizers/api/trainers
 */
export async function trainTokenizer(
  texts: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  const { model, vocabSize = 30_000, minFrequency = 2, lowercase = true, limitAlphabet = 1000, maxLength = 512 } = options; // prettier-ignore
  check(
    model === "wordpiece" || model === "bpe",
    () => `trainTokenizer: model: ${JSON.stringify(model)} is neither "wordpiece" nor "bpe".`,
  );
  for (const [name, value] of Object.entries({ vocabSize, minFrequency, limitAlphabet, maxLength }))
    check(
      Number.isInteger(value) && value > 0,
      () => `trainTokenizer: ${name}: ${String(value)} is not a positive integer.`,
    );
  const isWordPiece = model === "wordpiece";
  const { specialTokens = isWordPiece ? bertSpecials : robertaSpecials } = options;
  const config = { model_max_length: maxLength, ...(isWordPiece && { do_lower_case: lowercase }) };
  const filesOf = ({ vocab, merges }: Pieces): { json: Json; config: Json } =>
    isWordPiece
      ? { json: bertOfVocabulary(vocab, config), config }
      : robertaOfVocabulary(Object.fromEntries(vocab.map((token, id) => [token, id])), merges, config);

  const untrained = filesOf({ vocab: [...specialTokens], merges: [] });
  const counts = await countWords(texts, completeTokenizer(untrained.json, untrained.config).complete);
  check(counts.size > 0, "trainTokenizer: no words: there are no texts, or they are empty.");
  const letters = isWordPiece ? { prefix: "##", limitAlphabet } : { initialAlphabet: byteCharacters };
  const trained = filesOf(learnPieces(counts, { vocabSize, minFrequency, specialTokens, ...letters }));
  return new Tokenizer(trained.json, trained.config);
}
