import type { AlignedText } from "../aligned-text.ts";
import type { FindMatches } from "../regular-expression.ts";

/** A text and the words in it: start and end of each, one pair after the other, none of them empty. */
export interface Splits {
  text: AlignedText;
  bounds: readonly number[];
}

/** What becomes of the matches that words are split at. */
export const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behavior = (typeof behaviors)[number];

/**
 * Splits each word where `find` matches in it; with `invert` where it doesn't.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/tokenizer/normalizer.rs `split`
 */
export function splitWords({ text, bounds }: Splits, find: FindMatches, behavior: Behavior, invert = false): Splits {
  const found: number[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const [start, end] = [bounds[i]!, bounds[i + 1]!];
    const word = text.text.slice(start, end);
    for (const place of splitAt(word, find(word), behavior, invert)) found.push(start + place);
  }
  return { text, bounds: found };
}

/** Start and end of each part of a word. */
function splitAt(word: string, matches: readonly number[], behavior: Behavior, invert: boolean): number[] {
  if (matches.length === 0 && !invert) return [0, word.length];
  const parts: { start: number; end: number; isMatch: boolean }[] = [];
  let done = 0;
  for (let i = 0; i < matches.length; i += 2) {
    const [start, end] = [matches[i]!, matches[i + 1]!];
    if (start > done) parts.push({ start: done, end: start, isMatch: invert });
    parts.push({ start, end, isMatch: !invert });
    done = end;
  }
  if (done < word.length) parts.push({ start: done, end: word.length, isMatch: invert });

  const kept: { start: number; end: number }[] = [];
  let wasMatch = false;
  if (behavior === "MergedWithNext") parts.reverse();
  for (const { start, end, isMatch } of parts) {
    const neighbour = kept.at(-1);
    const joins =
      behavior === "Contiguous"
        ? isMatch === wasMatch
        : behavior !== "Isolated" && behavior !== "Removed" && isMatch && !wasMatch;
    wasMatch = isMatch;
    if (behavior === "Removed" && isMatch) continue;
    if (!joins || !neighbour) kept.push({ start, end });
    else if (behavior === "MergedWithNext") neighbour.start = start;
    else neighbour.end = end;
  }
  if (behavior === "MergedWithNext") kept.reverse();
  return kept.flatMap(({ start, end }) => (start < end ? [start, end] : []));
}

/** Matches of single characters. */
export function characterFinder(matches: (character: string) => boolean): FindMatches {
  return (text) => {
    const found: number[] = [];
    let at = 0;
    for (const character of text) {
      if (matches(character)) found.push(at, at + character.length);
      at += character.length;
    }
    return found;
  };
}
