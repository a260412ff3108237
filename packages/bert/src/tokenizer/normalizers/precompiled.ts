import { check } from "@gpugrad/tensor";
import { transform, type AlignedText } from "../aligned-text.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** Longer clusters are replaced character by character, whatever the table has for them. */
const maxClusterBytes = 5;

/**
 * sentencepiece's table of replacements, a double-array trie over bytes, as the Rust tokenizers apply it: to each grapheme cluster, and to its
 * characters where the table has nothing for the whole. Of several entries that a cluster begins with the shortest counts, and takes the place of the
 * whole cluster: sentencepiece does otherwise, but models are trained with this.
 *
 * @param charsmap In base64: the size of the trie in bytes, the trie, then the replacements, each ended by a zero.
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/normalizers/precompiled.rs
 */
export function precompiled(charsmap: string, where: string): (source: AlignedText) => AlignedText {
  const replacement = cached(readTable(charsmap, where));

  function* changes(text: string): Generator<[character: string, change: number]> {
    // A change is held back until it is known how many characters are removed behind it.
    let held: [character: string, change: number] | undefined;
    const put = function* (before: string, after: string) {
      const [old, made] = [codePoints(before), codePoints(after)];
      let i = 0;
      for (const character of after) {
        if (held) yield held;
        held = [character, i++ < old ? 0 : 1];
      }
      if (held && made < old) held[1] += made - old;
    };
    for (const cluster of clusters(text)) {
      const whole = encoder.encode(cluster).length <= maxClusterBytes ? replacement(cluster) : undefined;
      if (whole !== undefined) yield* put(cluster, whole);
      else for (const character of cluster) yield* put(character, replacement(character) ?? character);
    }
    if (held) yield held;
  }
  const keepsAscii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).every(
    (character) => replacement(character) === undefined,
  );
  return (source) => (keepsAscii && /^[ -~]*$/.test(source.text) ? source : transform(source, changes(source.text)));
}

/** UTF-16 units that the segmenter is given at a time: it takes quadratic time. */
const windowLength = 256;

/** Grapheme clusters. An ASCII character that another one follows is a cluster of its own; the segmenter, which is slow, sees only the rest. */
function* clusters(text: string): Generator<string> {
  for (const [run] of text.matchAll(/[ -~](?=[ -~]|$)|[ -~]?[^ -~]+/g)) {
    if (run.length === 1) {
      yield run;
      continue;
    }
    for (let start = 0, length = windowLength; start < run.length;) {
      let end = start + length;
      if (/[\ud800-\udbff]/.test(run.charAt(end - 1))) end++; // not inside of a surrogate pair
      const window = run.slice(start, end);
      const segments = Array.from(segmenter.segment(window), ({ segment }) => segment);
      // The last one may continue behind the window.
      if (end < run.length) segments.pop();
      length = segments.length > 0 ? windowLength : 2 * length;
      for (const segment of segments) {
        yield segment;
        start += segment.length;
      }
    }
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function readTable(charsmap: string, where: string): (key: string) => string | undefined {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(charsmap), (character) => character.charCodeAt(0));
  } catch {
    return check(false, `${where}.precompiled_charsmap: not base64.`) as never;
  }
  const view = new DataView(bytes.buffer);
  const trieSize = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  check(
    trieSize > 0 && trieSize % 4 === 0 && 4 + trieSize <= bytes.length,
    () => `${where}.precompiled_charsmap: a trie of ${trieSize} bytes does not fit in ${bytes.length} bytes.`,
  );
  const trie = Uint32Array.from({ length: trieSize / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = bytes.subarray(4 + trieSize);

  const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
  return (key) => {
    let at = offsetOf(trie[0]!);
    for (const byte of encoder.encode(key)) {
      at ^= byte;
      const unit = trie[at];
      if (byte === 0 || unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
      at ^= offsetOf(unit);
      if (((unit >>> 8) & 1) === 0) continue;
      const start = trie[at]! & 0x7fffffff;
      const end = replacements.indexOf(0, start);
      return decoder.decode(replacements.subarray(start, end < 0 ? replacements.length : end));
    }
    return undefined;
  };
}

function cached(look: (key: string) => string | undefined): (key: string) => string | undefined {
  let known = new Map<string, string | undefined>();
  return (key) => {
    if (known.has(key)) return known.get(key);
    if (known.size >= 0x10000) known = new Map();
    const found = look(key);
    known.set(key, found);
    return found;
  };
}
