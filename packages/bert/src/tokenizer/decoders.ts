import { bytesByCharacter } from "./byte-characters.ts";
import { metaspaceSettings } from "./pre-tokenizers/metaspace.ts";
import { TimeBudget } from "./regular-expression.ts";
import { Part } from "./stage.ts";

/** Tokens as parts of a text, which are then joined. */
type Decoder = (tokens: string[], budget: TimeBudget) => string[];

const each =
  (change: (token: string, i: number, last: number) => string): Decoder =>
  (tokens) =>
    tokens.map((token, i) => change(token, i, tokens.length - 1));

/** By type in tokenizer.json. */
const decoders: Record<string, (part: Part) => Decoder> = {
  WordPiece(part) {
    const prefix = part.string("prefix", "##");
    const cleans = part.boolean("cleanup", true);
    return each((token, i) => {
      const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleans ? closeGaps(joined) : joined;
    });
  },
  BPEDecoder(part) {
    const suffix = part.string("suffix", "</w>");
    return each((token, i, last) => token.replaceAll(suffix, i === last ? "" : " "));
  },
  ByteLevel: () => fromBytes,
  ByteFallback: () => byteFallback,
  Metaspace(part) {
    const { replacement, scheme } = metaspaceSettings(part);
    return each((token, i) => token.replaceAll(replacement, i === 0 && scheme !== "never" ? "" : " "));
  },
  Replace(part) {
    const { find, isSafe } = part.pattern();
    const content = part.string("content");
    const replace = each((token) => {
      const matches = find(token);
      let [out, done] = ["", 0];
      for (let i = 0; i < matches.length; i += 2) {
        out += token.slice(done, matches[i]) + content;
        done = matches[i + 1]!;
      }
      return out + token.slice(done);
    });
    return isSafe ? replace : (tokens, budget) => budget.spend(part.where, () => replace(tokens, budget));
  },
  Fuse: () => (tokens) => [tokens.join("")],
  Strip(part) {
    const content = part.string("content");
    const [start, stop] = (["start", "stop"] as const).map((name) => part.integer(name, 0, [0, 2 ** 31])) as [number, number]; // prettier-ignore
    return each((token) => {
      const characters = Array.from(token);
      let [from, to] = [0, characters.length];
      while (from < start && characters[from] === content) from++;
      while (to > from && characters.length - to < stop && characters[to - 1] === content) to--;
      return characters.slice(from, to).join("");
    });
  },
  CTC(part) {
    const [pad, delimiter] = [part.string("pad_token", "<pad>"), part.string("word_delimiter_token", "|")];
    const cleans = part.boolean("cleanup", true);
    return (tokens) =>
      tokens
        .filter((token, i) => i === 0 || token !== tokens[i - 1])
        .map((token) => token.replaceAll(pad, ""))
        .map((token) => (cleans ? closeGaps(token).replaceAll(delimiter, " ") : token))
        .filter((token) => token !== "");
  },
  Sequence(part) {
    const list = part.parts("decoders").map(decoderOf);
    return (tokens, budget) => list.reduce((now, decoder) => decoder(now, budget), tokens);
  },
};

/**
 * How tokens become text again: with spaces between them where there is no decoder.
 *
 * @param decoder That of tokenizer.json.
 * @throws {@link GpugradError}
 * @see https://github.com/huggingface/tokenizers/tree/v0.22.0/tokenizers/src/decoders
 */
export function tokensToString(decoder: unknown): (tokens: readonly string[]) => string {
  if (decoder === undefined || decoder === null) return (tokens) => tokens.join(" ");
  const decode = decoderOf(new Part(decoder, "tokenizer.json: decoder"));
  return (tokens) => (tokens.length === 0 ? "" : decode([...tokens], new TimeBudget(tokens.length)).join(""));
}

function decoderOf(part: Part): Decoder {
  const make = Object.hasOwn(decoders, part.type) ? decoders[part.type] : undefined;
  return make ? make(part) : part.unknown(Object.keys(decoders));
}

/** Closes the gaps that splitting left before punctuation and contractions. */
export const closeGaps = (text: string): string =>
  text
    .replaceAll(/ ([.?!,])/g, "$1")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(/ '(s|ve|re)/g, "'$1");

const [encoder, decoder] = [new TextEncoder(), new TextDecoder("utf-8", { ignoreBOM: true })];

/** The bytes of the characters of a byte-level vocabulary; a token with other characters is kept as it is. */
function fromBytes(tokens: string[]): string[] {
  const bytes: number[] = [];
  for (const token of tokens) {
    const own = Array.from(token, (character) => bytesByCharacter.get(character));
    for (const byte of own.includes(undefined) ? encoder.encode(token) : (own as number[])) bytes.push(byte);
  }
  return [decoder.decode(Uint8Array.from(bytes))];
}

/** Tokens such as `<0x0A>` as the characters of which they are the bytes; where they are none, each is U+FFFD. */
function byteFallback(tokens: string[]): string[] {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    try {
      out.push(strict.decode(Uint8Array.from(bytes)));
    } catch {
      for (const _ of bytes) out.push("\ufffd");
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9a-f]{2})>$/i.exec(token)?.[1];
    if (byte !== undefined) bytes.push(parseInt(byte, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}
