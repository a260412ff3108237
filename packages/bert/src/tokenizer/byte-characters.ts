/** The character for each byte in a byte-level vocabulary: itself if it is printable, else one from U+0100 on. */
export const byteCharacters: readonly string[] = (() => {
  const isVisible = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++));
})();

/** The byte of each such character. */
export const bytesByCharacter: ReadonlyMap<string, number> = new Map(
  byteCharacters.map((character, byte) => [character, byte]),
);

const known = new Map<string, string>();
const encoder = new TextEncoder();

/** A character as the characters of its bytes in UTF-8; half a surrogate pair as those of U+FFFD. */
export function toByteCharacters(character: string): string {
  let found = known.get(character);
  if (found === undefined) {
    found = Array.from(encoder.encode(character), (byte) => byteCharacters[byte]!).join("");
    if (known.size < 0x10000) known.set(character, found);
  }
  return found;
}
