import type { Json } from "@gpugrad/nn";
import { addedTokenFinder, type AddedToken, type Section } from "./added-tokens.ts";
import { AlignedText, joined } from "./aligned-text.ts";
import { modelOf } from "./models/index.ts";
import type { Model } from "./models/model.ts";
import { normalizerOf } from "./normalizers/index.ts";
import { marginsOf } from "./post-processor.ts";
import { isSeparator } from "./pre-tokenizers/bert.ts";
import { preTokenizerOf, type PreTokenizer } from "./pre-tokenizers/index.ts";
import { TimeBudget } from "./regular-expression.ts";
import { cutsOf, Part, type Context, type Cuts, type Stage } from "./stage.ts";
import { isChinese } from "./unicode.ts";

/** A text, or with `isSplitIntoWords` the words of one. */
export type TokenizerInput = string | readonly string[];

/** Tokens of a text without special tokens around it; parallel arrays. */
export interface Pieces {
  readonly ids: number[];
  /** Where each token lies in the text: start and end, in code points, one pair after the other. */
  readonly offsets: number[];
  /** Which word of the text each token belongs to. */
  readonly words: number[];
  /** How many spaces are at each end of a token, where offsets are to be trimmed; else empty. */
  readonly margins: number[];
}

/**
 * Adds the tokens of a text to `pieces`, some at a time. Each `yield` is a place to pause, or to stop where enough are there.
 *
 * @param word The number of the word that the text is; left out, its words are counted from 0.
 */
export type Tokenize = (text: string, pieces: Pieces, word?: number) => Generator<void>;

/** UTF-16 units that go through the stages at a time, and somewhat more: up to where the text may be cut. */
const stretchLength = 4096;

/**
 * The way from a text to its tokens that tokenizer.json describes: cut out added tokens → normalize → cut out added tokens that are looked for in
 * normalized text → split into words → the model's tokens of each word. Each step keeps track of where its characters came from, as Hugging Face's
 * Rust tokenizers do. The time is linear in the text, and a text that is stopped early is not read to its end.
 *
 * @throws {@link GpugradError} naming the first part that can't be
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/tokenizer/mod.rs `encode_single_sequence`
 */
export function tokenizerPipeline(
  json: Json & { added_tokens: readonly AddedToken[] },
  vocab: ReadonlyMap<string, number>,
  splitSpecialTokens: boolean,
  marginsOfToken?: (id: number) => [leading: number, trailing: number],
): Tokenize {
  const normalizer = stageOf(json["normalizer"], "normalizer", normalizerOf);
  const preTokenizer = stageOf(json["pre_tokenizer"], "pre_tokenizer", preTokenizerOf);
  const model = modelOf(json["model"], vocab);
  const isNormalized = (token: AddedToken) => token.normalized;
  const rawTokens = addedTokenFinder(
    json.added_tokens.filter((token) => !isNormalized(token)),
    (content) => content,
    splitSpecialTokens,
  );
  const normalizedTokens = addedTokenFinder(
    json.added_tokens.filter(isNormalized),
    (content) => {
      const context = { isFirst: true, isLast: true, budget: new TimeBudget(content.length) };
      return normalizer.run(new AlignedText(content, 0), context).text;
    },
    splitSpecialTokens,
  );
  const cuts = cutsOf(normalizer, preTokenizer);
  // A token that is looked for in normalized text may reach over a cut, unless it consists of other things than words.
  const wholeSections = json.added_tokens.some(
    (token) =>
      token.normalized && (token.rstrip || token.single_word || cuts === "separators" || /\p{L}/u.test(token.content)),
  );

  const stages: Stages = {
    ...{ normalizer, preTokenizer, model, rawTokens, normalizedTokens, cuts, wholeSections, marginsOfToken },
  };
  return (text, pieces, word) => new TextReader(stages, text, pieces, word).read();
}

