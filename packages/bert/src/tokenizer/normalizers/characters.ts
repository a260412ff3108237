import { Alignment, mapCharacters, type AlignedText } from "../aligned-text.ts";
import { isCombining } from "../unicode.ts";

const isAscii = /^[\0-\x7f]*$/;

/** Each character by itself: JavaScript would write a final sigma (Σ → ς), which Rust does not. */
export function lowerCase(source: AlignedText): AlignedText {
  const lower = source.text.toLowerCase();
  if (lower === source.text) return source;
  const isOneToOne = isAscii.test(source.text) || (lower.length === source.text.length && !source.text.includes("Σ"));
  return isOneToOne ? source.withText(lower) : mapCharacters(source, (character) => character.toLowerCase());
}

/** Without combining marks. */
export const stripAccents = (source: AlignedText): AlignedText =>
  isAscii.test(source.text) ? source : keep(source, (character) => !isCombining(character));

const isDropped = (code: number) =>
  (code >= 0x01 && code <= 0x08) ||
  code === 0x0b ||
  (code >= 0x0e && code <= 0x1f) ||
  code === 0x7f ||
  code === 0x8f ||
  code === 0x9f;
const nmtSpace = /^[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]$/;

/** As sentencepiece's `nmt`: without control characters, other white space as spaces. */
export const nmt = (source: AlignedText): AlignedText =>
  mapCharacters(
    keep(source, (character) => !isDropped(character.codePointAt(0)!)),
    (character) => (nmtSpace.test(character) ? " " : character),
  );

function keep(source: AlignedText, isKept: (character: string) => boolean): AlignedText {
  const alignment = new Alignment(source);
  let at = 0;
  for (const character of source.text) {
    if (isKept(character)) alignment.add(character, at, at + character.length);
    at += character.length;
  }
  return alignment.length === source.text.length ? source : alignment.build();
}
