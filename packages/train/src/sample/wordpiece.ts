/**
 * A WordPiece vocabulary learned from a few texts, in the simplest way. (`trainTokenizer` of @gpugrad/bert takes any number of texts, and learns what
 * Hugging Face's `WordPieceTrainer` does: ties go another way there, and letters are tokens at each place in a word.)
 *
 * Each word starts as letters, those after the first marked `##`: film → f ##i ##l ##m. Then, again and again, the pair of
 * neighbours with the highest score becomes one piece (##i ##l → ##il) until the vocabulary is full. The score is how often the
 * pair occurs, each word counted as often as the texts have it; ties go to the pair that sorts first. (The score of the first
 * WordPiece paper, count(ab) / (count(a)·count(b)), prefers pairs of rare letters, and wants far more text than a few
 * thousand sentences.) Encoding then takes the longest piece that fits, from the left.
 *
 * @see https://huggingface.co/docs/tokenizers/api/trainers#tokenizers.trainers.WordPieceTrainer
 */
import { bertTokenizer, type Tokenizer } from "@gpugrad/bert";
import { DataError } from "../errors.ts";

const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;
const CONTINUING = "##";

/** Lower-case words and punctuation marks, as BERT's uncased tokenizer splits Latin text. */
function wordsOf(text: string): string[] {
  const plain = text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase(); // prettier-ignore
  return plain.match(/[^\s\p{P}$+<=>^`|~]+|[\p{P}$+<=>^`|~]/gu) ?? [];
}

/** The vocabulary, special tokens first, then letters, then pieces in the order in which they were joined. */
export function learnWordPieces(texts: readonly string[], vocabSize: number): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts].map(([word, count]) => ({
    pieces: [...word].map((letter, i) => (i === 0 ? letter : CONTINUING + letter)),
    count,
  }));
  const letters = [...new Set(words.flatMap(({ pieces }) => pieces))].sort();
  const vocab: string[] = [...SPECIAL, ...letters];
  if (vocab.length > vocabSize) {
    throw new DataError(
      `trainWordPiece: vocabSize ${vocabSize} is below the ${vocab.length} special tokens and letters that occur.`,
    );
  }
  while (vocab.length < vocabSize) {
    const best = mostFrequentPair(words);
    if (!best) break; // every word is one piece
    const [left, right] = best;
    const joined = left + right.slice(CONTINUING.length);
    for (const word of words) {
      for (let i = 0; i + 1 < word.pieces.length; i++) {
        if (word.pieces[i] === left && word.pieces[i + 1] === right) word.pieces.splice(i, 2, joined);
      }
    }
    if (!vocab.includes(joined)) vocab.push(joined); // one piece may come of two different pairs
  }
  return vocab;
}

function mostFrequentPair(
  words: readonly { pieces: readonly string[]; count: number }[],
): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const { pieces, count } of words) {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair = `${pieces[i]} ${pieces[i + 1]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best = "";
  let most = 0;
  for (const [pair, count] of counts) if (count > most || (count === most && pair < best)) [best, most] = [pair, count];
  return most > 0 ? (best.split(" ") as [string, string]) : undefined;
}

/**
 * Learns a WordPiece vocabulary of at most `vocabSize` tokens and gives the uncased BERT tokenizer that has it; its
 * `savePretrained` writes what Transformers loads. Time grows with tokens × different words: meant for small texts.
 *
 * @throws {@link DataError} when `vocabSize` has no room for the letters that occur.
 */
export function trainWordPiece(
  texts: readonly string[],
  options: { vocabSize: number; maxLength?: number },
): Tokenizer {
  const { vocabSize, maxLength = 512 } = options;
  return bertTokenizer(learnWordPieces(texts, vocabSize), { do_lower_case: true, model_max_length: maxLength });
}
