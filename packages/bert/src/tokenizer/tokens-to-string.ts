import type { Json } from "@gpugrad/nn";

/** Turns tokens into text: what `decoder` of tokenizer.json says. */
export type TokensToString = (tokens: readonly string[]) => string;

/**
 * The decoder of a tokenizer, as the Rust library's: WordPiece, ByteLevel and Metaspace; tokens with spaces between them otherwise.
 * @see https://github.com/huggingface/tokenizers/tree/v0.22.0/tokenizers/src/decoders
 */
export function tokensToString(decoder: Json | null | undefined): TokensToString {
  const { type, prefix, cleanup, replacement, prepend_scheme } = decoder ?? {};
  if (type === "WordPiece") {
    const [mark, closes] = [typeof prefix === "string" ? prefix : "##", cleanup !== false];
    return (tokens) =>
      tokens
        .map((token, i) => {
          const part = i === 0 ? token : token.startsWith(mark) ? token.slice(mark.length) : ` ${token}`;
          return closes ? closeGaps(part) : part;
        })
        .join("");
  }
  if (type === "ByteLevel") return (tokens) => new TextDecoder().decode(Uint8Array.from(tokens.flatMap(bytesOf)));
  if (type === "Metaspace") {
    const space = typeof replacement === "string" ? replacement : "▁";
    return (tokens) =>
      tokens.map((token, i) => token.replaceAll(space, i === 0 && prepend_scheme !== "never" ? "" : " ")).join("");
  }
  return (tokens) => tokens.join(" ");
}

/** In this order, as the library does. */
const GAPS: readonly (readonly [string, string])[] = [
  [" .", "."], [" ?", "?"], [" !", "!"], [" ,", ","], [" ' ", "'"], [" n't", "n't"], [" 'm", "'m"], [" do not", " don't"],
  [" 's", "'s"], [" 've", "'ve"], [" 're", "'re"],
]; // prettier-ignore

const closeGaps = (text: string): string => GAPS.reduce((closed, [from, to]) => closed.replaceAll(from, to), text);

/** GPT-2's characters for bytes: those that can be printed stand for themselves, the others for what begins at U+0100. */
const BYTES = new Map<string, number>();
for (let byte = 0, other = 0x100; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  BYTES.set(String.fromCodePoint(printable ? byte : other++), byte);
}

/** The bytes of a token; one with other characters is text already. */
function bytesOf(token: string): number[] {
  const bytes = Array.from(token, (character) => BYTES.get(character));
  return bytes.includes(undefined) ? [...new TextEncoder().encode(token)] : (bytes as number[]);
}
