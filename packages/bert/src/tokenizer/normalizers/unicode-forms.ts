import { transform, type AlignedText } from "../aligned-text.ts";
import { isNewerMark, staysCompatible, staysWhole } from "../unicode.ts";

type Form = "NFC" | "NFD" | "NFKC" | "NFKD";
/** A character, and what becomes of those it replaces: see {@link transform}. */
type Change = [character: string, change: number];

/**
 * Unicode's normalization forms, aligned as the Rust tokenizers do it: what a character is decomposed into shares its place, and moves with it
 * where combining marks are put in order; a composed character has the place of its first part.
 *
 * @see https://github.com/n1t0/unicode-normalization `decompose.rs`, `recompose.rs`
 */
export function unicodeForm(form: Form): (source: AlignedText) => AlignedText {
  const decomposition = form.includes("K") ? "NFKD" : "NFD";
  const composes = form.endsWith("C");
  return (source) => {
    if (/^[\0-\x7f]*$/.test(source.text) || isNormalized(source.text, form)) return source;
    const changes = decomposed(source.text, decomposition);
    return transform(source, composes ? composed(changes) : changes);
  };
}

/** Whether the engine leaves a text as it is. Long runs of marks are not asked about: engines take quadratic time to put them in order. */
const isNormalized = (text: string, form: Form): boolean => !/\p{M}{100}/u.test(text) && text.normalize(form) === text;

/** Every character decomposed, and combining marks in canonical order. */
function decomposed(text: string, form: "NFD" | "NFKD"): Change[] {
  const changes: Change[] = [];
  const isKept = form === "NFD" ? staysWhole : staysCompatible;
  let starters = 0; // what is before has its order
  const order = () => {
    if (changes.length - starters < 2) return;
    const marks = changes.splice(starters).sort(([a], [b]) => combiningClass(a) - combiningClass(b));
    for (const mark of marks) changes.push(mark);
  };
  for (const character of text) {
    const parts = character < "\x80" || isKept(character) ? character : character.normalize(form);
    let change = 0;
    for (const part of parts) {
      if (combiningClass(part) === 0) {
        order();
        starters = changes.length + 1;
      }
      changes.push([part, change]);
      change = 1;
    }
  }
  order();
  return changes;
}

/** Characters that have a composed form with the character before, in its place. */
function* composed(changes: readonly Change[]): Generator<Change> {
  let base: Change | undefined;
  let marks: Change[] = []; // between the base and what comes next
  for (const [character, change] of changes) {
    const ccc = combiningClass(character);
    if (!base) {
      if (ccc === 0) base = [character, change];
      else yield [character, change];
      continue;
    }
    const last = marks.at(-1);
    const isBlocked = last !== undefined && combiningClass(last[0]) >= ccc;
    const composite = isBlocked ? undefined : compose(base[0], character);
    if (composite !== undefined) base = [composite, base[1] + change - 1];
    else if (ccc === 0) {
      yield base;
      yield* marks;
      [base, marks] = [[character, change], []];
    } else marks.push([character, change]);
  }
  if (base) yield base;
  yield* marks;
}

function compose(first: string, second: string): string | undefined {
  if (second < "\x80") return undefined;
  const both = (first + second).normalize("NFC");
  return String.fromCodePoint(both.codePointAt(0)!) === both && !staysWhole(both) ? both : undefined;
}

/** A mark of each combining class, in their order. */
const classes =
  "\u0334\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2\ufb1e" +
  "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71\u0f72\u0f74\u0321\u1dce" +
  "\u031b\u302a\u0316\u059a\u302e\u{1d16d}\u05ae\u0300\u0315\u035c\u035d\u0345";
const known = new Map<string, number>();

/** 0 for characters that begin, else a number in the order of canonical combining classes, which JavaScript shows only by what it puts in order. */
function combiningClass(character: string): number {
  if (character < "\u0300") return 0;
  const found = known.get(character);
  if (found !== undefined) return found;
  const precedes = (first: string, second: string) => (second + first).normalize("NFD").startsWith(first);
  const isDifferent = [...classes].filter((mark) => mark !== character);
  const below = isDifferent.filter((mark) => precedes(mark, character)).length;
  const isMark = below > 0 || isDifferent.some((mark) => precedes(character, mark));
  const made = isMark && !isNewerMark(character) ? below + 1 : 0;
  if (known.size < 0x10000) known.set(character, made);
  return made;
}