interface Stages {
  normalizer: Stage<AlignedText>;
  preTokenizer: PreTokenizer;
  model: Model;
  /** Finds the added tokens of a text, and of a normalized one. */
  rawTokens: (text: string) => Iterable<Section | undefined>;
  normalizedTokens: (text: string) => Iterable<Section | undefined>;
  cuts: Cuts;
  wholeSections: boolean;
  marginsOfToken: ((id: number) => [leading: number, trailing: number]) | undefined;
}

/** One text on its way through the stages. (A class, since closures made for each text cost more than a short text itself.) */
class TextReader {
  readonly #stages: Stages;
  readonly #text: string;
  readonly #pieces: Pieces;
  readonly #given: number | undefined;
  readonly #budget: TimeBudget;
  // Two, since tokens may overlap: each goes forward.
  readonly #startAt: CodePointCursor;
  readonly #endAt: CodePointCursor;
  #word = -1;

  constructor(stages: Stages, text: string, pieces: Pieces, given: number | undefined) {
    this.#stages = stages;
    this.#text = text;
    this.#pieces = pieces;
    this.#given = given;
    this.#budget = new TimeBudget(text.length);
    this.#startAt = new CodePointCursor(text);
    this.#endAt = new CodePointCursor(text);
  }

  *read(): Generator<void> {
    const { rawTokens, normalizer, cuts, wholeSections } = this.#stages;
    const text = this.#text;
    for (const section of rawTokens(text)) {
      if (!section) {
        yield;
        continue;
      }
      if (section.token) {
        const [start, end] = [this.#startAt.to(section.start), this.#endAt.to(section.end)];
        this.#add(section.token.id, start, end, text.slice(section.start, section.end));
        yield;
        continue;
      }
      let parts: AlignedText[] = [];
      let hasPairs = false;
      for (let at = section.start; at < section.end; yield) {
        const end = cutAfter(text, at + stretchLength, section.end, cuts);
        const part = text.slice(at, end);
        const context = { isFirst: at === section.start, isLast: end === section.end, budget: this.#budget };
        parts.push(normalizer.run(new AlignedText(part, at), context));
        hasPairs ||= /[\ud800-\udbff]/.test(part);
        at = end;
        if (wholeSections && at < section.end) continue;
        const whole = joined(parts);
        yield* this.#addTokens(
          whole,
          wholeSections ? { ...context, isFirst: true } : context,
          hasPairs ? undefined : this.#startAt.to(whole.origin) - whole.origin,
        );
        [parts, hasPairs] = [[], false];
      }
    }
  }

  /** The tokens of a normalized part of the text. With `shift`, its code points are that far from its UTF-16 units. */
  *#addTokens(normal: AlignedText, context: Context, shift: number | undefined): Generator<void> {
    const { normalizedTokens, cuts } = this.#stages;
    for (const part of normalizedTokens(normal.text)) {
      if (!part) {
        yield;
        continue;
      }
      if (part.token) {
        const start = this.#startOf(normal.startOf(part.start), shift);
        const end = this.#endOf(normal.endBefore(part.end), shift);
        this.#add(part.token.id, start, end, normal.text.slice(part.start, part.end));
        continue;
      }
      for (let at = part.start; at < part.end;) {
        const end = cutAfter(normal.text, at + stretchLength, part.end, cuts);
        if (at > part.start) yield;
        yield* this.#addWords(sliced(normal, at, end), context, shift);
        at = end;
      }
    }
  }

