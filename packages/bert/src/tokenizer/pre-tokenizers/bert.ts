import { isPunctuation, isWhiteSpace } from "../unicode.ts";
import type { Splits } from "./splits.ts";

const [other, space, punctuation] = [0, 1, 2];
/** By code point: its class, and 1 more than that; 0 where it was never asked for. */
const classes = new Uint8Array(0x110000);

const classOf = (character: string): number =>
  isWhiteSpace(character) ? space : isPunctuation(character) ? punctuation : other;

const classAt = (codePoint: number): number =>
  (classes[codePoint] ||= 1 + classOf(String.fromCodePoint(codePoint))) - 1;

/** Whether words end at a character, whatever is beside it. */
export const isSeparator = (codePoint: number): boolean => classAt(codePoint) !== other;

/** Words between white space; each punctuation mark is a word. */
export function splitAsBert({ text: aligned, bounds }: Splits): Splits {
  const { text } = aligned;
  const found: number[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const end = bounds[i + 1]!;
    let wordStart = bounds[i]!;
    for (let at = wordStart; at < end;) {
      const codePoint = text.codePointAt(at)!;
      const next = at + (codePoint > 0xffff ? 2 : 1);
      const kind = classAt(codePoint);
      if (kind !== other) {
        if (at > wordStart) found.push(wordStart, at);
        if (kind === punctuation) found.push(at, next);
        wordStart = next;
      }
      at = next;
    }
    if (end > wordStart) found.push(wordStart, end);
  }
  return { text: aligned, bounds: found };
}
