import { Alignment, mapCharacters, type AlignedText } from "../aligned-text.ts";
import { toByteCharacters } from "../byte-characters.ts";
import type { Pattern } from "../regular-expression.ts";
import { limited, type Part, sequence, type Stage } from "../stage.ts";
import { isWhiteSpace } from "../unicode.ts";
import { bertNormalizer } from "./bert.ts";
import { lowerCase, nmt, stripAccents } from "./characters.ts";
import { precompiled } from "./precompiled.ts";
import { unicodeForm } from "./unicode-forms.ts";

export type Normalizer = Stage<AlignedText>;

const plain = (run: (text: AlignedText) => AlignedText): Normalizer => ({ run, allows: "words" });

/** By type in tokenizer.json. */
const normalizers: Record<string, (part: Part) => Normalizer> = {
  BertNormalizer: (part) => bertNormalizer(part),
  NFC: () => plain(unicodeForm("NFC")),
  NFD: () => plain(unicodeForm("NFD")),
  NFKC: () => plain(unicodeForm("NFKC")),
  NFKD: () => plain(unicodeForm("NFKD")),
  Lowercase: () => plain(lowerCase),
  StripAccents: () => plain(stripAccents),
  Nmt: () => plain(nmt),
  Replace: (part) => replace(part.pattern(), part.string("content"), part.where),
  Prepend: (part) => prepend(part.string("prepend")),
  Strip: (part) => strip(part.boolean("strip_left"), part.boolean("strip_right")),
  Precompiled: (part) => plain(precompiled(part.string("precompiled_charsmap"), part.where)),
  ByteLevel: () => ({ ...plain((text) => mapCharacters(text, toByteCharacters)), allows: "nowhere" }),
  Sequence: (part) => sequence(part.parts("normalizers").map(normalizerOf)),
};

/** What changes the text before words are split. @throws {@link GpugradError} */
export function normalizerOf(part: Part): Normalizer {
  const make = Object.hasOwn(normalizers, part.type) ? normalizers[part.type] : undefined;
  return make ? make(part) : part.unknown(Object.keys(normalizers));
}

/** Each match by `content`, which shares the place of the last character that it replaces. */
function replace({ find, isSafe, splitsWords }: Pattern, content: string, where: string): Normalizer {
  return limited({ find, isSafe, splitsWords }, where, {
    run(source) {
      const matches = find(source.text);
      if (matches.length === 0) return source;
      const alignment = new Alignment(source);
      let done = 0;
      for (let i = 0; i < matches.length; i += 2) {
        alignment.copy(done, matches[i]!);
        done = matches[i + 1]!;
        alignment.insert(content, done);
      }
      alignment.copy(done, source.text.length);
      return alignment.build();
    },
    allows: splitsWords && content !== " " ? "nowhere" : "words",
  });
}

function prepend(content: string): Normalizer {
  return {
    run(source, { isFirst }) {
      if (!isFirst || source.text === "") return source;
      const alignment = new Alignment(source);
      const next = String.fromCodePoint(source.text.codePointAt(0)!).length;
      alignment.add(content, 0, next);
      alignment.copy(0, source.text.length);
      return alignment.build();
    },
    allows: "words",
  };
}

/** White space at the beginning and at the end. */
function strip(left: boolean, right: boolean): Normalizer {
  return {
    run(source, { isFirst, isLast }) {
      let [start, end] = [0, source.text.length];
      while (left && isFirst && start < end && isWhiteSpace(source.text[start]!)) start++;
      while (right && isLast && end > start && isWhiteSpace(source.text[end - 1]!)) end--;
      if (end - start === source.text.length) return source;
      const alignment = new Alignment(source);
      alignment.copy(start, end);
      return alignment.build();
    },
    allows: "words",
  };
}