  /** The tokens of a normalized part without added tokens. */
  *#addWords(section: AlignedText, context: Context, shift: number | undefined): Generator<void> {
    const { preTokenizer, model, marginsOfToken } = this.#stages;
    const { ids, offsets, words, margins } = this.#pieces;
    const { text: aligned, bounds } = preTokenizer.run({ text: section, bounds: [0, section.text.length] }, context);
    for (let i = 0; i < bounds.length; i += 2) {
      const start = bounds[i]!;
      const text = aligned.text.slice(start, bounds[i + 1]);
      const tokens = text.length > stretchLength && model.inSteps ? yield* model.inSteps(text) : model(text);
      const number = this.#nextWord();
      for (let k = 0, from = start; k < tokens.ids.length; k++) {
        if (tokens.starts) from = start + tokens.starts[k]!;
        const to = start + tokens.ends[k]!;
        const id = tokens.ids[k]!;
        ids.push(id);
        offsets.push(this.#startOf(aligned.startOf(from), shift), this.#endOf(aligned.endBefore(to), shift));
        words.push(number);
        if (marginsOfToken) margins.push(...marginsOfToken(id));
        from = to;
        if (k % stretchLength === stretchLength - 1) yield;
      }
    }
  }

  /** An added token, which is a word of its own. */
  #add(id: number, start: number, end: number, written: string): void {
    const { ids, offsets, words, margins } = this.#pieces;
    ids.push(id);
    offsets.push(start, end);
    words.push(this.#nextWord());
    if (this.#stages.marginsOfToken) margins.push(...marginsOf(written));
  }

  #nextWord(): number {
    return this.#given ?? ++this.#word;
  }
  #startOf(unit: number, shift: number | undefined): number {
    return shift === undefined ? this.#startAt.to(unit) : unit + shift;
  }
  #endOf(unit: number, shift: number | undefined): number {
    return shift === undefined ? this.#endAt.to(unit) : unit + shift;
  }
}

/** The end of `text` or the first place from unit `from` on where it may be cut. */
function cutAfter(text: string, from: number, end: number, cuts: Cuts): number {
  if (cuts === "nowhere") return end;
  const mayCut = cuts === "words" ? isBetweenWords : isBesideSeparator;
  for (let at = from; at < end; at++) if (mayCut(text, at)) return at;
  return end;
}

/** Whether unit `at` is a space between two letters. */
const isBetweenWords = (text: string, at: number): boolean =>
  text.charCodeAt(at) === 32 && /^\p{L} \p{L}$/u.test(text.slice(at - 1, at + 2));

/** Whether unit `at` is a space, a punctuation mark, or behind an ideograph. */
function isBesideSeparator(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  if (unit < 0xa0) return unit >= 32 && unit < 127 && isSeparator(unit);
  return isSeparator(unit) || isChinese(text.charCodeAt(at - 1));
}

/** A stage of tokenizer.json; one that changes nothing where it has none. */
export function stageOf<T>(json: unknown, name: string, make: (part: Part) => Stage<T>): Stage<T> {
  const isMissing = json === undefined || json === null;
  return isMissing ? { run: (input) => input, allows: "separators" } : make(new Part(json, `tokenizer.json: ${name}`));
}

/** Units `start` to `end` of a text. */
function sliced(text: AlignedText, start: number, end: number): AlignedText {
  if (start === 0 && end === text.text.length) return text;
  const part = (places: ArrayLike<number> | undefined) =>
    places && (Array.prototype.slice.call(places, start, end) as number[]);
  return new AlignedText(text.text.slice(start, end), text.startOf(start), part(text.starts), part(text.ends));
}

/** Which code point begins at a UTF-16 unit, counted from the unit that was asked for before. */
class CodePointCursor {
  readonly #text: string;
  #at = 0;
  #codePoint = 0;

  constructor(text: string) {
    this.#text = text;
  }

  to(unit: number): number {
    const at = this.#at;
    this.#codePoint += unit >= at ? codePoints(this.#text, at, unit) : -codePoints(this.#text, unit, at);
    this.#at = unit;
    return this.#codePoint;
  }
}

function codePoints(text: string, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++)
    if (!(isLowSurrogate(text.charCodeAt(i)) && isHighSurrogate(text.charCodeAt(i - 1)))) count++;
  return count;
}
const isHighSurrogate = (unit: number) => (unit & 0xfc00) === 0xd800;
const isLowSurrogate = (unit: number) => (unit & 0xfc00) === 0xdc00;
