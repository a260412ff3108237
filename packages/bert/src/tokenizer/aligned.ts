import { check } from "@gpugrad/tensor";
import { addedTokenFinder, type AddedToken } from "./added-tokens.ts";
import type { Tokenize } from "./pipeline.ts";
import { isChinese, isControl, isMark, isPunctuation, isWhiteSpace, staysWhole } from "./unicode.ts";

/** The part of tokenizer.json that this pipeline runs. */
export interface BertPipeline {
  normalizer: {
    clean_text: boolean;
    handle_chinese_chars: boolean;
    strip_accents: boolean | null;
    lowercase: boolean;
  };
  addedTokens: readonly AddedToken[];
  /** Whether special tokens in a text are ordinary words. */
  splitSpecialTokens: boolean;
  model: WordPieceModel;
}

/** The WordPiece part of tokenizer.json. */
export interface WordPieceModel {
  vocab: Readonly<Record<string, number>>;
  unk_token: string;
  /** What tokens that continue a word begin with: `##`. */
  continuing_subword_prefix: string;
  /** Longer words are unknown. */
  max_input_chars_per_word: number;
}

/** A normalized stretch of a text. */
interface Normalized {
  text: string;
  /** The code point of the text at which the stretch begins. */
  first: number;
  /** The code point from which each UTF-16 unit came; left out where unit i came from first + i. */
  source?: number[];
  /** The UTF-16 unit of the text at which the stretch ends. */
  end: number;
}

/** A word's tokens, and the UTF-16 unit at which each ends. */
interface Word {
  ids: readonly number[];
  ends: readonly number[];
}

/** Forgotten when it has grown so large: texts repeat most of their words. */
const maxCachedWords = 200_000;
/** UTF-16 units that are normalized at a time, and somewhat more: up to the end of a word. */
const stretchLength = 4096;

/**
 * BERT's tokenizer with offsets: cut out added tokens → normalize → split at white space and around punctuation →
 * WordPiece. Each step keeps track of where its characters came from, as Hugging Face's Rust tokenizers do. The time is
 * linear in the text, and a text that is stopped early is not read to its end.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/normalizers/bert.rs
 */
export function alignedBert(pipeline: BertPipeline): Tokenize {
  const { addedTokens, splitSpecialTokens } = pipeline;
  const normalize = bertNormalizer(pipeline.normalizer);
  const isNormalized = (token: AddedToken) => token.normalized;
  const rawTokens = addedTokenFinder(
    addedTokens.filter((token) => !isNormalized(token)),
    (content) => content,
    splitSpecialTokens,
  );
  const normalizedTokens = addedTokenFinder(
    addedTokens.filter(isNormalized),
    (content) => normalize(content, 0, content.length, 0, Infinity).text,
    splitSpecialTokens,
  );
  const wholeSections = addedTokens.some(isNormalized); // such a token may reach over the end of a word
  const lookUp = cached(wordPiece(pipeline.model), pipeline.model.max_input_chars_per_word);

  return function* (text, { ids, offsets, words }, given) {
    let word = -1;
    const nextWord = () => given ?? ++word;
    const codePointAt = codePointCursor(text);
    const codePointAfter = codePointCursor(text);
    for (const section of rawTokens(text)) {
      if (section?.token) {
        ids.push(section.token.id);
        words.push(nextWord());
        offsets.push(codePointAt(section.start), codePointAfter(section.end));
      }
      if (!section || section.token) {
        yield;
        continue;
      }
      for (let at = section.start; at < section.end; yield) {
        const stretch = normalize(text, at, section.end, codePointAt(at));
        while (wholeSections && stretch.end < section.end) {
          yield;
          append(stretch, normalize(text, stretch.end, section.end, codePointAt(stretch.end)));
        }
        at = stretch.end;
        const { text: normal, first, source } = stretch;
        const startOf = (unit: number) => (source ? source[unit]! : first + unit);
        const endOf = (unit: number) => startOf(unit - 1) + 1;
        for (const part of normalizedTokens(normal)) {
          if (!part) {
            yield;
            continue;
          }
          if (part.token) {
            ids.push(part.token.id);
            words.push(nextWord());
            offsets.push(startOf(part.start), endOf(part.end));
            continue;
          }
          let count = 0;
          for (const [start, end] of wordsOf(normal, part.start, part.end)) {
            const { ids: wordIds, ends } = lookUp(normal.slice(start, end));
            const number = nextWord();
            for (let i = 0, from = start; i < wordIds.length; i++) {
              const to = start + ends[i]!;
              words.push(number);
              ids.push(wordIds[i]!);
              offsets.push(startOf(from), endOf(to));
              from = to;
            }
            if (++count % stretchLength === 0) yield;
          }
        }
      }
    }
  };
}

/** Remembers the tokens of words that are not too long to have any. */
function cached(split: (word: string) => Word, maxLength: number): (word: string) => Word {
  let words = new Map<string, Word>();
  return (word) => {
    const known = words.get(word);
    if (known) return known;
    const found = split(word);
    if (word.length > 2 * maxLength) return found;
    if (words.size >= maxCachedWords) words = new Map();
    words.set(Array.from(word).join(""), found); // a copy: a slice would keep the whole text alive
    return found;
  };
}

