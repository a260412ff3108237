import { finder } from "../regular-expression.ts";
import { limited, type Part, sequence, type Stage } from "../stage.ts";
import { isPunctuation, isWhiteSpace, wordCharacters } from "../unicode.ts";
import { splitAsBert } from "./bert.ts";
import { byteLevel } from "./byte-level.ts";
import { metaspace, metaspaceSettings } from "./metaspace.ts";
import { behaviors, characterFinder, splitWords, type Splits } from "./splits.ts";

export type PreTokenizer = Stage<Splits>;

const words = finder(new RegExp(`${wordCharacters}+|[^${wordCharacters}\\p{White_Space}]+`, "gv"));
const whiteSpace = characterFinder(isWhiteSpace);
const punctuation = characterFinder(isPunctuation);
const digits = characterFinder((character) => /^\p{N}$/u.test(character));
const splitsSpaces = { allows: "words", splits: "words" } as const;

/** By type in tokenizer.json. */
const preTokenizers: Record<string, (part: Part) => PreTokenizer> = {
  BertPreTokenizer: () => ({ run: splitAsBert, allows: "separators", splits: "separators" }),
  ByteLevel(part) {
    const useRegex = part.boolean("use_regex", true);
    const run = byteLevel(part.boolean("add_prefix_space", true), useRegex);
    return useRegex ? { run, ...splitsSpaces } : { run, allows: "words" };
  },
  Metaspace: (part) => metaspace(metaspaceSettings(part)),
  Whitespace: () => ({ run: (splits) => splitWords(splits, words, "Removed", true), ...splitsSpaces }),
  WhitespaceSplit: () => ({ run: (splits) => splitWords(splits, whiteSpace, "Removed"), ...splitsSpaces }),
  Punctuation(part) {
    const behavior = part.oneOf("behavior", behaviors, "Isolated");
    return { run: (splits) => splitWords(splits, punctuation, behavior), allows: "words" };
  },
  Digits(part) {
    const behavior = part.boolean("individual_digits", false) ? "Isolated" : "Contiguous";
    return { run: (splits) => splitWords(splits, digits, behavior), allows: "words" };
  },
  CharDelimiterSplit(part) {
    const delimiter = part.string("delimiter");
    const find = characterFinder((character) => character === delimiter);
    const splitsWords = delimiter === " " && splitsSpaces;
    return { run: (splits) => splitWords(splits, find, "Removed"), allows: "words", ...splitsWords };
  },
  Split(part) {
    const pattern = part.pattern();
    const behavior = part.oneOf("behavior", behaviors);
    const invert = part.boolean("invert", false);
    const isCut = behavior !== "MergedWithPrevious" && !invert;
    return limited(pattern, part.where, {
      run: (splits) => splitWords(splits, pattern.find, behavior, invert),
      allows: isCut ? "words" : "nowhere",
      splits: isCut && pattern.splitsWords ? "words" : "nowhere",
    });
  },
  FixedLength(part) {
    const length = part.integer("length", 5, [1, 2 ** 31]);
    return { run: (splits) => inPieces(splits, length), allows: "nowhere" };
  },
  Sequence: (part) => sequence(part.parts("pretokenizers").map(preTokenizerOf)),
};

/** What splits a normalized text into words. @throws {@link GpugradError} */
export function preTokenizerOf(part: Part): PreTokenizer {
  const make = Object.hasOwn(preTokenizers, part.type) ? preTokenizers[part.type] : undefined;
  return make ? make(part) : part.unknown(Object.keys(preTokenizers));
}

/** Words of `length` characters. */
function inPieces(splits: Splits, length: number): Splits {
  const find = (text: string) => {
    const found: number[] = [];
    let [count, start, at] = [0, 0, 0];
    for (const character of text) {
      at += character.length;
      if (++count % length > 0) continue;
      found.push(start, at);
      start = at;
    }
    return found;
  };
  return splitWords(splits, find, "Isolated");
}
