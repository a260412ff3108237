import { Alignment, mapCharacters } from "../aligned-text.ts";
import { byteCharacters, toByteCharacters } from "../byte-characters.ts";
import { finder } from "../regular-expression.ts";
import { letters, numbers } from "../unicode.ts";
import { splitWords, type Splits } from "./splits.ts";

/** GPT-2's expression, with the white space, letters and numbers of Oniguruma, which are not JavaScript's. */
const space = String.raw`\p{White_Space}`;
const words = finder(
  new RegExp(
    `'s|'t|'re|'ve|'m|'ll|'d| ?${letters}+| ?${numbers}+| ?[^${space}${letters}${numbers}]+|${space}+(?![^${space}])|${space}+`,
    "gv",
  ),
);

/** Words as GPT-2 splits them, or as they are, with a space in front of each that has none, then as the characters of their bytes. */
export function byteLevel(addPrefixSpace: boolean, useRegex: boolean): (splits: Splits) => Splits {
  return (given) => {
    let splits = addPrefixSpace ? withPrefixSpaces(given) : given;
    if (useRegex) splits = splitWords(splits, words, "Isolated");
    return toBytes(splits);
  };
}

/** Words that begin with a space, which shares the place of what it is put before. */
function withPrefixSpaces(splits: Splits): Splits {
  return prefixed(splits, " ");
}

/** Every word with `prefix` in front where it has none. */
export function prefixed({ text, bounds }: Splits, prefix: string, wants = (_start: number) => true): Splits {
  const alignment = new Alignment(text);
  const found: number[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const [start, end] = [bounds[i]!, bounds[i + 1]!];
    const first = alignment.length;
    if (!text.text.startsWith(prefix, start) && wants(start))
      alignment.add(prefix, start, start + String.fromCodePoint(text.text.codePointAt(start)!).length);
    alignment.copy(start, end);
    found.push(first, alignment.length);
  }
  return { text: alignment.build(), bounds: found };
}

function toBytes({ text, bounds }: Splits): Splits {
  if (/^[\0-\x7f]*$/.test(text.text)) {
    const mapped = text.text.replace(/[\0- \x7f]/g, (character) => byteCharacters[character.charCodeAt(0)]!);
    return { text: text.withText(mapped), bounds };
  }
  // Where each unit begins once characters are bytes.
  const places = new Int32Array(text.text.length + 1);
  let [at, place] = [0, 0];
  for (const character of text.text) {
    const { length } = toByteCharacters(character);
    places.fill(place, at, at + character.length);
    at += character.length;
    place += length;
  }
  places[at] = place;
  return { text: mapCharacters(text, toByteCharacters), bounds: bounds.map((bound) => places[bound]!) };
}