/** The longest token that begins the word, then the longest that continues it, …; the unknown token where there is none. */
function wordPiece(model: WordPieceModel): (word: string) => Word {
  // By itself: an added token is not a piece of a longer word.
  const vocab = new Map(Object.entries(model.vocab));
  const prefix = model.continuing_subword_prefix;
  const unknown = vocab.get(model.unk_token);
  check(unknown !== undefined, () => `tokenizer: the vocabulary has no "${model.unk_token}".`);
  let longest = 0;
  for (const token of vocab.keys()) longest = Math.max(longest, token.length);

  return (word) => {
    const asUnknown = { ids: [unknown], ends: [word.length] };
    if (codePoints(word, 0, word.length) > model.max_input_chars_per_word) return asUnknown;
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

/** The code point that begins at a unit, counted from the unit that was asked for before. */
function codePointCursor(text: string): (unit: number) => number {
  let [at, codePoint] = [0, 0];
  return (unit) => {
    codePoint += unit >= at ? codePoints(text, at, unit) : -codePoints(text, unit, at);
    at = unit;
    return codePoint;
  };
}

function codePoints(text: string, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++)
    if (!(isLowSurrogate(text.charCodeAt(i)) && isHighSurrogate(text.charCodeAt(i - 1)))) count++;
  return count;
}
const isHighSurrogate = (unit: number) => (unit & 0xfc00) === 0xd800;
const isLowSurrogate = (unit: number) => (unit & 0xfc00) === 0xdc00;

/**
 * Normalizes a text from unit `start`, which is code point `first`: about `length` units, never ending inside of a word, and at most
 * to `end`.
 */
type Normalize = (text: string, start: number, end: number, first: number, length?: number) => Normalized;

/** Adds the stretch that follows. */
function append(stretch: Normalized, next: Normalized): void {
  if (stretch.source ?? next.source) {
    const sourceOf = ({ text, first, source }: Normalized) => source ?? Array.from(text, (_, i) => first + i);
    stretch.source ??= sourceOf(stretch);
    for (const codePoint of sourceOf(next)) stretch.source.push(codePoint);
  }
  stretch.text += next.text;
  stretch.end = next.end;
}

/** Cleans, separates ideographs, strips accents and lower-cases, one character at a time. */
function bertNormalizer({
  clean_text,
  handle_chinese_chars,
  strip_accents,
  lowercase,
}: BertPipeline["normalizer"]): Normalize {
  const strip = strip_accents ?? lowercase;

  const normalizeOne = (character: string): string => {
    const codePoint = character.codePointAt(0)!;
    let out = character;
    if (clean_text) {
      if (codePoint === 0 || codePoint === 0xfffd || isControl(character)) return "";
      if (isWhiteSpace(character)) return " ";
    }
    if (strip && !staysWhole(out)) out = [...out.normalize("NFD")].filter((c) => !isMark(c)).join("");
    // Each character by itself: lower-casing a string would write a final sigma (Σ → ς), which Rust does not.
    if (lowercase) out = Array.from(out, (c) => c.toLowerCase()).join("");
    return handle_chinese_chars && isChinese(codePoint) ? ` ${out} ` : out;
  };
  let known = new Map<string, string>();
  const normalizeCached = (character: string): string => {
    const found = known.get(character);
    if (found !== undefined) return found;
    const made = normalizeOne(character);
    if (known.size >= maxCachedCharacters) known = new Map();
    known.set(character, made);
    return made;
  };

  return (text, start, end, first, length = stretchLength) => {
    const plainEnd = end - start <= length ? end : separatorAfter(text, start + length, end);
    if (plainEnd !== undefined) {
      const plain = text.slice(start, plainEnd);
      if (isPlain.test(plain)) return { text: lowercase ? plain.toLowerCase() : plain, first, end: plainEnd };
    }
    let out = "";
    const source: number[] = [];
    let at = start;
    for (let codePoint = first; at < end; codePoint++) {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      const normal = normalizeCached(character);
      out += normal;
      for (let i = 0; i < normal.length; i++) source.push(codePoint);
      at += character.length;
      if (at - start >= length && normal !== "" && classAt(normal.charCodeAt(normal.length - 1)) !== other) break;
    }
    return { text: out, first, source, end: at };
  };
}

/** Forgotten when so many are known; more than a language has. */
const maxCachedCharacters = 65_536;
/** ASCII without the control characters that cleaning drops. */
const isPlain = /^[\t\n\r -~]*$/;

/** The next place, not far from `start`, with a space or ASCII punctuation, which ends any word. */
function separatorAfter(text: string, start: number, end: number): number | undefined {
  for (let i = start; i < Math.min(start + stretchLength, end); i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 32 && unit < 128 && classAt(unit) !== other) return i; // control characters may be dropped
  }
  return undefined;
}

const [other, space, punctuation] = [0, 1, 2];
/** By code point: its class, and 1 more than that; 0 where it was never asked for. */
const classes = new Uint8Array(0x110000);

function classOf(character: string): number {
  return isWhiteSpace(character) ? space : isPunctuation(character) ? punctuation : other;
}

function classAt(codePoint: number): number {
  return (classes[codePoint] ||= 1 + classOf(String.fromCodePoint(codePoint))) - 1;
}

/** Start and end of each word and each punctuation mark between `start` and `end`. */
function* wordsOf(text: string, start: number, end: number): Generator<[number, number]> {
  let wordStart = start;
  for (let i = start; i < end;) {
    const codePoint = text.codePointAt(i)!;
    const next = i + (codePoint > 0xffff ? 2 : 1);
    const kind = classAt(codePoint);
    if (kind !== other) {
      if (i > wordStart) yield [wordStart, i];
      if (kind === punctuation) yield [i, next];
      wordStart = next;
    }
    i = next;
  }
  if (end > wordStart) yield [wordStart, end];
}
