import { check } from "./errors.ts";
import { isChinese, isControl, isMark, isPunctuation, isWhiteSpace, staysWhole } from "./unicode.ts";

/** Tokens of a text without special tokens around it; parallel arrays. */
export interface Pieces {
  readonly ids: number[];
  /** Where each token lies in the text: start and end, in code points, one pair after the other. */
  readonly offsets: number[];
}

/** The part of tokenizer.json that this pipeline runs. */
export interface BertPipeline {
  normalizer: {
    clean_text: boolean;
    handle_chinese_chars: boolean;
    strip_accents: boolean | null;
    lowercase: boolean;
  };
  addedTokens: readonly AddedToken[];
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

/** A token that is found in the text as it stands, before words are split. */
export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** A normalized stretch of text and, for each UTF-16 unit, the code point it came from; without `source`, unit i from i. */
interface Normalized {
  text: string;
  source?: number[];
}

/** A word's tokens, and the UTF-16 unit at which each ends. */
interface Word {
  ids: readonly number[];
  ends: readonly number[];
}

/** Forgotten when it has grown so large: texts repeat most of their words. */
const maxCachedWords = 200_000;

/**
 * BERT's tokenizer with offsets: cut out added tokens → normalize → split at white space and around punctuation →
 * WordPiece. Each step keeps track of where its characters came from, as Hugging Face's Rust tokenizers do.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/normalizers/bert.rs
 */
export function alignedBert(pipeline: BertPipeline): (text: string) => Pieces {
  const normalize = bertNormalizer(pipeline.normalizer);
  const rawTokens = finder(
    pipeline.addedTokens.filter((t) => !t.normalized),
    (content) => content,
  );
  const normalizedTokens = finder(
    pipeline.addedTokens.filter((t) => t.normalized),
    (content) => normalize(content).text,
  );
  const split = wordPiece(pipeline.model);
  let words = new Map<string, Word>();
  const lookUp = (word: string): Word => {
    const known = words.get(word);
    if (known) return known;
    const found = split(word);
    if (words.size >= maxCachedWords) words = new Map();
    words.set(word, found);
    return found;
  };

  return (text) => {
    const ids: number[] = [];
    const offsets: number[] = [];
    for (const section of rawTokens(text)) {
      if (section.token) {
        ids.push(section.token.id);
        offsets.push(codePoints(text, 0, section.start), codePoints(text, 0, section.end));
        continue;
      }
      const raw = text.slice(section.start, section.end);
      const first = section.start === 0 ? 0 : codePoints(text, 0, section.start);
      const { text: normal, source } = normalize(raw);
      const startOf = (unit: number) => first + (source ? source[unit]! : unit);
      const endOf = (unit: number) => first + (source ? source[unit - 1]! : unit - 1) + 1;
      for (const part of normalizedTokens(normal)) {
        if (part.token) {
          ids.push(part.token.id);
          offsets.push(startOf(part.start), endOf(part.end));
          continue;
        }
        for (const [start, end] of wordsOf(normal, part.start, part.end)) {
          const { ids: wordIds, ends } = lookUp(normal.slice(start, end));
          for (let i = 0, from = start; i < wordIds.length; i++) {
            const to = start + ends[i]!;
            ids.push(wordIds[i]!);
            offsets.push(startOf(from), endOf(to));
            from = to;
          }
        }
      }
    }
    return { ids, offsets };
  };
}

/** The longest token that begins the word, then the longest that goes on, …; the unknown token where there is none. */
function wordPiece(model: WordPieceModel): (word: string) => Word {
  // By itself: an added token is no piece of a longer word.
  const vocab = new Map(Object.entries(model.vocab));
  const prefix = model.continuing_subword_prefix;
  const unknown = vocab.get(model.unk_token);
  check(unknown !== undefined, () => `tokenizer: the vocabulary has no "${model.unk_token}".`);

  return (word) => {
    const ids: number[] = [];
    const ends: number[] = [];
    if (codePoints(word, 0, word.length) <= model.max_input_chars_per_word) {
      for (let start = 0, end = word.length; end > start; end--) {
        const id = vocab.get(start === 0 ? word.slice(0, end) : prefix + word.slice(start, end));
        if (id === undefined) continue;
        ids.push(id);
        ends.push(end);
        start = end;
        end = word.length + 1;
      }
    }
    return ends.at(-1) === word.length ? { ids, ends } : { ids: [unknown], ends: [word.length] };
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

interface Section {
  start: number;
  end: number;
  token?: AddedToken;
}

/** Splits a text into added tokens (the leftmost, of those the longest) and what lies between. */
function finder(tokens: readonly AddedToken[], form: (content: string) => string): (text: string) => Section[] {
  const byContent = new Map(tokens.map((token) => [form(token.content), token]));
  byContent.delete("");
  if (byContent.size === 0) return (text) => (text === "" ? [] : [{ start: 0, end: text.length }]);
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(contents.map((c) => c.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gu");
  const isWord = (character: string | undefined) => /^[\p{L}\p{N}_\p{M}]$/u.test(character ?? "");

  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (token.single_word && (isWord(text[start - 1]) || isWord(text[end]))) continue;
      if (token.lstrip) while (start > done && isWhiteSpace(text[start - 1]!)) start--;
      if (token.rstrip) while (end < text.length && isWhiteSpace(text[end]!)) end++;
      if (start < done) continue; // swallowed by the white space of the one before
      if (start > done) sections.push({ start: done, end: start });
      sections.push({ start, end, token });
      done = end;
    }
    if (done < text.length) sections.push({ start: done, end: text.length });
    return sections;
  };
}

/** Cleans, separates ideographs, strips accents and lower-cases, one character at a time. */
function bertNormalizer({
  clean_text,
  handle_chinese_chars,
  strip_accents,
  lowercase,
}: BertPipeline["normalizer"]): (text: string) => Normalized {
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
  const known = new Map<string, string>();
  const normalizeCached = (character: string): string => {
    const found = known.get(character);
    if (found !== undefined) return found;
    const made = normalizeOne(character);
    known.set(character, made);
    return made;
  };

  return (text) => {
    // ASCII without the control characters that cleaning drops
    if (/^[\t\n\r -~]*$/.test(text)) return { text: lowercase ? text.toLowerCase() : text };
    let out = "";
    const source: number[] = [];
    let index = 0;
    for (const character of text) {
      const normal = normalizeCached(character);
      out += normal;
      for (let i = 0; i < normal.length; i++) source.push(index);
      index++;
    }
    return { text: out, source };
  };
}

const [other, space, punctuation] = [0, 1, 2];
const asciiClass = Uint8Array.from({ length: 128 }, (_, code) => classOf(String.fromCharCode(code)));
const classes = new Map<number, number>();

function classOf(character: string): number {
  return isWhiteSpace(character) ? space : isPunctuation(character) ? punctuation : other;
}

function classAt(codePoint: number): number {
  if (codePoint < 128) return asciiClass[codePoint]!;
  let found = classes.get(codePoint);
  if (found === undefined) classes.set(codePoint, (found = classOf(String.fromCodePoint(codePoint))));
  return found;
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
