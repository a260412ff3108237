/**
 * A normalized text whose UTF-16 units know which part of the original text they came from, as `NormalizedString` of Hugging Face's Rust
 * tokenizers does. Places in the original are UTF-16 units.
 */
export class AlignedText {
  readonly text: string;
  /** Where the text begins in the original. */
  readonly origin: number;
  /** By unit, where its part of the original begins and ends; without them the text is the original's, from unit {@link origin} on. */
  readonly starts: ArrayLike<number> | undefined;
  readonly ends: ArrayLike<number> | undefined;

  constructor(text: string, origin: number, starts?: ArrayLike<number>, ends?: ArrayLike<number>) {
    this.text = text;
    this.origin = origin;
    this.starts = starts;
    this.ends = ends;
  }

  /** Where the part of the original begins that unit `i` came from. */
  startOf(i: number): number {
    return this.starts ? this.starts[i]! : this.origin + i;
  }

  /** Where the part of the original ends that the units before `i` came from. */
  endBefore(i: number): number {
    return this.ends ? this.ends[i - 1]! : this.origin + i;
  }

  /** Other units from the same places. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.origin, this.starts, this.ends);
  }
}

/** Puts an {@link AlignedText} together out of parts of another one. */
export class Alignment {
  readonly #source: AlignedText;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #text = "";

  constructor(source: AlignedText) {
    this.#source = source;
  }

  /** Number of units so far. */
  get length(): number {
    return this.#starts.length;
  }

  /** Adds characters that came from units `start` to `end` of the source. */
  add(characters: string, start: number, end: number): void {
    const [from, to] = [this.#source.startOf(start), this.#source.endBefore(end)];
    this.#text += characters;
    for (let i = 0; i < characters.length; i++) {
      this.#starts.push(from);
      this.#ends.push(to);
    }
  }

  /** Adds characters that came from no place: they share that of the character before unit `at` of the source. */
  insert(characters: string, at: number): void {
    if (at > 0) return this.add(characters, characterStart(this.#source.text, at), at);
    this.#text += characters;
    for (let i = 0; i < characters.length; i++) {
      this.#starts.push(this.#source.origin);
      this.#ends.push(this.#source.origin);
    }
  }

  /** Adds units `start` to `end` of the source as they are. */
  copy(start: number, end: number): void {
    const { text } = this.#source;
    this.#text += text.slice(start, end);
    for (let i = start; i < end; i++) {
      this.#starts.push(this.#source.startOf(i));
      this.#ends.push(this.#source.endBefore(i + 1));
    }
  }

  build(): AlignedText {
    return new AlignedText(this.#text, this.#source.origin, this.#starts, this.#ends);
  }
}

/** Where the character begins that ends before unit `end`. */
export const characterStart = (text: string, end: number): number =>
  end > 1 && text.codePointAt(end - 2)! > 0xffff ? end - 2 : end - 1;

/** Each character by what takes its place. */
export function mapCharacters(source: AlignedText, change: (character: string) => string): AlignedText {
  const alignment = new Alignment(source);
  for (let i = 0; i < source.text.length;) {
    const character = String.fromCodePoint(source.text.codePointAt(i)!);
    const next = i + character.length;
    alignment.add(change(character), i, next);
    i = next;
  }
  return alignment.build();
}

/** Texts that follow each other in the original, as one. */
export function joined(texts: readonly AlignedText[]): AlignedText {
  if (texts.length === 1) return texts[0]!;
  const [starts, ends]: [number[], number[]] = [[], []];
  for (const part of texts)
    for (let i = 0; i < part.text.length; i++) {
      starts.push(part.startOf(i));
      ends.push(part.endBefore(i + 1));
    }
  return new AlignedText(texts.map(({ text }) => text).join(""), texts[0]!.origin, starts, ends);
}

/**
 * Replaces characters one after the other, as `NormalizedString::transform` does. A change of 0 replaces a character, 1 adds one that shares the
 * place of the one before, and −n replaces one and removes n more.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/tokenizer/normalizer.rs `transform_range`
 */
export function transform(source: AlignedText, changes: Iterable<readonly [character: string, change: number]>) {
  const alignment = new Alignment(source);
  const { text } = source;
  const after = (i: number) => (i < text.length ? i + (text.codePointAt(i)! > 0xffff ? 2 : 1) : i);
  let at = 0;
  for (const [character, change] of changes) {
    if (change > 0 || at >= text.length) {
      alignment.insert(character, at);
      continue;
    }
    const next = after(at);
    alignment.add(character, at, next);
    at = next;
    for (let removed = 0; removed > change; removed--) at = after(at);
  }
  return alignment.build();
}
