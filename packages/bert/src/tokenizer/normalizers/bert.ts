import { mapCharacters, type AlignedText } from "../aligned-text.ts";
import type { Part, Stage } from "../stage.ts";
import { isChinese, isControl, isMark, isWhiteSpace, staysWhole } from "../unicode.ts";

/** Forgotten when so many are known; more than a language has. */
const maxCachedCharacters = 65_536;
/** ASCII without the control characters that cleaning drops. */
const isPlain = /^[\t\n\r -~]*$/;

/**
 * Cleans, separates ideographs, strips accents and lower-cases, one character at a time.
 *
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/normalizers/bert.rs
 */
export function bertNormalizer(part: Part): Stage<AlignedText> {
  const [clean, chinese, lowercase] = (["clean_text", "handle_chinese_chars", "lowercase"] as const).map((name) =>
    part.boolean(name, true),
  );
  const strip = part.json["strip_accents"] === null ? lowercase : part.boolean("strip_accents", lowercase);

  const normalizeOne = (character: string): string => {
    const codePoint = character.codePointAt(0)!;
    let out = character;
    if (clean) {
      if (codePoint === 0 || codePoint === 0xfffd || isControl(character)) return "";
      if (isWhiteSpace(character)) return " ";
    }
    if (strip && !staysWhole(out)) out = [...out.normalize("NFD")].filter((c) => !isMark(c)).join("");
    // Each character by itself: lower-casing a string would write a final sigma (Σ → ς), which Rust does not.
    if (lowercase) out = Array.from(out, (c) => c.toLowerCase()).join("");
    return chinese && isChinese(codePoint) ? ` ${out} ` : out;
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

  return {
    run(source: AlignedText) {
      if (!isPlain.test(source.text)) return mapCharacters(source, normalizeCached);
      return lowercase ? source.withText(source.text.toLowerCase()) : source;
    },
    allows: chinese ? "separators" : "words",
  };
}
